// Oracle for Argo Rollouts: the real rollout and experiment controllers over fake clientsets and a
// tiny ReplicaSet simulator, walked at random (seeded).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sort"
	"time"

	"github.com/sirupsen/logrus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubeinformers "k8s.io/client-go/informers"
	k8sfake "k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	k8srecord "k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"github.com/argoproj/argo-rollouts/controller/metrics"
	"github.com/argoproj/argo-rollouts/experiments"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned/fake"
	informers "github.com/argoproj/argo-rollouts/pkg/client/informers/externalversions"
	"github.com/argoproj/argo-rollouts/rollout"
	ingressutil "github.com/argoproj/argo-rollouts/utils/ingress"
	istioutil "github.com/argoproj/argo-rollouts/utils/istio"
	"github.com/argoproj/argo-rollouts/utils/record"
	timeutil "github.com/argoproj/argo-rollouts/utils/time"
)

const ns = "default"

type testCase struct {
	ID  json.RawMessage   `json:"id"`
	Old *v1alpha1.Rollout `json:"old"`
	New *v1alpha1.Rollout `json:"new"`
}

type result struct {
	ID             json.RawMessage `json:"id"`
	Old1           any             `json:"old_most_one_edit"` // one template edit from steady state
	Old            any             `json:"old_most"`          // many template edits; "no bound" when it keeps growing with them
	New1           any             `json:"new_most_one_edit"`
	New            any             `json:"new_most"`
	SettledPromote any             `json:"new_left_after_promote"` // one edit, promoted, then 3 h with everything available: pods left (steady = R)
	SettledAbort   any             `json:"new_left_after_abort"`   // one edit, aborted in mid-walk, then 3 h
	Trans          any             `json:"transition_most"`        // old steady or in mid-walk, then new (its template kept), walked on
	Error          string          `json:"error,omitempty"`
	Stuck          string          `json:"note,omitempty"`
}

type noRouter struct{}

func (noRouter) UpdateHash(string, string, ...v1alpha1.WeightDestination) error { return nil }
func (noRouter) SetWeight(int32, ...v1alpha1.WeightDestination) error           { return nil }
func (noRouter) SetHeaderRoute(*v1alpha1.SetHeaderRoute) error                  { return nil }
func (noRouter) SetMirrorRoute(*v1alpha1.SetMirrorRoute) error                  { return nil }
func (noRouter) VerifyWeight(int32, ...v1alpha1.WeightDestination) (*bool, error) {
	t := true
	return &t, nil
}
func (noRouter) RemoveManagedRoutes() error { return nil }
func (noRouter) Type() string               { return "oracle" }

type noResolver struct{}

func (noResolver) Resolve(*v1alpha1.Rollout) error { return nil }

// quiet is an event recorder that drops everything (the upstream fake blocks after 1000 events).
type quiet struct{ k k8srecord.EventRecorder }

func (quiet) Eventf(runtime.Object, record.EventOptions, string, ...any) {}
func (quiet) Warnf(runtime.Object, record.EventOptions, string, ...any)  {}
func (q quiet) K8sRecorder() k8srecord.EventRecorder                     { return q.k }

var recorder record.EventRecorder = quiet{&k8srecord.FakeRecorder{}}
var metricsServer = metrics.NewMetricsServer(metrics.ServerConfig{Addr: "localhost:0", K8SRequestProvider: &metrics.K8sRequestsCountProvider{}})
var clock time.Time
var trace bool

