package experiments

import (
	"context"
	"time"
)

// OracleSync runs one reconcile of the real experiment controller.
func (ec *Controller) OracleSync(key string) error { return ec.syncHandler(context.Background(), key) }

// OracleQuiet replaces the queue by nothing.
func (ec *Controller) OracleQuiet() {
	ec.enqueueExperiment = func(obj any) {}
	ec.enqueueExperimentAfter = func(obj any, d time.Duration) {}
}
