package arch

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// layers lists packages from the top down: a package may import those of lower lines, never of its own line or above.
// A package belongs to the entry that is its longest prefix; packages of one entry may import each other.
var layers = [][]string{
	{"cmd"},
	{"bench"},
	{"engine/sched", "engine/serve", "engine/report"},
	{"engine/align"},
	{"engine/train", "engine/corpus"},
	{"engine/eval"},
	{"engine/gen"},
	{"engine/format", "engine/data", "engine/optim", "engine/dist"},
	{"engine/model"},
	{"engine/graph"},
	{"tokenizer", "engine/recipe", "engine/device", "engine/vfs"}, // leaves
	{"kernels"},
}

// leaves import nothing of forja.
var leaves = []string{"tokenizer", "engine/recipe", "engine/device", "engine/vfs", "kernels"}

// only says which packages may import a path, by prefix.
var only = map[string][]string{
	"github.com/ebitengine/purego":     {"kernels/cuda", "engine/device", "engine/dist", "bench"},
	"github.com/NVIDIA/go-nvml":        {"engine/device"},
	"github.com/spf13/cobra":           {"cmd"},
	"github.com/spf13/pflag":           {"cmd"},
	"github.com/goccy/go-yaml":         {"engine/recipe"},
	"flag":                             {"cmd", "bench"},
	"github.com/ardanlabs/jinja":       {"engine/data/chat"},
	"pgregory.net/rapid":               {},
	"github.com/stretchr/testify":      {"kernels/kerneltest", "engine/vfs/vfstest"},
	"go.uber.org/goleak":               {},
	"github.com/dlclark/regexp2/v2":    {"tokenizer"},
	"github.com/klauspost/compress":    {"engine/corpus"},
	"github.com/ledongthuc/pdf":        {"engine/corpus/extract/pdf"},
	"github.com/andybalholm/brotli":    {"engine/corpus"},
	"github.com/parquet-go/parquet-go": {},
	"github.com/minio/minio-go":        {"engine/corpus/store"},
	"github.com/zeebo/xxh3":            {"engine/corpus"},
	"golang.org/x/net":                 {"engine/corpus"},
}

type pkg struct {
	ImportPath, Dir, Name, Doc                 string
	Imports                                    []string
	GoFiles, TestGoFiles, XTestGoFiles, SFiles []string
	IgnoredGoFiles                             []string
}

func packages(t *testing.T) (ps []pkg) {
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		require.NoError(t, d.Decode(&p))
		p.ImportPath = strings.TrimPrefix(p.ImportPath, "forja/")
		ps = append(ps, p)
	}
	require.NotEmpty(t, ps)
	return ps
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// place finds a package's line and entry.
func place(path string) (line int, entry string) {
	line = -1
	for i, l := range layers {
		for _, e := range l {
			if under(path, e) && len(e) > len(entry) {
				line, entry = i, e
			}
		}
	}
	return line, entry
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		if under(p.ImportPath, "internal") {
			continue
		}
		line, entry := place(p.ImportPath)
		if !assert.GreaterOrEqual(t, line, 0, "%s belongs to no layer: add it to layers, with a reason in ARCHITECTURE.md", p.ImportPath) {
			continue
		}
		for _, in := range p.Imports {
			in, ours := strings.CutPrefix(in, "forja/")
			if !ours {
				continue
			}
			to, toEntry := place(in)
			assert.True(t, toEntry == entry || to > line, "%s must not import %s: imports point down, never within a line", p.ImportPath, in)
			if slices.Contains(leaves, entry) {
				assert.Equal(t, entry, toEntry, "%s is a leaf and imports %s", p.ImportPath, in)
			}
		}
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, p := range packages(t) {
		for _, in := range p.Imports {
			for lib, where := range only {
				if under(in, lib) {
					ok := slices.ContainsFunc(where, func(w string) bool { return under(p.ImportPath, w) })
					assert.True(t, ok, "%s imports %s, which belongs in %v", p.ImportPath, in, where)
				}
			}
		}
	}
}

// The tag nocuda makes a program that needs no C library: see kernels/cuda/driver.
func TestWithoutCUDANothingNeedsPurego(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-tags", "nocuda", "./cmd/forja")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "forja/kernels/cuda/driver")
	assert.NotContains(t, string(out), "purego")
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 {
			assert.GreaterOrEqual(t, len(p.Doc), 20, "%s has no package comment", p.ImportPath)
		}
		for _, bad := range []string{"util", "utils", "common", "helpers", "types", "misc"} {
			assert.NotEqual(t, bad, p.Name, p.ImportPath)
		}
	}
}

// files walks the Go files of the repository.
func files(t *testing.T, visit func(path string, src []byte)) {
	n := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			n++
			visit(filepath.ToSlash(rel), src)
		}
		return nil
	}))
	require.Greater(t, n, 50)
}

func TestOnlyCommandsTouchTheProcess(t *testing.T) {
	calls := map[string][]string{"os": {"Exit"}, "fmt": {"Print", "Printf", "Println"}, "log": {"Fatal", "Fatalf", "Fatalln"}}
	files(t, func(path string, src []byte) {
		top := strings.Split(path, "/")[0]
		if top == "cmd" || top == "bench" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/gen/main.go") || strings.Contains(path, "/_gen/") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(calls[x.Name], s.Sel.Name) {
					assert.Fail(t, path+" calls "+x.Name+"."+s.Sel.Name+": only cmd and bench may")
				}
			}
			return true
		})
	})
}

func TestFilesStayShort(t *testing.T) {
	files(t, func(path string, src []byte) {
		if bytes.Contains(src[:min(len(src), 200)], []byte("Code generated")) {
			return
		}
		lines := bytes.Count(src, []byte("\n"))
		assert.LessOrEqual(t, lines, 700, "%s has %s lines: one subject a file", path, strconv.Itoa(lines))
	})
}