type world struct {
	kube    *k8sfake.Clientset
	argo    *fake.Clientset
	ki      kubeinformers.SharedInformerFactory
	ai      informers.SharedInformerFactory
	c       *rollout.Controller
	ex      *experiments.Controller
	r       *rand.Rand
	most    int
	uid     int
	image   int
	rv      int
	lastErr string
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newWorld(r *rand.Rand) *world {
	w := &world{r: r}
	w.kube = k8sfake.NewSimpleClientset()
	w.argo = fake.NewSimpleClientset()
	w.kube.PrependReactor("create", "replicasets", func(a ktesting.Action) (bool, runtime.Object, error) {
		rs := a.(ktesting.CreateAction).GetObject().(*appsv1.ReplicaSet)
		w.uid++
		rs.UID = types.UID(fmt.Sprintf("rs-%d", w.uid))
		rs.CreationTimestamp = metav1.NewTime(clock)
		return false, nil, nil
	})
	w.argo.PrependReactor("create", "experiments", func(a ktesting.Action) (bool, runtime.Object, error) {
		e := a.(ktesting.CreateAction).GetObject().(*v1alpha1.Experiment)
		w.uid++
		e.UID = types.UID(fmt.Sprintf("ex-%d", w.uid))
		e.CreationTimestamp = metav1.NewTime(clock)
		return false, nil, nil
	})
	w.ki = kubeinformers.NewSharedInformerFactory(w.kube, 0)
	w.ai = informers.NewSharedInformerFactory(w.argo, 0)
	scheme := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme)
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, map[schema.GroupVersionResource]string{
		istioutil.GetIstioVirtualServiceGVR():  "VirtualServiceList",
		istioutil.GetIstioDestinationRuleGVR(): "DestinationRuleList",
	})
	di := dynamicinformer.NewDynamicSharedInformerFactory(dyn, 0)
	q := func(n string) workqueue.RateLimitingInterface {
		return workqueue.NewRateLimitingQueue(workqueue.DefaultControllerRateLimiter())
	}
	iw, err := ingressutil.NewIngressWrapper(ingressutil.IngressModeNetworking, w.kube, w.ki)
	must(err)
	v := w.ai.Argoproj().V1alpha1()
	w.c = rollout.NewController(rollout.ControllerConfig{
		Namespace: metav1.NamespaceAll, KubeClientSet: w.kube, ArgoProjClientset: w.argo, DynamicClientSet: dyn, RefResolver: noResolver{},
		ExperimentInformer: v.Experiments(), AnalysisRunInformer: v.AnalysisRuns(), AnalysisTemplateInformer: v.AnalysisTemplates(), ClusterAnalysisTemplateInformer: v.ClusterAnalysisTemplates(),
		ReplicaSetInformer: w.ki.Apps().V1().ReplicaSets(), ServicesInformer: w.ki.Core().V1().Services(), IngressWrapper: iw, RolloutsInformer: v.Rollouts(),
		IstioPrimaryDynamicClient: dyn, IstioVirtualServiceInformer: di.ForResource(istioutil.GetIstioVirtualServiceGVR()).Informer(), IstioDestinationRuleInformer: di.ForResource(istioutil.GetIstioDestinationRuleGVR()).Informer(),
		ResyncPeriod: 15 * time.Minute, RolloutWorkQueue: q("r"), ServiceWorkQueue: q("s"), IngressWorkQueue: q("i"),
		MetricsServer: metricsServer, Recorder: recorder, EphemeralMetadataThreads: 1, EphemeralMetadataPodRetries: 1,
	})
	w.c.OracleQuiet(noRouter{})
	w.ex = experiments.NewController(experiments.ControllerConfig{
		KubeClientSet: w.kube, ArgoProjClientset: w.argo, ReplicaSetInformer: w.ki.Apps().V1().ReplicaSets(), ExperimentsInformer: v.Experiments(),
		AnalysisRunInformer: v.AnalysisRuns(), AnalysisTemplateInformer: v.AnalysisTemplates(), ClusterAnalysisTemplateInformer: v.ClusterAnalysisTemplates(),
		ServiceInformer: w.ki.Core().V1().Services(), ResyncPeriod: 15 * time.Minute, RolloutWorkQueue: q("r"), ExperimentWorkQueue: q("e"), MetricsServer: metricsServer, Recorder: recorder,
	})
	w.ex.OracleQuiet()
	for _, s := range []string{"active", "preview", "stable", "canary", "ping", "pong"} {
		_, err := w.kube.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: s, Namespace: ns}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "a"}}}, metav1.CreateOptions{})
		must(err)
	}
	return w
}

var ctx = context.Background()

