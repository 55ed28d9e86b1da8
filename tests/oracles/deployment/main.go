// Oracle for Deployment: the real deployment controller's syncDeployment over a fake clientset and a
// tiny ReplicaSet simulator, walked at random (seeded), incl. pauses and replicas edits while paused.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sort"
	"time"

	apps "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	k8sfake "k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"k8s.io/kubernetes/pkg/controller/deployment"
)

const ns = "default"

type testCase struct {
	ID  json.RawMessage  `json:"id"`
	Old *apps.Deployment `json:"old"`
	New *apps.Deployment `json:"new"`
}

type result struct {
	ID    json.RawMessage `json:"id"`
	Old1  any             `json:"old_most_one_edit"`
	Old   any             `json:"old_most"`
	New1  any             `json:"new_most_one_edit"`
	New   any             `json:"new_most"`
	Trans any             `json:"transition_most"`
	Error string          `json:"error,omitempty"`
}

var ctx = context.Background()

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type world struct {
	kube  *k8sfake.Clientset
	f     informers.SharedInformerFactory
	dc    *deployment.DeploymentController
	r     *rand.Rand
	most  int
	uid   int
	image int
	now   time.Time
	err   error
}

func prep(d *apps.Deployment) *apps.Deployment {
	d = d.DeepCopy()
	d.Namespace, d.Name, d.UID, d.Generation = ns, "d", "d-uid", 1
	l := map[string]string{"app": "a"}
	if d.Spec.Selector == nil {
		d.Spec.Selector = &metav1.LabelSelector{MatchLabels: l}
	}
	if d.Spec.Template.Labels == nil {
		d.Spec.Template.Labels = l
	}
	if len(d.Spec.Template.Spec.Containers) == 0 {
		d.Spec.Template.Spec.Containers = []v1.Container{{Name: "c", Image: "img:v0"}}
	}
	// API defaults (k8s.io/kubernetes/pkg/apis/apps/v1 SetDefaults_Deployment)
	if d.Spec.Replicas == nil {
		one := int32(1)
		d.Spec.Replicas = &one
	}
	if d.Spec.Strategy.Type == "" {
		d.Spec.Strategy.Type = apps.RollingUpdateDeploymentStrategyType
	}
	if d.Spec.Strategy.Type == apps.RollingUpdateDeploymentStrategyType {
		q := intstr.FromString("25%")
		if d.Spec.Strategy.RollingUpdate == nil {
			d.Spec.Strategy.RollingUpdate = &apps.RollingUpdateDeployment{}
		}
		if d.Spec.Strategy.RollingUpdate.MaxSurge == nil {
			d.Spec.Strategy.RollingUpdate.MaxSurge = &q
		}
		if d.Spec.Strategy.RollingUpdate.MaxUnavailable == nil {
			d.Spec.Strategy.RollingUpdate.MaxUnavailable = &q
		}
	}
	if d.Spec.RevisionHistoryLimit == nil {
		ten := int32(10)
		d.Spec.RevisionHistoryLimit = &ten
	}
	return d
}

