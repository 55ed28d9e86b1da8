// Oracle for StatefulSet: the real NewDefaultStatefulSetControl over an in-memory pod manager.
// No unexported code is needed: NewStatefulPodControlFromManager and history.NewFakeHistory are exported.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"time"

	apps "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	k8sfake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"sync"

	"k8s.io/kubernetes/pkg/controller/history"
	"k8s.io/kubernetes/pkg/controller/statefulset"
)

type testCase struct {
	ID  json.RawMessage   `json:"id"`
	Old *apps.StatefulSet `json:"old"`
	New *apps.StatefulSet `json:"new"`
}

type result struct {
	ID    json.RawMessage `json:"id"`
	Old   any             `json:"old_most"`
	New   any             `json:"new_most"`
	Trans any             `json:"transition_most"`
	Error string          `json:"error,omitempty"`
}

type world struct {
	mu   sync.Mutex
	pods map[string]*v1.Pod
	set  *apps.StatefulSet
	ctl  statefulset.StatefulSetControlInterface
	r    *rand.Rand
	most int
	seq  int
	slow bool
}

func (w *world) live() int {
	n := 0
	for _, p := range w.pods {
		if p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

func (w *world) see() {
	if n := w.live(); n > w.most {
		w.most = n
	}
}

func (w *world) CreatePod(_ context.Context, pod *v1.Pod, _ *apps.StatefulSet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pods[pod.Name] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "pods"}, pod.Name)
	}
	p := pod.DeepCopy()
	w.seq++
	p.UID = types.UID(fmt.Sprint("pod-", w.seq))
	p.Status.Phase = v1.PodPending
	w.pods[p.Name] = p
	w.see()
	return nil
}
func (w *world) GetPod(_, name string) (*v1.Pod, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.pods[name]; p != nil {
		return p.DeepCopy(), nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, name)
}
func (w *world) UpdatePod(pod *v1.Pod, _ *apps.StatefulSet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[pod.Name] = pod.DeepCopy()
	return nil
}
func (w *world) DeletePod(pod *v1.Pod) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.pods[pod.Name]; p != nil {
		now := metav1.Now()
		p.DeletionTimestamp = &now
	}
	return nil
}
func (w *world) CreateClaim(*v1.PersistentVolumeClaim, *apps.StatefulSet) error { return nil }
func (w *world) GetClaim(_, name string) (*v1.PersistentVolumeClaim, error) {
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumeclaims"}, name)
}
func (w *world) UpdateClaim(*v1.PersistentVolumeClaim, *apps.StatefulSet) error { return nil }
func (w *world) UpdateStatefulSetStatus(_ context.Context, set *apps.StatefulSet, st *apps.StatefulSetStatus) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	st.DeepCopyInto(&set.Status)
	st.DeepCopyInto(&w.set.Status)
	return nil
}

func prep(s *apps.StatefulSet) *apps.StatefulSet {
	s = s.DeepCopy()
	s.Namespace, s.Name, s.UID = "default", "ss", "ss-uid"
	l := map[string]string{"app": "a"}
	if s.Spec.Selector == nil {
		s.Spec.Selector = &metav1.LabelSelector{MatchLabels: l}
	}
	if s.Spec.Template.Labels == nil {
		s.Spec.Template.Labels = l
	}
	if len(s.Spec.Template.Spec.Containers) == 0 {
		s.Spec.Template.Spec.Containers = []v1.Container{{Name: "c", Image: "img:v0"}}
	}
	if s.Spec.Replicas == nil { // API default
		one := int32(1)
		s.Spec.Replicas = &one
	}
	if s.Spec.PodManagementPolicy == "" {
		s.Spec.PodManagementPolicy = apps.OrderedReadyPodManagement
	}
	if s.Spec.UpdateStrategy.Type == "" {
		s.Spec.UpdateStrategy.Type = apps.RollingUpdateStatefulSetStrategyType
	}
	if s.Spec.UpdateStrategy.Type == apps.RollingUpdateStatefulSetStrategyType {
		if s.Spec.UpdateStrategy.RollingUpdate == nil {
			s.Spec.UpdateStrategy.RollingUpdate = &apps.RollingUpdateStatefulSetStrategy{}
		}
	}
	if s.Spec.UpdateStrategy.Type == apps.OnDeleteStatefulSetStrategyType {
		s.Spec.UpdateStrategy.RollingUpdate = nil // the API refuses it
	}
	if ru := s.Spec.UpdateStrategy.RollingUpdate; ru != nil && ru.Partition == nil {
		z := int32(0)
		ru.Partition = &z
	}
	if s.Spec.RevisionHistoryLimit == nil {
		ten := int32(10)
		s.Spec.RevisionHistoryLimit = &ten
	}
	return s
}

