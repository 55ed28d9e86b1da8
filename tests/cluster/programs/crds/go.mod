module canary-gate/programs/crds

go 1.26.8

require (
	github.com/argoproj/argo-rollouts v1.10.1
	github.com/envoyproxy/gateway v1.9.1 // indirect
	istio.io/api v1.32.0 // indirect
)