// refresh copies the "API server" into the controllers' caches.
func (w *world) refresh() {
	put := func(ix interface {
		Replace([]any, string) error
	}, l []any) {
		must(ix.Replace(l, ""))
	}
	rs, err := w.kube.AppsV1().ReplicaSets(ns).List(ctx, metav1.ListOptions{})
	must(err)
	var l []any
	for i := range rs.Items {
		l = append(l, &rs.Items[i])
	}
	put(w.ki.Apps().V1().ReplicaSets().Informer().GetIndexer(), l)
	sv, err := w.kube.CoreV1().Services(ns).List(ctx, metav1.ListOptions{})
	must(err)
	l = nil
	for i := range sv.Items {
		l = append(l, &sv.Items[i])
	}
	put(w.ki.Core().V1().Services().Informer().GetIndexer(), l)
	ro, err := w.argo.ArgoprojV1alpha1().Rollouts(ns).List(ctx, metav1.ListOptions{})
	must(err)
	l = nil
	for i := range ro.Items {
		w.rv++
		ro.Items[i].ResourceVersion = fmt.Sprint(w.rv)
		l = append(l, &ro.Items[i])
	}
	put(w.ai.Argoproj().V1alpha1().Rollouts().Informer().GetIndexer(), l)
	ex, err := w.argo.ArgoprojV1alpha1().Experiments(ns).List(ctx, metav1.ListOptions{})
	must(err)
	l = nil
	for i := range ex.Items {
		l = append(l, &ex.Items[i])
	}
	put(w.ai.Argoproj().V1alpha1().Experiments().Informer().GetIndexer(), l)
}

func (w *world) sets() []appsv1.ReplicaSet {
	rs, err := w.kube.AppsV1().ReplicaSets(ns).List(ctx, metav1.ListOptions{})
	must(err)
	sort.Slice(rs.Items, func(i, j int) bool { return rs.Items[i].Name < rs.Items[j].Name })
	return rs.Items
}

func (w *world) count(what string) int {
	n := 0
	var parts []string
	for _, rs := range w.sets() {
		n += int(*rs.Spec.Replicas)
		if trace && *rs.Spec.Replicas > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d(avail %d)", rs.Name, *rs.Spec.Replicas, rs.Status.AvailableReplicas))
		}
	}
	if n > w.most {
		w.most = n
	}
	if trace {
		ro := w.ro()
		idx := int32(-1)
		if ro.Status.CurrentStepIndex != nil {
			idx = *ro.Status.CurrentStepIndex
		}
		fmt.Fprintf(os.Stderr, "  %-14s t=%s step=%d abort=%v stable=%s cur=%s pods=%d %v %s\n", what, clock.Format("15:04:05"), idx, ro.Status.Abort, ro.Status.StableRS, ro.Status.CurrentPodHash, n, parts, w.lastErr)
	}
	return n
}

func (w *world) ro() *v1alpha1.Rollout {
	ro, err := w.argo.ArgoprojV1alpha1().Rollouts(ns).Get(ctx, "ro", metav1.GetOptions{})
	must(err)
	return ro
}

func (w *world) put(ro *v1alpha1.Rollout) {
	_, err := w.argo.ArgoprojV1alpha1().Rollouts(ns).Update(ctx, ro, metav1.UpdateOptions{})
	must(err)
}

func (w *world) sync() {
	w.refresh()
	w.lastErr = ""
	if err := w.c.OracleSync(ns + "/ro"); err != nil {
		w.lastErr = err.Error()
	}
	w.refresh()
	ex, _ := w.argo.ArgoprojV1alpha1().Experiments(ns).List(ctx, metav1.ListOptions{})
	for _, e := range ex.Items {
		if err := w.ex.OracleSync(ns + "/" + e.Name); err != nil {
			w.lastErr = err.Error()
		}
	}
	w.count("sync")
}