func newWorld(set *apps.StatefulSet, seed int64) *world {
	w := &world{pods: map[string]*v1.Pod{}, set: prep(set), r: rand.New(rand.NewSource(seed))}
	f := informers.NewSharedInformerFactory(k8sfake.NewSimpleClientset(), 0)
	h := history.NewFakeHistory(f.Apps().V1().ControllerRevisions())
	w.ctl = statefulset.NewDefaultStatefulSetControl(statefulset.NewStatefulPodControlFromManager(w, &record.FakeRecorder{}), w, h)
	return w
}

var clock = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *world) step(full bool) error {
	var l []*v1.Pod
	w.mu.Lock()
	for _, p := range w.pods {
		l = append(l, p.DeepCopy())
	}
	set := w.set.DeepCopy()
	w.mu.Unlock()
	// map order is random in Go: sort by name for determinism
	for i := range l {
		for j := i + 1; j < len(l); j++ {
			if l[j].Name < l[i].Name {
				l[i], l[j] = l[j], l[i]
			}
		}
	}
	_, err := w.ctl.UpdateStatefulSet(context.Background(), set, l, clock)
	w.see()
	clock = clock.Add(time.Minute)
	var names []string
	for n := range w.pods {
		names = append(names, n)
	}
	for i := range names {
		for j := i + 1; j < len(names); j++ {
			if names[j] < names[i] {
				names[i], names[j] = names[j], names[i]
			}
		}
	}
	for _, n := range names {
		p := w.pods[n]
		if p.DeletionTimestamp != nil {
			if full || w.r.Intn(3) > 0 {
				delete(w.pods, n)
			}
			continue
		}
		ready := p.Status.Phase == v1.PodRunning
		switch {
		case !ready && (full || w.r.Intn(3) == 0), ready && !full && w.r.Intn(30) == 0:
			st := v1.ConditionTrue
			p.Status.Phase = v1.PodRunning
			if ready { // flap
				p.Status.Phase, st = v1.PodPending, v1.ConditionFalse
			}
			p.Status.Conditions = []v1.PodCondition{{Type: v1.PodReady, Status: st, LastTransitionTime: metav1.NewTime(clock.Add(-time.Hour))}}
		}
	}
	return err
}

func (w *world) steady() {
	for i := 0; i < 4*int(*w.set.Spec.Replicas)+60; i++ {
		_ = w.step(true)
	}
}

func (w *world) image(n int) {
	w.set.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("img:v%d", n)
	w.set.Generation++
}

func alone(s *apps.StatefulSet, seed int64) int {
	best := 0
	for k := int64(0); k < 4; k++ {
		w := newWorld(s, seed+k)
		w.steady()
		w.see()
		w.image(1)
		for i := 0; i < 80; i++ {
			if i == 40 {
				w.image(2)
			}
			_ = w.step(false)
		}
		if w.most > best {
			best = w.most
		}
	}
	return best
}

func transition(old, nw *apps.StatefulSet, seed int64) int {
	best := 0
	for k := int64(0); k < 6; k++ {
		w := newWorld(old, seed+k)
		w.steady()
		if k%2 == 1 {
			w.image(1)
			for i := 0; i < 5; i++ {
				_ = w.step(false)
			}
		}
		w.most = 0
		w.see()
		n := prep(nw)
		n.Spec.Template.Spec.Containers[0].Image = w.set.Spec.Template.Spec.Containers[0].Image
		n.Spec.PodManagementPolicy = w.set.Spec.PodManagementPolicy // immutable
		n.Status = w.set.Status
		n.Generation = w.set.Generation + 1
		w.set = n
		for i := 0; i < 10*int(*n.Spec.Replicas)+120; i++ {
			_ = w.step(i%7 == 6)
		}
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
		res.Old = alone(c.Old, seed)
	}
	if c.New != nil {
		res.New = alone(c.New, seed)
	}
	if c.Old != nil && c.New != nil {
		res.Trans = transition(c.Old, c.New, seed)
	}
	return
}

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	var in struct {
		Cases []testCase `json:"cases"`
	}
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b, &in); err != nil {
		panic(err)
	}
	out := make([]result, 0, len(in.Cases))
	for i, c := range in.Cases {
		out = append(out, run(c, int64(i+1)*100))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	_ = e.Encode(out)
}
