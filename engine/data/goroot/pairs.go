package goroot

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"forja/engine/data/chat"
)

// A Pair is a question about the library and its answer.
type Pair struct {
	Kind     string // explain, document, implement, signature, package, where
	Package  string // import path
	Question string
	Answer   string
}

// Messages is the pair as a conversation.
func (p Pair) Messages() []chat.Message {
	return []chat.Message{{Role: chat.User, Content: p.Question}, {Role: chat.Assistant, Content: p.Answer}}
}

// Limits in bytes that keep pairs short enough for small models.
const (
	maxAnswer   = 400 // of prose
	maxFunction = 600 // of source
)

// Pairs returns the instruction pairs of one part of the public library, in an
// order that looks random and is always the same. No question is asked twice.
func Pairs(root string, part Part) ([]Pair, error) {
	packages, err := parse(root)
	if err != nil {
		return nil, err
	}
	names := map[string]int{} // of packages; the ambiguous ones are asked for by their path
	for _, p := range packages {
		names[p.Name]++
	}
	var pairs []Pair
	for _, p := range packages {
		if PartOf(p.ImportPath) != part {
			continue
		}
		q := &asker{pkg: p, name: p.Name}
		if names[p.Name] > 1 {
			q.name = p.ImportPath
		}
		q.ask()
		pairs = append(pairs, q.pairs...)
	}
	pairs = append(pairs, where(packages, part)...)
	seen := map[string]bool{}
	pairs = slices.DeleteFunc(pairs, func(p Pair) bool {
		again := seen[p.Question]
		seen[p.Question] = true
		return again
	})
	if len(pairs) == 0 {
		return nil, errNoPairs
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return cmp.Compare(hash("pair", a.Question), hash("pair", b.Question)) })
	return pairs, nil
}

// A pkg is the documentation of a package and the positions of its files.
type pkg struct {
	*doc.Package
	fset *token.FileSet
}

// parse reads the public packages, as they are on linux/amd64 without cgo,
// whatever this machine is.
func parse(root string) ([]pkg, error) {
	list, err := files(root)
	if err != nil {
		return nil, err
	}
	target := build.Default
	target.GOROOT, target.GOOS, target.GOARCH, target.CgoEnabled = root, "linux", "amd64", false
	byPackage := map[string][]*ast.File{}
	var order []string
	fset := token.NewFileSet()
	for _, f := range list {
		if parts := strings.Split(f.pkg, "/"); parts[0] == "cmd" || parts[0] == "." || slices.Contains(parts, "internal") {
			continue
		}
		if match, err := target.MatchFile(filepath.Join(root, "src", filepath.FromSlash(f.pkg)), path.Base(f.path)); err != nil || !match {
			continue
		}
		b, good, err := f.read(root)
		if err != nil {
			return nil, err
		}
		if !good {
			continue
		}
		parsed, err := parser.ParseFile(fset, f.path, b, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read Go's standard library: %w", err)
		}
		if byPackage[f.pkg] == nil {
			order = append(order, f.pkg)
		}
		byPackage[f.pkg] = append(byPackage[f.pkg], parsed)
	}
	var packages []pkg
	for _, importPath := range order {
		syntax := byPackage[importPath]
		if syntax[0].Name.Name == "main" {
			continue
		}
		d, err := doc.NewFromFiles(fset, syntax, importPath, doc.PreserveAST)
		if err != nil {
			return nil, fmt.Errorf("read Go's standard library: %s: %w", importPath, err)
		}
		packages = append(packages, pkg{d, fset})
	}
	return packages, nil
}

// An asker collects the pairs of one package.
type asker struct {
	pkg   pkg
	name  string // by which questions call the package
	pairs []Pair
}

func (q *asker) add(kind, question, answer string) {
	if answer != "" {
		q.pairs = append(q.pairs, Pair{kind, q.pkg.ImportPath, question, answer})
	}
}

func (q *asker) ask() {
	if synopsis := q.pkg.Synopsis(q.pkg.Doc); synopsis != "" {
		q.add("package", pick(q.name, "What is package %s for?", "What does package %s do?"), synopsis)
	}
	for _, f := range q.pkg.Funcs {
		q.function(f, q.name+"."+f.Name)
	}
	for _, t := range q.pkg.Types {
		q.add("explain", pick(q.name+"."+t.Name, "What is %s?", "Explain the Go type %s."), firstParagraph(t.Doc))
		for _, f := range t.Funcs {
			q.function(f, q.name+"."+f.Name)
		}
		for _, m := range t.Methods {
			if m.Level == 0 { // not promoted from an embedded type
				q.function(m, q.name+"."+t.Name+"."+m.Name)
			}
		}
	}
}