// pods lets the simulated ReplicaSet controller move: full = everything becomes available.
func (w *world) pods(full bool) {
	for _, rs := range w.sets() {
		s := rs.Status
		s.ObservedGeneration = rs.Generation
		want := *rs.Spec.Replicas
		s.Replicas = want
		if s.AvailableReplicas > want {
			s.AvailableReplicas = want
		}
		if full {
			s.AvailableReplicas = want
		} else if s.AvailableReplicas < want && w.r.Intn(3) > 0 {
			s.AvailableReplicas += 1 + int32(w.r.Intn(int(want-s.AvailableReplicas)))
		} else if s.AvailableReplicas > 0 && w.r.Intn(25) == 0 {
			s.AvailableReplicas -= 1 + int32(w.r.Intn(int(s.AvailableReplicas)))
		}
		s.ReadyReplicas = s.AvailableReplicas
		if s.Replicas != rs.Status.Replicas || s.AvailableReplicas != rs.Status.AvailableReplicas || s.ReadyReplicas != rs.Status.ReadyReplicas {
			c := rs.DeepCopy()
			c.Status = s
			_, err := w.kube.AppsV1().ReplicaSets(ns).Update(ctx, c, metav1.UpdateOptions{})
			must(err)
		}
	}
}

func (w *world) steady() string {
	for i := 0; i < 40; i++ {
		w.sync()
		w.pods(true)
		clock = clock.Add(5 * time.Second)
		ro := w.ro()
		if i > 6 && ro.Status.StableRS != "" && ro.Status.StableRS == ro.Status.CurrentPodHash && w.lastErr == "" {
			break
		}
	}
	ro := w.ro()
	for _, c := range ro.Status.Conditions {
		if c.Type == v1alpha1.InvalidSpec {
			return "invalid: " + c.Message
		}
	}
	if ro.Status.StableRS == "" {
		return "no steady state: " + w.lastErr
	}
	return ""
}

func (w *world) newImage() {
	ro := w.ro()
	w.image++
	ro.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("img:v%d", w.image)
	ro.Generation++
	w.put(ro)
	w.sync()
}

// walk: edits template changes spread over the walk; the rest are random moves of the world and of
// an operator (promote, promote full, abort, retry). slow=true lets the clock pass.
func (w *world) walk(edits, steps int, fast bool) {
	every := steps
	if edits > 0 {
		every = steps / edits
	}
	for i := 0; i < steps; i++ {
		if edits > 0 && i%every == 0 {
			edits--
			w.newImage()
		}
		w.pods(w.r.Intn(4) == 0)
		if !fast {
			clock = clock.Add(time.Duration(w.r.Intn(20)) * time.Second)
		} else {
			clock = clock.Add(100 * time.Millisecond)
		}
		ro := w.ro()
		changed := true
		switch x := w.r.Intn(30); {
		case x < 9 && len(ro.Status.PauseConditions) > 0: // promote
			ro.Status.PauseConditions = nil
		case x == 9 && ro.Status.CurrentPodHash != ro.Status.StableRS:
			ro.Status.PromoteFull = true
		case x == 10 && ro.Status.CurrentPodHash != ro.Status.StableRS:
			ro.Status.Abort = true
		case x >= 11 && x < 14 && ro.Status.Abort:
			ro.Status.Abort = false
		default:
			changed = false
		}
		if changed {
			w.put(ro)
		}
		w.sync()
	}
}

func prep(ro *v1alpha1.Rollout) *v1alpha1.Rollout {
	ro = ro.DeepCopy()
	ro.Namespace, ro.Name, ro.UID = ns, "ro", "ro-uid"
	ro.Generation = 1
	ro.CreationTimestamp = metav1.NewTime(clock)
	if ro.Spec.Selector == nil {
		ro.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
	}
	if ro.Spec.Template.Labels == nil {
		ro.Spec.Template.Labels = map[string]string{"app": "a"}
	}
	if len(ro.Spec.Template.Spec.Containers) == 0 {
		ro.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "img:v0"}}
	}
	return ro
}

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func begin(ro *v1alpha1.Rollout, seed int64) (*world, string) {
	clock = start
	w := newWorld(rand.New(rand.NewSource(seed)))
	_, err := w.argo.ArgoprojV1alpha1().Rollouts(ns).Create(ctx, prep(ro), metav1.CreateOptions{})
	must(err)
	if s := w.steady(); s != "" {
		return w, s
	}
	w.most = 0
	w.count("steady")
	return w, ""
}

