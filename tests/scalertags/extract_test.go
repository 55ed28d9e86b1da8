package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// tree is a KEDA in miniature: one scaler for each way to read a key.
var tree = map[string]string{
	"pkg/scaling/scalers_builder.go": `package scaling

func buildScaler(triggerType string, config *Config) (any, error) {
	switch triggerType {
	case "queue":
		return scalers.NewQueueScaler(config)
	case "queue-cluster":
		return scalers.NewQueueScaler(config)
	default:
		return nil, nil
	}
}
`,
	"pkg/scalers/queue_scaler.go": `package scalers

import (
	"strings"

	"github.com/kedacore/keda/v2/pkg/scalers/cloud"
)

const region = "region"

type queueMetadata struct {
	triggerIndex int
	Length   int64         ` + "`keda:\"name=queueLength;length, order=triggerMetadata;resolvedEnv, default=5\"`" + `
	Old      int64         ` + "`keda:\"name=old, order=triggerMetadata, deprecated=Use queueLength\"`" + `
	Password string        ` + "`keda:\"name=password, order=authParams\"`" + `
	Token    string        ` + "`keda:\"name=token, order=resolvedEnv\"`" + `
	Auth     *cloud.Config ` + "`keda:\"optional\"`" + `
}

type response struct{ Count int }

func NewQueueScaler(config *Config) (any, error) {
	meta := &queueMetadata{}
	meta.legacy(config)
	_ = config.TriggerMetadata[region]
	return cloud.Authorize(config.TriggerMetadata, config.AuthParams), nil
}

func (m *queueMetadata) legacy(config *Config) {
	aliases := map[string]string{"alias": "queueLength"}
	for key := range aliases {
		_ = config.TriggerMetadata[key]
	}
	for key := range config.TriggerMetadata {
		_ = strings.HasPrefix(key, "query.")
	}
}
`,
	"pkg/scalers/cloud/auth.go": `package cloud

const endpointKey = "endpoint"

type Config struct {
	Mode string ` + "`keda:\"name=authMode, order=triggerMetadata;authParams, enum=basic;tls\"`" + `
}

func Authorize(metadata, params map[string]string) string {
	_ = params["notMetadata"]
	return property(metadata, endpointKey)
}

func property(values map[string]string, key string) string { return values[key] }
`,
}

func TestExtract(t *testing.T) {
	root := t.TempDir()
	for name, text := range tree {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Extract(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("got %d trigger types, want 2: %v", len(got), got)
	}
	queue := got["queue"]
	if !reflect.DeepEqual(queue, got["queue-cluster"]) {
		t.Errorf("aliases of one constructor differ")
	}
	if queue.File != "queue_scaler.go" || !reflect.DeepEqual(queue.OpenEnded, []string{"query."}) {
		t.Errorf("file %q, open-ended %q", queue.File, queue.OpenEnded)
	}

	code := []string{"code"}
	names := []string{"queueLength", "length"}
	order := []string{"triggerMetadata", "resolvedEnv"}
	want := []Key{
		{Name: "alias", Optional: true, Order: code},
		{Name: "authMode", Optional: true, Order: []string{"triggerMetadata", "authParams"}, Enum: []string{"basic", "tls"}, Field: "Mode", Type: "string"},
		{Name: "endpoint", Optional: true, Order: code},
		{Name: "length", Default: "5", Order: order, Names: names, Field: "Length", Type: "int64"},
		{Name: "old", Deprecated: "Use queueLength", Order: []string{"triggerMetadata"}, Field: "Old", Type: "int64"},
		{Name: "queueLength", Default: "5", Order: order, Names: names, Field: "Length", Type: "int64"},
		{Name: "region", Optional: true, Order: code},
		{Name: "tokenFromEnv", Order: []string{"resolvedEnv"}, Field: "Token", Type: "string"},
	}
	if !reflect.DeepEqual(queue.Keys, want) {
		t.Errorf("keys:\n got %+v\nwant %+v", queue.Keys, want)
	}
}
