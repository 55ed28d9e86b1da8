package deployment

import "context"

// OracleSync runs one sync of the real controller.
func (dc *DeploymentController) OracleSync(ctx context.Context, key string) error {
	return dc.syncDeployment(ctx, key)
}

// OracleQuiet makes the queue a no-op (the oracle syncs by itself).
func (dc *DeploymentController) OracleQuiet() {
	dc.eventRecorder = quietRecorder{}
}