func begin(d *apps.Deployment, seed int64) *world {
	w := &world{r: rand.New(rand.NewSource(seed)), kube: k8sfake.NewSimpleClientset(), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.kube.PrependReactor("create", "replicasets", func(a ktesting.Action) (bool, runtime.Object, error) {
		rs := a.(ktesting.CreateAction).GetObject().(*apps.ReplicaSet)
		w.uid++
		rs.UID = types.UID(fmt.Sprintf("rs-%d", w.uid))
		rs.CreationTimestamp = metav1.NewTime(w.now)
		return false, nil, nil
	})
	w.f = informers.NewSharedInformerFactory(w.kube, 0)
	var err error
	w.dc, err = deployment.NewDeploymentController(ctx, w.f.Apps().V1().Deployments(), w.f.Apps().V1().ReplicaSets(), w.f.Core().V1().Pods(), w.kube)
	must(err)
	w.dc.OracleQuiet()
	_, err = w.kube.AppsV1().Deployments(ns).Create(ctx, prep(d), metav1.CreateOptions{})
	must(err)
	// a Deployment made paused has no RS yet: run it unpaused first, then pause
	x := w.get()
	p := x.Spec.Paused
	x.Spec.Paused = false
	w.put(x)
	for i := 0; i < 25; i++ {
		w.sync()
		w.pods(true)
	}
	if p {
		x = w.get()
		x.Spec.Paused = true
		w.put(x)
		w.sync()
	}
	w.most = 0
	w.see()
	return w
}

func (w *world) get() *apps.Deployment {
	d, err := w.kube.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	must(err)
	return d
}
func (w *world) put(d *apps.Deployment) {
	_, err := w.kube.AppsV1().Deployments(ns).Update(ctx, d, metav1.UpdateOptions{})
	must(err)
}
func (w *world) sets() []apps.ReplicaSet {
	rs, err := w.kube.AppsV1().ReplicaSets(ns).List(ctx, metav1.ListOptions{})
	must(err)
	sort.Slice(rs.Items, func(i, j int) bool { return rs.Items[i].Name < rs.Items[j].Name })
	return rs.Items
}
func (w *world) see() {
	n := 0
	for _, rs := range w.sets() {
		n += int(*rs.Spec.Replicas)
	}
	if n > w.most {
		w.most = n
	}
}
func (w *world) sync() {
	w.now = w.now.Add(time.Second)
	var l []any
	rs := w.sets()
	for i := range rs {
		l = append(l, &rs[i])
	}
	must(w.f.Apps().V1().ReplicaSets().Informer().GetIndexer().Replace(l, ""))
	must(w.f.Apps().V1().Deployments().Informer().GetIndexer().Replace([]any{w.get()}, ""))
	w.err = w.dc.OracleSync(ctx, ns+"/d")
	w.see()
}

func (w *world) pods(full bool) {
	for _, rs := range w.sets() {
		s := rs.Status
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
		c := rs.DeepCopy()
		c.Status = s
		_, err := w.kube.AppsV1().ReplicaSets(ns).Update(ctx, c, metav1.UpdateOptions{})
		must(err)
	}
}

func (w *world) newImage() {
	d := w.get()
	w.image++
	d.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("img:v%d", w.image)
	d.Generation++
	w.put(d)
	w.sync()
}

func (w *world) walk(edits, steps int, pauses bool) {
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
		if pauses && w.r.Intn(8) == 0 {
			d := w.get()
			d.Spec.Paused = !d.Spec.Paused
			w.put(d)
		}
		w.sync()
	}
}

func most(d *apps.Deployment, seed int64, edits, steps int) int {
	best := 0
	for k := int64(0); k < 8; k++ {
		w := begin(d, seed+k)
		w.walk(edits, steps, k%2 == 1)
		if w.most > best {
			best = w.most
		}
	}
	return best
}

func answer(d *apps.Deployment, seed int64) (any, any) {
	a := most(d, seed, 1, 40)
	b := most(d, seed, 5, 60)
	c := most(d, seed, 30, 120)
	for _, x := range []int{a, b} {
		if x > c {
			c = x
		}
	}
	return a, c
}

func transition(old, nw *apps.Deployment, seed int64) int {
	best := 0
	for k := int64(0); k < 8; k++ {
		w := begin(old, seed+50+k)
		switch k % 4 {
		case 1:
			w.newImage()
		case 2, 3:
			w.walk(1, w.r.Intn(12)+1, k == 7)
		}
		d := w.get()
		n := prep(nw)
		n.Spec.Template.Spec.Containers[0].Image = d.Spec.Template.Spec.Containers[0].Image
		d.Spec = n.Spec
		d.Generation++
		w.most = 0
		w.see()
		w.put(d)
		w.sync()
		w.walk(0, 25, false)
		w.walk(1, 40, k%2 == 1)
		if w.most > best {
			best = w.most
		}
	}
	return best
}

func run(c testCase, seed int64) (res result) {
	res = result{ID: c.ID}
	defer func() {
		if p := recover(); p != nil {
			res.Error = fmt.Sprint("panic: ", p)
		}
	}()
	if c.Old != nil {
		res.Old1, res.Old = answer(c.Old, seed)
	}
	if c.New != nil {
		res.New1, res.New = answer(c.New, seed)
	}
	if c.Old != nil && c.New != nil {
		res.Trans = transition(c.Old, c.New, seed)
	}
	return
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-owner" {
		klog.LogToStderr(false)
		klog.SetOutput(io.Discard)
		owner()
		return
	}
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	var in struct {
		Cases []testCase `json:"cases"`
	}
	b, err := io.ReadAll(os.Stdin)
	must(err)
	must(json.Unmarshal(b, &in))
	out := make([]result, 0, len(in.Cases))
	for i, c := range in.Cases {
		out = append(out, run(c, int64(i+1)*100))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	must(e.Encode(out))
}
