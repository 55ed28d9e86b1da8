package deployment

import "k8s.io/apimachinery/pkg/runtime"

type quietRecorder struct{}

func (quietRecorder) Event(runtime.Object, string, string, string)                  {}
func (quietRecorder) Eventf(runtime.Object, string, string, string, ...interface{}) {}
func (quietRecorder) AnnotatedEventf(runtime.Object, map[string]string, string, string, string, ...interface{}) {
}
