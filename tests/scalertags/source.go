package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// source is the KEDA tree, parsed package by package on demand.
type source struct {
	root     string
	fset     *token.FileSet
	packages map[string]*pkg
}

// pkg is one parsed package: the declarations the extraction needs, by name.
type pkg struct {
	dir     string
	funcs   map[string]*function   // package-level functions
	methods map[string][]*function // methods, by method name
	structs map[string]*structure
	consts  map[string]string // string constants
}

type file struct {
	name    string // base name
	pkg     *pkg
	imports map[string]string // local name -> directory below the root
	syntax  *ast.File
}

type function struct {
	file *file
	decl *ast.FuncDecl
}

type structure struct {
	file   *file
	fields *ast.FieldList
}

func newSource(root string) *source {
	return &source{root: root, fset: token.NewFileSet(), packages: map[string]*pkg{}}
}

// pkg parses the non-test files of a directory below the root, once.
func (s *source) pkg(dir string) (*pkg, error) {
	if p := s.packages[dir]; p != nil {
		return p, nil
	}
	entries, err := os.ReadDir(filepath.Join(s.root, dir))
	if err != nil {
		return nil, err
	}
	p := &pkg{
		dir:     dir,
		funcs:   map[string]*function{},
		methods: map[string][]*function{},
		structs: map[string]*structure{},
		consts:  map[string]string{},
	}
	s.packages[dir] = p
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		syntax, err := parser.ParseFile(s.fset, filepath.Join(s.root, dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.add(&file{name: name, pkg: p, imports: localImports(syntax), syntax: syntax})
	}
	return p, nil
}

// imported returns the KEDA package that a file imports under a local name, or
// nil for a package outside KEDA.
func (s *source) imported(f *file, local string) *pkg {
	dir, ok := f.imports[local]
	if !ok {
		return nil
	}
	p, err := s.pkg(dir)
	if err != nil {
		return nil
	}
	return p
}

// localImports maps local names to directories, for KEDA's own packages.
func localImports(f *ast.File) map[string]string {
	const module = "github.com/kedacore/keda/v2/"
	imports := map[string]string{}
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !strings.HasPrefix(path, module) {
			continue
		}
		local := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		imports[local] = strings.TrimPrefix(path, module)
	}
	return imports
}

// add records a file's functions, methods, structs and string constants.
func (p *pkg) add(f *file) {
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			fn := &function{file: f, decl: d}
			if d.Recv == nil {
				p.funcs[d.Name.Name] = fn
			} else {
				p.methods[d.Name.Name] = append(p.methods[d.Name.Name], fn)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				p.addSpec(f, d.Tok, spec)
			}
		}
	}
}

func (p *pkg) addSpec(f *file, tok token.Token, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if st, ok := spec.Type.(*ast.StructType); ok {
			p.structs[spec.Name.Name] = &structure{file: f, fields: st.Fields}
		}
	case *ast.ValueSpec:
		if tok != token.CONST {
			return
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if v, ok := stringLit(spec.Values[i]); ok {
					p.consts[name.Name] = v
				}
			}
		}
	}
}

// triggerTypes reads the switch of buildScaler: trigger type -> constructor.
func triggerTypes(p *pkg) (map[string]string, error) {
	fn := p.funcs["buildScaler"]
	if fn == nil {
		return nil, fmt.Errorf("no function buildScaler in %s", p.dir)
	}
	types := map[string]string{}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		constructor := returnedCall(clause.Body)
		for _, expr := range clause.List {
			if v, ok := stringLit(expr); ok && constructor != "" {
				types[v] = constructor
			}
		}
		return false
	})
	if len(types) == 0 {
		return nil, fmt.Errorf("no trigger types in buildScaler")
	}
	return types, nil
}

// returnedCall is the name of F in "return scalers.F(...)".
func returnedCall(body []ast.Stmt) string {
	for _, stmt := range body {
		ret, ok := stmt.(*ast.ReturnStmt)
		if !ok || len(ret.Results) == 0 {
			continue
		}
		call, ok := ret.Results[0].(*ast.CallExpr)
		if !ok {
			continue
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			return sel.Sel.Name
		}
	}
	return ""
}

func stringLit(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	v, err := strconv.Unquote(lit.Value)
	return v, err == nil
}
