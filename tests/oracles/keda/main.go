// Oracle for KEDA ScaledJob: drives the real pkg/scaling/executor and pkg/scaling/scaledjob
// against a hostile environment. stdin {"cases":[{"id","old"|null,"new"}]}, stdout [{...}].
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scaling/executor"
	"github.com/kedacore/keda/v2/pkg/scaling/scaledjob"
)

type testCase struct {
	ID  json.RawMessage         `json:"id"`
	Old *kedav1alpha1.ScaledJob `json:"old"`
	New *kedav1alpha1.ScaledJob `json:"new"`
}

type result struct {
	ID             json.RawMessage `json:"id"`
	OldMost        any             `json:"old_most"`
	NewMost        any             `json:"new_most"`
	TransitionMost any             `json:"transition_most"`
	Error          string          `json:"error,omitempty"`
}

// store is a tiny in-memory client.Client: only the calls the executor makes.
type store struct {
	client.Client // nil: any other call panics, which we want to see
	jobs          []*batchv1.Job
	pods          map[string]*corev1.Pod // by job-name
	seq           int
}

func (s *store) List(_ context.Context, l client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	sel := o.LabelSelector
	if sel == nil {
		sel = labels.Everything()
	}
	switch t := l.(type) {
	case *batchv1.JobList:
		for _, j := range s.jobs {
			if j.Namespace == o.Namespace && sel.Matches(labels.Set(j.Labels)) {
				t.Items = append(t.Items, *j)
			}
		}
	case *corev1.PodList:
		name, ok := sel.RequiresExactMatch("job-name")
		if !ok {
			return fmt.Errorf("pods by %s", sel)
		}
		if p := s.pods[name]; p != nil {
			t.Items = append(t.Items, *p)
		}
	default:
		return fmt.Errorf("list of %T", l)
	}
	return nil
}

func (s *store) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	j, ok := obj.(*batchv1.Job)
	if !ok {
		return fmt.Errorf("create of %T", obj)
	}
	s.seq++
	c := j.DeepCopy()
	c.Name = fmt.Sprintf("%s%d", c.GenerateName, s.seq)
	c.UID = types.UID(c.Name)
	s.jobs = append(s.jobs, c)
	return nil
}

func (s *store) Delete(_ context.Context, obj client.Object, _ ...client.DeleteOption) error {
	for i, j := range s.jobs {
		if j.Name == obj.GetName() {
			s.jobs = append(s.jobs[:i], s.jobs[i+1:]...)
			return nil
		}
	}
	return nil
}

func finished(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// unfinished counts every unfinished Job owned by the ScaledJob, whatever its labels.
func (s *store) unfinished(uid types.UID) int {
	n := 0
	for _, j := range s.jobs {
		if r := metav1.GetControllerOf(j); r != nil && r.UID == uid && !finished(j) {
			n++
		}
	}
	return n
}

var scheme = runtime.NewScheme()

type env struct {
	name    string
	maxFrac float64 // share of maxScale asked for (queue) ; 1: huge queue
	finish  float64 // chance per poll that an unfinished Job finishes
	run     float64 // chance per poll that a pending Job's pod becomes running (and its conditions true)
	burst   bool    // alternate: finish all but one now and then
	random  bool    // random queue length each poll
}

var envs = []env{
	{"huge queue, never finish, all pending", 1, 0, 0, false, false},
	{"huge queue, never finish, all running", 1, 0, 1, false, false},
	{"huge queue, never finish, mixed", 1, 0, 0.4, false, false},
	{"huge queue, some finish", 1, 0.2, 0.5, false, false},
	{"huge queue, many finish", 1, 0.6, 0.9, false, false},
	{"random queue, never finish", 1, 0, 0.5, false, true},
	{"random queue, some finish", 1, 0.15, 0.5, false, true},
	{"bursts of finishing", 1, 0.0, 0.5, true, false},
	{"random queue, bursts", 1, 0.05, 0.7, true, true},
}

func sane(sj *kedav1alpha1.ScaledJob) error {
	if sj.Spec.JobTargetRef == nil {
		return fmt.Errorf("no jobTargetRef (controller refuses: ScaledJobReconciler.Reconcile)")
	}
	return nil
}

// drive runs polls and returns the most unfinished jobs seen and the series.
func drive(s *store, sj *kedav1alpha1.ScaledJob, e env, polls int, r *rand.Rand, cap int) (most int, series []int) {
	ex := executor.NewScaleExecutor(s, nil, scheme, 3*time.Second, &events.FakeRecorder{})
	for p := 0; p < polls; p++ {
		// the scaler asks for a queue: the real code caps it (getScaledJobMetrics/IsScaledJobActive)
		q := float64(1 << 20)
		if e.random {
			switch r.Intn(4) {
			case 0:
				q = float64(r.Intn(3))
			case 1:
				q = float64(r.Intn(30))
			}
		}
		maxV := q
		if m := float64(sj.MaxReplicaCount()); m < maxV {
			maxV = m // scaledjob.CalculateQueueLengthAndMaxValue -> getMaxValue
		}
		metrics := []scaledjob.ScalerMetrics{{QueueLength: q, MaxValue: maxV, IsActive: q > 0}}
		if r.Intn(2) == 0 {
			metrics = append(metrics, scaledjob.ScalerMetrics{QueueLength: q, MaxValue: maxV, IsActive: q > 0})
		}
		active, ql, mx, _ := scaledjob.IsScaledJobActive(metrics, sj.Spec.ScalingStrategy.MultipleScalersCalculation, sj.MinReplicaCount(), sj.MaxReplicaCount())
		if !sj.NeedToBePausedByAnnotation() { // checkIfPaused stops the scale loop
			ex.RequestJobScale(context.Background(), sj.DeepCopy(), active, false, ql, mx, executor.ScaleExecutorOptions{})
		}
		n := s.unfinished(sj.UID)
		if n > most {
			most = n
		}
		series = append(series, n)
		if cap > 0 && n > cap {
			return most, series
		}
		// environment moves
		burst := e.burst && r.Intn(4) == 0
		for _, j := range s.jobs {
			if finished(j) {
				continue
			}
			if r.Float64() < e.finish || (burst && r.Float64() < 0.9) {
				t := batchv1.JobComplete
				if r.Intn(3) == 0 {
					t = batchv1.JobFailed
				}
				j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: t, Status: corev1.ConditionTrue})
				now := metav1.Now()
				j.Status.CompletionTime = &now
				continue
			}
			if r.Float64() < e.run {
				s.podRuns(j, sj)
			}
		}
	}
	return most, series
}

