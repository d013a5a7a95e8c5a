package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASiteServesAPackagesPagesAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pkg/usr/share/doc/pkg/html/index.html":      "<p>first",
		"pkg/usr/share/doc/pkg/html/a b.html.pt-br":  "<p>segunda",
		"pkg/usr/share/doc/pkg/html/deep/index.html": "<p>deep",
		"pkg/usr/share/doc/pkg/copyright":            "not served",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	p, err := unpacked("pkg", dir)
	require.NoError(t, err)
	require.Len(t, p.pages, 3)
	s, err := newSite(p)
	require.NoError(t, err)
	defer s.close()
	server := httptest.NewServer(s)
	defer server.Close()
	get := func(path string) (int, string, string) {
		r, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, r.Header.Get("Content-Type"), string(b)
	}
	_, _, first := get("/")
	assert.Contains(t, first, `href="/deep/index.html"`)
	assert.Contains(t, first, `href="/a%20b.html.pt-br"`)
	_, kind, map_ := get("/sitemap.xml")
	assert.Equal(t, "application/xml", kind)
	assert.Contains(t, map_, server.URL+"/a%20b.html.pt-br")
	code, kind, text := get("/a%20b.html.pt-br")
	assert.Equal(t, []any{200, "text/html", "<p>segunda"}, []any{code, kind, text})
	for _, path := range []string{"/copyright", "/../copyright", "/%2e%2e/copyright"} {
		code, _, text := get(path)
		assert.Equal(t, 404, code, path)
		assert.NotContains(t, text, "not served")
	}
}
