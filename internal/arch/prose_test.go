package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	inTree     = regexp.MustCompile(`^(engine|kernels|tokenizer|cmd|bench|internal|docs)(/[A-Za-z0-9_.-]+)*/?$`)
	identifier = regexp.MustCompile(`^([a-z]+)\.([A-Z][A-Za-z0-9]*)(\.[A-Z][A-Za-z0-9]*)?$`)
	fragment   = regexp.MustCompile(`^[a-z_]+(/[a-z_]+)*\.(go|py|md)$`)
)

// TestProseNamesWhatExists holds the pages for contributors to the code: every path and every exported name that they
// quote is there.
func TestProseNamesWhatExists(t *testing.T) {
	exported := map[string]bool{}
	files(t, func(path string, src []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		pkg := filepath.Base(filepath.Dir(path))
		for _, m := range regexp.MustCompile(`(?m)^\t?(?:type |var |func (?:\([a-z]+ \*?[A-Za-z]+\) )?)?([A-Z][A-Za-z0-9]*)\b`).FindAllStringSubmatch(string(src), -1) {
			exported[pkg+"."+m[1]] = true
		}
	})
	var names []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.ToSlash(path))
		}
		return err
	}))
	for _, page := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md"} {
		b, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		found := 0
		for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
			switch name := m[1]; {
			case inTree.MatchString(name) && !strings.Contains(name, "NAME"): // NAME stands for any
				_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
				assert.NoError(t, err, "%s names %s", page, name)
				found++
			case fragment.MatchString(name):
				ok := false
				for _, n := range names {
					ok = ok || strings.HasSuffix(n, "/"+name)
				}
				assert.True(t, ok, "%s names %s", page, name)
				found++
			case identifier.MatchString(name):
				x := identifier.FindStringSubmatch(name)
				assert.True(t, exported[x[1]+"."+x[2]], "%s names %s", page, name)
				found++
			}
		}
		assert.Greater(t, found, 10, page)
	}
}

// TestPagesStayShort keeps what everybody reads first within what anybody reads.
func TestPagesStayShort(t *testing.T) {
	for page, most := range map[string]int{"README.md": 150, "README.pt-BR.md": 150, "ARCHITECTURE.md": 200, "CONTRIBUTING.md": 120} {
		b, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		assert.LessOrEqual(t, strings.Count(string(b), "\n"), most, page)
	}
}

// TestNothingNamesTheMachineItWasWrittenOn refuses absolute paths of somebody's computer in text that is committed.
func TestNothingNamesTheMachineItWasWrittenOn(t *testing.T) {
	machine := regexp.MustCompile(`(^|[\s"'(=` + "`" + `])/(home|Users|root|work)/[a-z]`)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "runs") {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".yaml", ".py", ".sh", "":
			if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
				return err
			}
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			for i, line := range strings.Split(string(b), "\n") {
				assert.False(t, machine.MatchString(line), "%s:%d: %s", path, i+1, line)
			}
		}
		return nil
	}))
}

// TestDependenciesStayFew counts the direct ones that the program itself uses.
func TestDependenciesStayFew(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	inTests := []string{"testify", "rapid", "goleak", "parquet-go", "chromedp", "openai-go"}
	var direct []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(b), -1) {
		only := false
		for _, lib := range inTests {
			only = only || strings.Contains(m[1], lib)
		}
		if !only {
			direct = append(direct, m[1])
		}
	}
	assert.LessOrEqual(t, len(direct), 18, "%v", direct)
}
