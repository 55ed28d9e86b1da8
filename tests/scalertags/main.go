// Command scalertags lists the trigger metadata keys that every KEDA scaler
// reads, straight from KEDA's source and without building KEDA.
//
//	scalertags -keda DIR  > scalertags.json
//
// It follows the switch of pkg/scaling/scalers_builder.go from the trigger type
// to the constructor, and from there collects keys in two ways:
//
//   - struct tags: every struct in the constructor's file that carries `keda`
//     tags and a triggerIndex field (KEDA refuses to parse any other struct),
//     with its nested and embedded structs, in whichever package they live;
//   - hand-written look-ups: TriggerMetadata["key"] in any function reachable
//     from the constructor, with the metadata map and constant keys followed
//     through call arguments.
//
// The output is one JSON object, keyed by trigger type, with sorted keys, so
// that two runs over the same source are byte-identical.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("scalertags: ")
	root := flag.String("keda", "", "root of the KEDA source tree")
	flag.Parse()

	out, err := Extract(*root)
	if err != nil {
		log.Fatal(err)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		log.Fatal(err)
	}
}

// Scaler is what is known about one trigger type.
type Scaler struct {
	File        string `json:"file"`
	Constructor string `json:"constructor"`
	// OpenEnded holds the prefixes of keys the scaler finds by ranging over the
	// whole metadata map; "" means it looks at every key.
	OpenEnded []string `json:"openEnded,omitempty"`
	Keys      []Key    `json:"keys"`
}

// Key is one metadata key. A field with several names gives several keys.
type Key struct {
	Name    string `json:"name"`
	Default string `json:"default"`
	// Deprecated is the text of a `deprecated` tag: setting such a key is an error.
	Deprecated string `json:"deprecated"`
	Optional   bool   `json:"optional"`

	// Announced is the text of a `deprecatedAnnounce` tag: a key that still works.
	Announced string `json:"announced,omitempty"`
	// Order is where KEDA looks the value up, first hit wins. With "resolvedEnv" the
	// key <name>FromEnv names an environment variable; a field that is not read from
	// the metadata itself is listed under that name only. "code" means a
	// hand-written look-up.
	Order []string `json:"order"`
	// Names are all names of the field, in the order KEDA tries them.
	Names []string `json:"names,omitempty"`
	Enum  []string `json:"enum,omitempty"`
	Field string   `json:"field,omitempty"`
	Type  string   `json:"type,omitempty"`
}

// Extract reads the KEDA source tree at root.
func Extract(root string) (map[string]Scaler, error) {
	src := newSource(root)
	builder, err := src.pkg(filepath.Join("pkg", "scaling"))
	if err != nil {
		return nil, err
	}
	scalers, err := src.pkg(filepath.Join("pkg", "scalers"))
	if err != nil {
		return nil, err
	}
	constructors, err := triggerTypes(builder)
	if err != nil {
		return nil, err
	}

	out := make(map[string]Scaler, len(constructors))
	for triggerType, name := range constructors {
		fn := scalers.funcs[name]
		if fn == nil {
			return nil, fmt.Errorf("%s: no constructor %s in %s", triggerType, name, scalers.dir)
		}
		keys, err := src.taggedKeys(fn.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", triggerType, err)
		}
		found := src.lookups(fn)
		out[triggerType] = Scaler{
			File:        fn.file.name,
			Constructor: name,
			OpenEnded:   sortedKeys(found.prefixes),
			Keys:        merge(keys, found.keys),
		}
	}
	return out, nil
}

// merge adds the hand-written keys that no tag declares, and sorts by name.
func merge(tagged []Key, literal map[string]bool) []Key {
	seen := make(map[string]bool, len(tagged))
	for _, k := range tagged {
		seen[k.Name] = true
	}
	keys := append([]Key{}, tagged...)
	for name := range literal {
		if !seen[name] {
			keys = append(keys, Key{Name: name, Optional: true, Order: []string{"code"}})
		}
	}
	sort.SliceStable(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name })
	return keys
}

func sortedKeys(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for k := range set {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}
