package rollout

import (
	"context"
	"time"

	"github.com/argoproj/argo-rollouts/rollout/trafficrouting"
)

// OracleSync runs one reconcile of the real controller.
func (c *Controller) OracleSync(key string) error { return c.syncHandler(context.Background(), key) }

// OracleQuiet replaces the queue by nothing and the traffic routers by the given one.
func (c *Controller) OracleQuiet(tr trafficrouting.TrafficRoutingReconciler) {
	c.enqueueRollout = func(obj any) {}
	c.enqueueRolloutAfter = func(obj any, d time.Duration) {}
	c.podRestarter.enqueueAfter = func(obj any, d time.Duration) {}
	c.newTrafficRoutingReconciler = func(roCtx *rolloutContext) ([]trafficrouting.TrafficRoutingReconciler, error) {
		if roCtx.rollout.Spec.Strategy.Canary == nil || roCtx.rollout.Spec.Strategy.Canary.TrafficRouting == nil {
			return nil, nil
		}
		return []trafficrouting.TrafficRoutingReconciler{tr}, nil
	}
}