func (s *store) podRuns(j *batchv1.Job, sj *kedav1alpha1.ScaledJob) {
	if s.pods == nil {
		s.pods = map[string]*corev1.Pod{}
	}
	if s.pods[j.Name] != nil {
		return
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: j.Name, Namespace: j.Namespace, Labels: map[string]string{"job-name": j.Name}}}
	p.Status.Phase = corev1.PodRunning
	for _, c := range sj.Spec.ScalingStrategy.PendingPodConditions {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodConditionType(c), Status: corev1.ConditionTrue})
	}
	s.pods[j.Name] = p
}

const polls = 70

// grows: still climbing at the end in an environment where nothing finishes.
func grows(series []int) bool {
	n := len(series)
	if n < polls {
		return true // stopped by the cap
	}
	return series[n-1] > series[n*2/3] && series[n*2/3] > series[n/3]
}

func most(sj *kedav1alpha1.ScaledJob, seed int64) any {
	best := 0
	for i, e := range envs {
		for k := int64(0); k < 2; k++ {
			r := rand.New(rand.NewSource(seed*1000 + int64(i)*10 + k))
			n := polls
			if e.finish != 0 || e.burst {
				n = 30
			}
			m, series := drive(&store{}, sj, e, n, r, 1500)
			if e.finish == 0 && !e.burst && grows(series) {
				return "no bound"
			}
			if m > best {
				best = m
			}
		}
	}
	return best
}

// transition: old object runs a while, then the new one (generation+1) with the controller's own
// rollout rule (deletePreviousVersionScaleJobs: default deletes Jobs of other generations at once,
// gradual keeps them) applied by the oracle in the same order as ScaledJobReconciler does.
func transition(old, nw *kedav1alpha1.ScaledJob, seed int64) any {
	best := 0
	for i, e := range envs {
		r := rand.New(rand.NewSource(seed*1000 + 500 + int64(i)))
		s := &store{}
		drive(s, old, e, 20, r, 1000)
		if !nw.NeedToBePausedByAnnotation() {
			strat := nw.Spec.Rollout.Strategy
			if nw.Spec.RolloutStrategy != "" { //nolint
				strat = nw.Spec.RolloutStrategy
			}
			if strat != "gradual" {
				var keep []*batchv1.Job
				for _, j := range s.jobs {
					if j.Labels["scaledjob.keda.sh/name"] != nw.Name || j.Annotations["scaledjob.keda.sh/generation"] == fmt.Sprint(nw.Generation) {
						keep = append(keep, j)
					}
				}
				s.jobs = keep
			}
		}
		n := polls
		if e.finish != 0 || e.burst {
			n = 30
		}
		m, series := drive(s, nw, e, n, r, 3000)
		if e.finish == 0 && !e.burst && grows(series) {
			return "no bound"
		}
		if m > best {
			best = m
		}
	}
	return best
}

func prep(sj *kedav1alpha1.ScaledJob, gen int64) {
	if sj.Namespace == "" {
		sj.Namespace = "default"
	}
	if sj.Name == "" {
		sj.Name = "sj"
	}
	sj.UID = "scaledjob-uid"
	sj.Generation = gen
}

func run(c testCase, seed int64) (res result) {
	res = result{ID: c.ID}
	defer func() {
		if p := recover(); p != nil {
			res.Error = fmt.Sprint("panic: ", p)
		}
	}()
	if c.Old != nil {
		prep(c.Old, 1)
		if err := sane(c.Old); err != nil {
			res.Error = err.Error()
			return
		}
		res.OldMost = most(c.Old, seed)
	}
	if c.New == nil {
		return
	}
	prep(c.New, 2)
	if err := sane(c.New); err != nil {
		res.Error = err.Error()
		return
	}
	res.NewMost = most(c.New, seed)
	if c.Old != nil {
		res.TransitionMost = transition(c.Old, c.New, seed)
	}
	return
}

func main() {
	logf.SetLogger(logr.Discard())
	_ = clientgoscheme.AddToScheme(scheme)
	_ = kedav1alpha1.AddToScheme(scheme)
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var in struct {
		Cases []testCase `json:"cases"`
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	if err := d.Decode(&in); err != nil {
		panic(err)
	}
	out := make([]result, 0, len(in.Cases))
	for i, c := range in.Cases {
		out = append(out, run(c, int64(i)+1))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	_ = e.Encode(out)
}
