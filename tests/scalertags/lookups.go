package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"sort"
	"strings"
)

// found is the outcome of following a constructor: keys looked up by hand, and
// prefixes of keys found by ranging over the metadata map.
type found struct {
	keys     map[string]bool
	prefixes map[string]bool
}

// binding is what is known about a parameter inside a call: that it is the
// trigger's metadata map, or that it is one of a set of constant strings.
type binding struct {
	metadata bool
	strings  []string
}

// walker follows calls from a constructor, remembering the calls it has seen.
type walker struct {
	src  *source
	seen map[string]bool
	out  found
}

// lookups collects the hand-written look-ups reachable from a function.
func (s *source) lookups(fn *function) found {
	w := &walker{
		src:  s,
		seen: map[string]bool{},
		out:  found{keys: map[string]bool{}, prefixes: map[string]bool{}},
	}
	w.walk(fn, map[string]binding{})
	return w.out
}

// walk visits a function body once for every distinct set of bindings.
func (w *walker) walk(fn *function, env map[string]binding) {
	if fn == nil || fn.decl.Body == nil {
		return
	}
	id := callID(fn, env)
	if w.seen[id] {
		return
	}
	w.seen[id] = true

	env = withRangedLiterals(fn, env)
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IndexExpr:
			if isMetadata(n.X, env) {
				for _, key := range w.constants(fn.file, n.Index, env) {
					w.out.keys[key] = true
				}
			}
		case *ast.RangeStmt:
			if isMetadata(n.X, env) {
				w.rangeOver(fn.file, n, env)
			}
		case *ast.CallExpr:
			w.call(fn, n, env)
		}
		return true
	})
}

// rangeOver records a loop over the metadata map: over the keys with some
// prefix if the body tests for one, over all keys otherwise.
func (w *walker) rangeOver(f *file, loop *ast.RangeStmt, env map[string]binding) {
	prefixed := false
	ast.Inspect(loop.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if ok && (sel.Sel.Name == "CutPrefix" || sel.Sel.Name == "HasPrefix") {
			for _, prefix := range w.constants(f, call.Args[1], env) {
				w.out.prefixes[prefix] = true
				prefixed = true
			}
		}
		return true
	})
	if !prefixed {
		w.out.prefixes[""] = true
	}
}

// call follows a call into every KEDA function it may reach.
func (w *walker) call(from *function, call *ast.CallExpr, env map[string]binding) {
	for _, callee := range w.callees(from.file, call) {
		bound := map[string]binding{}
		for i, name := range paramNames(callee.decl) {
			if i >= len(call.Args) {
				break
			}
			if isMetadata(call.Args[i], env) {
				bound[name] = binding{metadata: true}
			} else if c := w.constants(from.file, call.Args[i], env); len(c) > 0 {
				bound[name] = binding{strings: c}
			}
		}
		w.walk(callee, bound)
	}
}

// callees resolves a call by name. Methods are resolved within the caller's own
// file: there is no type information, and scalers keep their methods together.
func (w *walker) callees(f *file, call *ast.CallExpr) []*function {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if fn := f.pkg.funcs[fun.Name]; fn != nil {
			return []*function{fn}
		}
	case *ast.SelectorExpr:
		if x, ok := fun.X.(*ast.Ident); ok {
			if p := w.src.imported(f, x.Name); p != nil {
				if fn := p.funcs[fun.Sel.Name]; fn != nil {
					return []*function{fn}
				}
				return nil
			}
		}
		var methods []*function
		for _, m := range f.pkg.methods[fun.Sel.Name] {
			if m.file == f {
				methods = append(methods, m)
			}
		}
		return methods
	}
	return nil
}

// isMetadata tells whether an expression is the trigger's metadata map.
func isMetadata(e ast.Expr, env map[string]binding) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name == "TriggerMetadata"
	case *ast.Ident:
		return env[e.Name].metadata
	}
	return false
}

// constants returns the constant strings an expression may stand for.
func (w *walker) constants(f *file, e ast.Expr, env map[string]binding) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if v, ok := stringLit(e); ok {
			return []string{v}
		}
	case *ast.Ident:
		if b, ok := env[e.Name]; ok {
			return b.strings
		}
		if v, ok := f.pkg.consts[e.Name]; ok {
			return []string{v}
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if p := w.src.imported(f, x.Name); p != nil {
				if v, ok := p.consts[e.Sel.Name]; ok {
					return []string{v}
				}
			}
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			left, right := w.constants(f, e.X, env), w.constants(f, e.Y, env)
			if len(left) == 1 && len(right) == 1 {
				return []string{left[0] + right[0]}
			}
		}
	}
	return nil
}

// withRangedLiterals binds the key variable of "for k, v := range m" where m is
// a local map literal with constant keys.
func withRangedLiterals(fn *function, env map[string]binding) map[string]binding {
	literals := map[string][]string{}
	bound := make(map[string]binding, len(env))
	for k, v := range env {
		bound[k] = v
	}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if len(n.Lhs) != 1 || len(n.Rhs) != 1 {
				return true
			}
			name, ok := n.Lhs[0].(*ast.Ident)
			if lit, isLit := n.Rhs[0].(*ast.CompositeLit); ok && isLit {
				literals[name.Name] = mapKeys(lit)
			}
		case *ast.RangeStmt:
			m, ok := n.X.(*ast.Ident)
			if key, isIdent := n.Key.(*ast.Ident); ok && isIdent && len(literals[m.Name]) > 0 {
				bound[key.Name] = binding{strings: literals[m.Name]}
			}
		}
		return true
	})
	return bound
}

func mapKeys(lit *ast.CompositeLit) []string {
	if _, ok := lit.Type.(*ast.MapType); !ok {
		return nil
	}
	var keys []string
	for _, elt := range lit.Elts {
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			if v, ok := stringLit(kv.Key); ok {
				keys = append(keys, v)
			}
		}
	}
	return keys
}

func paramNames(decl *ast.FuncDecl) []string {
	var names []string
	for _, field := range decl.Type.Params.List {
		if len(field.Names) == 0 {
			names = append(names, "_")
		}
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// callID identifies a function together with its bindings.
func callID(fn *function, env map[string]binding) string {
	parts := make([]string, 0, len(env))
	for name, b := range env {
		parts = append(parts, fmt.Sprintf("%s=%t:%s", name, b.metadata, strings.Join(b.strings, "|")))
	}
	sort.Strings(parts)
	return fmt.Sprintf("%s/%s/%d %s", fn.file.pkg.dir, fn.file.name, fn.decl.Pos(), strings.Join(parts, ","))
}
