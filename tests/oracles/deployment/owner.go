package main

import (
	"fmt"

	apps "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owner prints what the real controller does when somebody else touches a ReplicaSet of its.
func owner() {
	R := int32(4)
	d := func() *apps.Deployment { return &apps.Deployment{Spec: apps.DeploymentSpec{Replicas: &R}} }
	rec := func() *apps.Deployment {
		x := d()
		x.Spec.Strategy.Type = apps.RecreateDeploymentStrategyType
		return x
	}
	type sc struct {
		name string
		d    *apps.Deployment
		pre  func(w *world)
		do   func(w *world, rs *apps.ReplicaSet)
	}
	pause := func(w *world) { x := w.get(); x.Spec.Paused = true; w.put(x); w.sync() }
	mid := func(w *world) { w.newImage(); w.sync(); w.pods(false); w.sync() }
	scale := func(n int32) func(*world, *apps.ReplicaSet) {
		return func(w *world, rs *apps.ReplicaSet) { *rs.Spec.Replicas = n }
	}
	for _, s := range []sc{
		{"running, only RS scaled 4->9", d(), nil, scale(9)},
		{"paused, one RS scaled 4->9", d(), pause, scale(9)},
		{"paused in the middle, an RS scaled to 9", d(), func(w *world) { mid(w); pause(w) }, scale(9)},
		{"Recreate running, RS scaled 4->9", rec(), nil, scale(9)},
		{"Recreate paused, idle old RS scaled 0->9", rec(), func(w *world) {
			w.newImage()
			for i := 0; i < 8; i++ {
				w.sync()
				w.pods(true)
			}
			pause(w)
		}, func(w *world, rs *apps.ReplicaSet) { n := int32(9); rs.Spec.Replicas = &n }},
		{"selector label of RS removed", d(), nil, func(w *world, rs *apps.ReplicaSet) { delete(rs.Labels, "app") }},
		{"pod-template-hash label of RS removed", d(), nil, func(w *world, rs *apps.ReplicaSet) { delete(rs.Labels, "pod-template-hash") }},
		{"ownerReference of RS removed", d(), nil, func(w *world, rs *apps.ReplicaSet) { rs.OwnerReferences = nil }},
		{"ownerReference of RS given to another", d(), nil, func(w *world, rs *apps.ReplicaSet) {
			t := true
			rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "other", Controller: &t}}
		}},
		{"template of RS changed", d(), nil, func(w *world, rs *apps.ReplicaSet) { rs.Spec.Template.Spec.Containers[0].Image = "other" }},
	} {
		w := begin(s.d, 7)
		if s.pre != nil {
			s.pre(w)
		}
		sets := w.sets()
		i := 0
		if s.name[:8] == "Recreate" { // the oldest / idle one
			for k := range sets {
				if *sets[k].Spec.Replicas == 0 {
					i = k
				}
			}
		}
		rs := sets[i].DeepCopy()
		s.do(w, rs)
		_, err := w.kube.AppsV1().ReplicaSets(ns).Update(ctx, rs, metav1.UpdateOptions{})
		must(err)
		w.most = 0
		w.see()
		for k := 0; k < 30; k++ {
			w.sync()
			w.pods(true)
		}
		out := ""
		for _, x := range w.sets() {
			o := "orphan"
			if c := metav1.GetControllerOf(&x); c != nil {
				o = string(c.UID)
			}
			out += fmt.Sprintf(" %s=%d(%s)", x.Name, *x.Spec.Replicas, o)
		}
		fmt.Printf("%-45s most %d, at last:%s err=%v\n", s.name, w.most, out, w.err)
	}
}
