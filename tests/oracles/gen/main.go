// Case generator: gen KIND SEED N > file. KIND: keda argo statefulset deployment.
// Each case is an old object and a new one that differs in 1..3 fields.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
)

type m = map[string]any

type field struct {
	path []string
	vals []any // nil = absent
}

var none any = nil

func set(o m, path []string, v any) {
	for _, p := range path[:len(path)-1] {
		n, ok := o[p].(m)
		if !ok {
			if v == nil {
				return
			}
			n = m{}
			o[p] = n
		}
		o = n
	}
	k := path[len(path)-1]
	if v == nil {
		delete(o, k)
	} else {
		o[k] = v
	}
}

func clone(o m) m {
	b, _ := json.Marshal(o)
	var c m
	_ = json.Unmarshal(b, &c)
	return c
}

func f(vals []any, path ...string) field { return field{path, vals} }

func exp(n ...int) m {
	var t []any
	for i, r := range n {
		e := m{"name": fmt.Sprintf("t%d", i), "specRef": []string{"canary", "stable"}[i%2]}
		if r >= 0 {
			e["replicas"] = r
		}
		t = append(t, e)
	}
	return m{"experiment": m{"duration": "10s", "templates": t}}
}

var stepSets = []any{
	nil,
	[]any{},
	[]any{m{"setWeight": 25}, m{"pause": m{}}, m{"setWeight": 50}, m{"pause": m{}}},
	[]any{m{"setWeight": 100}, m{"pause": m{}}},
	[]any{m{"setWeight": 0}, m{"pause": m{}}, m{"setWeight": 1}, m{"pause": m{}}, m{"setWeight": 99}, m{"pause": m{}}},
	[]any{m{"setWeight": 75}, m{"pause": m{}}, m{"setWeight": 10}, m{"pause": m{}}},
	[]any{exp(2), m{"setWeight": 20}, m{"pause": m{}}},
	[]any{exp(3, -1), exp(1), m{"setWeight": 20}, m{"pause": m{}}},
}
var scaleSteps = []any{
	[]any{m{"setCanaryScale": m{"replicas": 1}}, m{"setWeight": 25}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{"replicas": 9}}, m{"setWeight": 25}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{"replicas": 0}}, m{"setWeight": 25}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{"weight": 100}}, m{"setWeight": 5}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{"weight": 300}}, m{"setWeight": 5}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{"weight": 30, "replicas": 6}}, m{"pause": m{}}, m{"setCanaryScale": m{"matchTrafficWeight": true}}, m{"setWeight": 50}, m{"pause": m{}}},
	[]any{m{"setWeight": 50}, m{"pause": m{}}, m{"setCanaryScale": m{"matchTrafficWeight": true, "replicas": 20}}, m{"pause": m{}}},
	[]any{m{"setWeight": 50}, m{"setCanaryScale": m{"replicas": 7}}, m{"pause": m{}}, m{"setWeight": 60}, m{"pause": m{}}},
	[]any{m{"setCanaryScale": m{}}, m{"setWeight": 50}, m{"pause": m{}}},
}