var walks = 8

func most(ro *v1alpha1.Rollout, seed int64, edits, steps int) (int, string) {
	best := 0
	for k := 0; k < walks; k++ {
		w, bad := begin(ro, seed+int64(k))
		if bad != "" {
			return w.most, bad
		}
		w.walk(edits, steps, k%2 == 0)
		if w.most > best {
			best = w.most
		}
	}
	return best, ""
}

func answer(ro *v1alpha1.Rollout, seed int64) (one any, many any, bad string) {
	a, bad := most(ro, seed, 1, 60)
	if bad != "" {
		return a, a, bad
	}
	b, _ := most(ro, seed, 4, 60)
	c, _ := most(ro, seed, 12, 120)
	if a > b {
		b = a
	}
	if c > b+2*a {
		return a, "no bound", ""
	}
	if b > c {
		c = b
	}
	return a, c, ""
}

// settled: pods left long after one edit was promoted / aborted.
func settled(ro *v1alpha1.Rollout, seed int64, abort bool) int {
	w, bad := begin(ro, seed)
	if bad != "" {
		return -1
	}
	w.newImage()
	for i := 0; i < 6; i++ {
		w.pods(true)
		w.sync()
	}
	for i := 0; i < 60; i++ {
		ro := w.ro()
		if abort && i == 0 {
			ro.Status.Abort = true
			w.put(ro)
		}
		if !abort && len(ro.Status.PauseConditions) > 0 {
			ro.Status.PauseConditions = nil
			w.put(ro)
		}
		w.sync()
		w.pods(true)
		clock = clock.Add(3 * time.Minute)
	}
	return w.count("settled")
}

func transition(old, nw *v1alpha1.Rollout, seed int64) (any, string) {
	best := 0
	for k := 0; k < walks; k++ {
		w, bad := begin(old, seed+100+int64(k))
		if bad != "" {
			return nil, bad
		}
		switch k % 4 {
		case 1:
			w.newImage()
		case 2, 3:
			w.walk(1, w.r.Intn(25)+1, k%4 == 2)
		}
		ro := w.ro()
		n := prep(nw)
		n.Spec.Template.Spec.Containers[0].Image = ro.Spec.Template.Spec.Containers[0].Image
		ro.Spec = n.Spec
		ro.Labels = n.Labels
		ro.Generation++
		w.put(ro)
		w.most = 0
		w.sync()
		w.walk(0, 25, k%2 == 0)
		w.walk(1, 40, k%2 == 0)
		if w.most > best {
			best = w.most
		}
	}
	return best, ""
}

func run(c testCase, seed int64) (res result) {
	res = result{ID: c.ID}
	defer func() {
		if p := recover(); p != nil {
			res.Error = fmt.Sprint("panic: ", p)
		}
	}()
	if c.Old != nil {
		var bad string
		if res.Old1, res.Old, bad = answer(c.Old, seed); bad != "" {
			res.Error = "old: " + bad
			return
		}
	}
	if c.New == nil {
		return
	}
	var bad string
	if res.New1, res.New, bad = answer(c.New, seed); bad != "" {
		res.Error = "new: " + bad
		return
	}
	res.SettledPromote = settled(c.New, seed, false)
	res.SettledAbort = settled(c.New, seed, true)
	if c.Old != nil {
		if res.Trans, bad = transition(c.Old, c.New, seed); bad != "" {
			res.Error = bad
		}
	}
	return
}

func main() {
	flag.BoolVar(&trace, "trace", false, "print every step")
	flag.IntVar(&walks, "walks", 8, "random walks per question")
	flag.Parse()
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
	timeutil.SetNowTimeFunc(func() time.Time { return clock })
	var in struct {
		Cases []testCase `json:"cases"`
	}
	b, err := io.ReadAll(os.Stdin)
	must(err)
	must(json.Unmarshal(b, &in))
	out := make([]result, 0, len(in.Cases))
	for i, c := range in.Cases {
		out = append(out, run(c, int64(i+1)*1000))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	must(e.Encode(out))
}
