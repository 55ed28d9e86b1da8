package main

import (
	"fmt"
	"go/ast"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// taggedKeys collects the keys of every metadata struct declared in a file.
func (s *source) taggedKeys(f *file) ([]Key, error) {
	var keys []Key
	for _, name := range structNames(f) {
		st := f.pkg.structs[name]
		if !hasTriggerIndex(st.fields) {
			continue // a nested struct, or not a metadata struct at all
		}
		k, err := s.structKeys(st, false)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys = append(keys, k...)
	}
	return keys, nil
}

// structKeys collects the keys of one struct. An optional parent makes all of
// its fields optional, as in KEDA's parseTypedConfig.
func (s *source) structKeys(st *structure, parentOptional bool) ([]Key, error) {
	var keys []Key
	for _, field := range st.fields.List {
		tag, ok := kedaTag(field)
		if !ok {
			continue
		}
		params, err := parseTag(tag)
		if err != nil {
			return nil, err
		}
		params.Optional = params.Optional || parentOptional
		if len(params.Names) == 0 { // no name: a nested struct
			nested := s.structOf(st.file, field.Type)
			if nested == nil {
				return nil, fmt.Errorf("cannot find nested struct %s", typeString(field.Type))
			}
			k, err := s.structKeys(nested, params.Optional)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k...)
			continue
		}
		if !slices.Contains(params.Order, "triggerMetadata") && !slices.Contains(params.Order, "resolvedEnv") {
			continue // comes from a TriggerAuthentication only
		}
		params.Field = fieldName(field)
		params.Type = typeString(field.Type)
		for _, name := range params.Names {
			k := params
			k.Name = name
			if !slices.Contains(params.Order, "triggerMetadata") {
				k.Name += "FromEnv" // the only metadata key that leads here
			}
			if len(k.Names) == 1 {
				k.Names = nil
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// parseTag reads one `keda` tag the way KEDA's paramsFromTag does.
func parseTag(tag string) (Key, error) {
	var k Key
	for _, part := range strings.Split(tag, ",") {
		split := strings.Split(part, "=")
		value, hasValue := "", len(split) > 1
		if hasValue {
			value = strings.TrimSpace(split[1])
		}
		switch name := strings.TrimSpace(split[0]); name {
		case "name":
			k.Names = strings.Split(value, ";")
		case "order":
			for _, o := range strings.Split(value, ";") {
				k.Order = append(k.Order, strings.TrimSpace(o))
			}
		case "default":
			k.Default = value
		case "optional":
			k.Optional = true
			if hasValue {
				k.Optional, _ = strconv.ParseBool(value)
			}
		case "deprecated":
			k.Deprecated = valueOr(value, name)
		case "deprecatedAnnounce":
			k.Announced = valueOr(value, name)
		case "enum":
			k.Enum = strings.Split(value, ";")
		case "", "exclusiveSet", "range", "separator":
		default:
			return k, fmt.Errorf("unknown tag parameter %q in %q", name, tag)
		}
	}
	return k, nil
}

func valueOr(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// structOf resolves a field's type to a struct declaration in KEDA.
func (s *source) structOf(f *file, expr ast.Expr) *structure {
	switch t := expr.(type) {
	case *ast.StarExpr:
		return s.structOf(f, t.X)
	case *ast.Ident:
		return f.pkg.structs[t.Name]
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok {
			if p := s.imported(f, x.Name); p != nil {
				return p.structs[t.Sel.Name]
			}
		}
	}
	return nil
}

// structNames lists the structs of a file in the order they are declared.
func structNames(f *file) []string {
	var names []string
	for _, d := range f.syntax.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok && f.pkg.structs[ts.Name.Name] != nil {
				names = append(names, ts.Name.Name)
			}
		}
	}
	return names
}

// hasTriggerIndex tells whether TypedConfig would accept the struct.
func hasTriggerIndex(fields *ast.FieldList) bool {
	for _, field := range fields.List {
		for _, name := range field.Names {
			if name.Name == "triggerIndex" || name.Name == "TriggerIndex" {
				return true
			}
		}
	}
	return false
}

func kedaTag(field *ast.Field) (string, bool) {
	if field.Tag == nil {
		return "", false
	}
	raw, err := strconv.Unquote(field.Tag.Value)
	if err != nil {
		return "", false
	}
	return reflect.StructTag(raw).Lookup("keda")
}

func fieldName(field *ast.Field) string {
	if len(field.Names) == 0 {
		return typeString(field.Type)
	}
	return field.Names[0].Name
}

// typeString prints the few kinds of type expression that metadata fields use.
func typeString(expr ast.Expr) string {
	switch t := expr.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return "*" + typeString(t.X)
	case *ast.SelectorExpr:
		return typeString(t.X) + "." + t.Sel.Name
	case *ast.ArrayType:
		return "[]" + typeString(t.Elt)
	case *ast.MapType:
		return "map[" + typeString(t.Key) + "]" + typeString(t.Value)
	}
	return "?"
}