func kinds(kind string, r *rand.Rand) (m, []field) {
	ints := func(v ...int) []any {
		var o []any
		for _, x := range v {
			if x == -999 {
				o = append(o, nil)
			} else {
				o = append(o, x)
			}
		}
		return o
	}
	const N = -999
	switch kind {
	case "keda":
		o := m{"metadata": m{"name": "sj"}, "spec": m{"maxReplicaCount": 5, "jobTargetRef": m{"template": m{}}, "triggers": []any{}}}
		return o, []field{
			f(ints(N, 1, 2, 5, 10, 17), "spec", "maxReplicaCount"),
			f(ints(N, 0, 1, 3, 10, 12), "spec", "minReplicaCount"),
			f([]any{nil, "default", "custom", "custom", "custom", "accurate", "eager", "unknown"}, "spec", "scalingStrategy", "strategy"),
			f([]any{nil, "", "0", "-0", "0.1", "0.25", "0.5", "0.9", "1", "1.0", "1.5", "2", "-1", "-0.5", "50%", " 0.5", "abc", "1e-1", "0x1p-2", "NaN", "Inf", "-Inf", "1e999", "1e30"}, "spec", "scalingStrategy", "customScalingRunningJobPercentage"),
			f(ints(N, N, 0, 1, 3, 20, -1, -4), "spec", "scalingStrategy", "customScalingQueueLengthDeduction"),
			f([]any{nil, "min", "avg", "sum", "max"}, "spec", "scalingStrategy", "multipleScalersCalculation"),
			f([]any{nil, []any{"Ready"}, []any{"Ready", "PodScheduled"}}, "spec", "scalingStrategy", "pendingPodConditions"),
			f([]any{nil, "gradual", "immediate"}, "spec", "rollout", "strategy"),
			f([]any{nil, "gradual"}, "spec", "rolloutStrategy"),
			f([]any{nil, nil, nil, nil, m{"scaledjob.keda.sh/name": "x"}, m{"scaledjob.keda.sh/name": "sj"}, m{"app.kubernetes.io/name": "x"}}, "metadata", "labels"),
			f([]any{nil, nil, nil, m{"scaledjob.keda.sh/job-excluded-labels": "scaledjob.keda.sh/name"}, m{"scaledjob.keda.sh/job-excluded-labels": "a, scaledjob.keda.sh/name"}, m{"autoscaling.keda.sh/paused": "true"}, m{"autoscaling.keda.sh/paused": "false"}, m{"autoscaling.keda.sh/paused": ""}, m{"scaledjob.keda.sh/generation": "1"}}, "metadata", "annotations"),
			f(ints(N, 0, 3), "spec", "successfulJobsHistoryLimit"),
			f(ints(N, 0, 3), "spec", "failedJobsHistoryLimit"),
		}
	case "deployment":
		return m{"spec": m{"replicas": 5}}, []field{
			f(ints(0, 1, 2, 3, 5, 10), "spec", "replicas"),
			f(ints(N, N, 0, 1, 2, 5, 20), "spec", "strategy", "rollingUpdate", "maxSurge"),
			f([]any{nil, "1%", "25%", "33%", "100%", "300%"}, "spec", "strategy", "rollingUpdate", "maxSurge"),
			f([]any{nil, 1, 3, "50%", "100%"}, "spec", "strategy", "rollingUpdate", "maxUnavailable"),
			f([]any{nil, nil, nil, "Recreate"}, "spec", "strategy", "type"),
			f([]any{nil, nil, true}, "spec", "paused"),
			f(ints(N, 0, 1), "spec", "revisionHistoryLimit"),
			f(ints(N, 10), "spec", "minReadySeconds"),
			f(ints(N, 5, 2147483647), "spec", "progressDeadlineSeconds"),
		}
	case "statefulset":
		return m{"spec": m{"replicas": 3}}, []field{
			f(ints(N, 0, 1, 2, 3, 5, 8), "spec", "replicas"),
			f(ints(N, N, 0, 1, 2, 3, 10), "spec", "ordinals", "start"),
			f([]any{nil, "OrderedReady", "Parallel"}, "spec", "podManagementPolicy"),
			f([]any{nil, "RollingUpdate", "OnDelete"}, "spec", "updateStrategy", "type"),
			f(ints(N, 0, 1, 4, 20), "spec", "updateStrategy", "rollingUpdate", "partition"),
			f([]any{nil, 1, 2, "50%"}, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable"),
			f(ints(N, 10), "spec", "minReadySeconds"),
			f(ints(N, 0, 2), "spec", "revisionHistoryLimit"),
		}
	case "argo":
		base := []field{
			f(ints(N, 0, 1, 2, 3, 4, 7, 10), "spec", "replicas"),
			f(ints(N, N, 1, 0), "spec", "revisionHistoryLimit"),
			f([]any{nil, nil, nil, true}, "spec", "paused"),
			f(ints(N, N, 1, 5), "spec", "rollbackWindow", "revisions"),
		}
		switch r.Intn(3) {
		case 0:
			return m{"spec": m{"replicas": 4, "strategy": m{"canary": m{"maxUnavailable": 1}}}}, append(base,
				f([]any{nil, 0, 1, 2, 5, "5", "25%", "100%", "200%", "x", -1}, "spec", "strategy", "canary", "maxSurge"),
				f([]any{1, 1, 2, "50%", "100%"}, "spec", "strategy", "canary", "maxUnavailable"),
				f(stepSets, "spec", "strategy", "canary", "steps"),
				f(ints(N, 2, 6), "spec", "strategy", "canary", "minPodsPerReplicaSet"),
				f(ints(N, 0, 1), "spec", "strategy", "canary", "scaleDownDelayRevisionLimit"),
				f(ints(N, 0, 60), "spec", "strategy", "canary", "abortScaleDownDelaySeconds"))
		case 1:
			return m{"spec": m{"replicas": 4, "strategy": m{"canary": m{"canaryService": "canary", "stableService": "stable", "trafficRouting": m{"plugins": m{"x/y": m{}}}}}}}, append(base,
				f(append(append([]any{}, stepSets...), scaleSteps...), "spec", "strategy", "canary", "steps"),
				f(append(append([]any{}, stepSets...), scaleSteps...), "spec", "strategy", "canary", "steps"),
				f([]any{nil, 0, 3, "50%"}, "spec", "strategy", "canary", "maxSurge"),
				f(ints(N, 2, 6), "spec", "strategy", "canary", "minPodsPerReplicaSet"),
				f([]any{nil, nil, true}, "spec", "strategy", "canary", "dynamicStableScale"),
				f(ints(N, 0, 10, 200), "spec", "strategy", "canary", "scaleDownDelaySeconds"),
				f(ints(N, 0, 0, 1, 2), "spec", "strategy", "canary", "scaleDownDelayRevisionLimit"),
				f(ints(N, 0, 10, 200), "spec", "strategy", "canary", "abortScaleDownDelaySeconds"),
				f(ints(N, N, N, 1000), "spec", "strategy", "canary", "trafficRouting", "maxTrafficWeight"))
		default:
			return m{"spec": m{"replicas": 4, "strategy": m{"blueGreen": m{"activeService": "active", "previewService": "preview"}}}}, append(base,
				f(ints(N, N, 0, 1, 4, 9), "spec", "strategy", "blueGreen", "previewReplicaCount"),
				f([]any{nil, true, false, false}, "spec", "strategy", "blueGreen", "autoPromotionEnabled"),
				f(ints(N, 5), "spec", "strategy", "blueGreen", "autoPromotionSeconds"),
				f(ints(N, 0, 10, 200), "spec", "strategy", "blueGreen", "scaleDownDelaySeconds"),
				f(ints(N, 0, 0, 1, 2), "spec", "strategy", "blueGreen", "scaleDownDelayRevisionLimit"),
				f(ints(N, 0, 10, 200), "spec", "strategy", "blueGreen", "abortScaleDownDelaySeconds"),
				f([]any{nil, 1, "100%"}, "spec", "strategy", "blueGreen", "maxUnavailable"))
		}
	}
	panic("kind")
}

func main() {
	kind := os.Args[1]
	seed, _ := strconv.ParseInt(os.Args[2], 10, 64)
	n, _ := strconv.Atoi(os.Args[3])
	r := rand.New(rand.NewSource(seed))
	var cases []any
	for i := 0; i < n; i++ {
		o, fs := kinds(kind, r)
		o = clone(o)
		mutate := func(o m, times int) {
			for k := 0; k < times; k++ {
				x := fs[r.Intn(len(fs))]
				set(o, x.path, x.vals[r.Intn(len(x.vals))])
			}
		}
		mutate(o, 2+r.Intn(8))
		nw := clone(o)
		for t := 0; t < 20; t++ {
			mutate(nw, 1+r.Intn(3))
			a, _ := json.Marshal(o)
			b, _ := json.Marshal(nw)
			if string(a) != string(b) {
				break
			}
		}
		if kind == "deployment" {
			for _, x := range []m{o, nw} {
				if s, ok := x["spec"].(m)["strategy"].(m); ok && s["type"] == "Recreate" {
					delete(s, "rollingUpdate")
				}
			}
		}
		if kind == "statefulset" { // immutable
			if p, ok := o["spec"].(m)["podManagementPolicy"]; ok {
				nw["spec"].(m)["podManagementPolicy"] = p
			} else {
				delete(nw["spec"].(m), "podManagementPolicy")
			}
		}
		cases = append(cases, m{"id": fmt.Sprintf("%s-%d", kind, i), "old": o, "new": nw})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	_ = e.Encode(m{"cases": cases})
}