// function asks about one function or method.
func (q *asker) function(f *doc.Func, qualified string) {
	explanation := firstParagraph(f.Doc)
	if explanation == "" || strings.HasPrefix(f.Doc, "Deprecated:") {
		return
	}
	q.add("explain", pick(qualified, "What does %s do?", "Explain %s.", "What is %s for?"), explanation)
	signature := q.source(&ast.FuncDecl{Recv: f.Decl.Recv, Name: f.Decl.Name, Type: f.Decl.Type})
	if signature == "" {
		return
	}
	q.add("signature", pick(qualified, "What is the signature of %s?", "How is %s declared?"), signature)
	comment := "// " + strings.ReplaceAll(firstLines(f.Doc), "\n", "\n// ")
	q.add("document", "Document this Go function:\n\n"+signature, comment)
	if f.Decl.Body != nil && len(f.Decl.Body.List) > 0 {
		if body := q.source(&ast.FuncDecl{Recv: f.Decl.Recv, Name: f.Decl.Name, Type: f.Decl.Type, Body: f.Decl.Body}); len(body) <= maxFunction {
			q.add("implement", "Implement this Go function:\n\n"+comment+"\n"+signature, body)
		}
	}
}

// source prints a declaration without its comments, or "" if it cannot.
func (q *asker) source(decl *ast.FuncDecl) string {
	var b bytes.Buffer
	if err := (&printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}).Fprint(&b, q.pkg.fset, decl); err != nil {
		return ""
	}
	return b.String()
}

// pick chooses one wording of a question by what is asked about.
func pick(about string, wordings ...string) string {
	return fmt.Sprintf(wordings[hash("wording", about)%uint64(len(wordings))], about)
}

// firstLines is the first paragraph of a comment, as it is broken into lines.
func firstLines(comment string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(comment), "\n\n")
	return paragraph
}

// firstParagraph is the first paragraph of a comment on one line, cut behind
// a sentence if it is long. It is "" if the comment starts with something
// else than prose, or its first sentence is too long.
func firstParagraph(comment string) string {
	paragraph := firstLines(comment)
	if strings.Contains("\n"+paragraph, "\n\t") || strings.Contains("\n"+paragraph, "\n - ") || strings.HasSuffix(paragraph, ":") {
		paragraph, _, _ = strings.Cut(paragraph, "\n\t")
		if !strings.HasSuffix(paragraph, ".") {
			return ""
		}
	}
	text := strings.Join(strings.Fields(paragraph), " ")
	for len(text) > maxAnswer {
		cut := strings.LastIndex(text[:len(text)-1], ". ")
		if cut < 0 {
			return ""
		}
		text = text[:cut+1]
	}
	return text
}

// where asks which package has a function, if all that have it are in one part.
func where(packages []pkg, part Part) (pairs []Pair) {
	homes := map[string][]string{}
	var names []string
	for _, p := range packages {
		for _, f := range allFuncs(p.Package) {
			if homes[f] == nil {
				names = append(names, f)
			}
			homes[f] = append(homes[f], p.ImportPath)
		}
	}
	for _, name := range names {
		in := homes[name]
		if len(in) > 3 || slices.ContainsFunc(in, func(p string) bool { return PartOf(p) != part }) {
			continue
		}
		answer := "Package " + in[0] + "."
		if n := len(in); n > 1 {
			answer = "Packages " + strings.Join(in[:n-1], ", ") + " and " + in[n-1] + "."
		}
		pairs = append(pairs, Pair{"where", in[0], fmt.Sprintf("Which Go package has the function %s?", name), answer})
	}
	return pairs
}

// allFuncs are the names of a package's functions, those that go/doc files under types too.
func allFuncs(p *doc.Package) (names []string) {
	for _, f := range p.Funcs {
		names = append(names, f.Name)
	}
	for _, t := range p.Types {
		for _, f := range t.Funcs {
			names = append(names, f.Name)
		}
	}
	return names
}
