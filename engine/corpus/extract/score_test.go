package extract

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/internal/shareddata"
)

func unpack(t testing.TB, name string) []byte {
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return b
}

type truth struct{ ID, Type, Text, URL string }

// truths are pages of the benchmark WCXB with the text that each should give.
func truths(t testing.TB) (all []truth, pages string) {
	dir := shareddata.Path(t, "html")
	for d := json.NewDecoder(strings.NewReader(string(unpack(t, filepath.Join(dir, "truth.jsonl.gz"))))); d.More(); {
		var r truth
		require.NoError(t, d.Decode(&r))
		all = append(all, r)
	}
	return all, filepath.Join(dir, "pages")
}

var wordRE = regexp.MustCompile(`[\p{L}\p{M}\p{N}_]+`)

func bag(s string) (m map[string]int, n int) {
	m = map[string]int{}
	for _, w := range wordRE.FindAllString(strings.ToLower(s), -1) {
		m[w]++
		n++
	}
	return m, n
}

// wordF1 is the benchmark's measure: the overlap of two texts as bags of words.
func wordF1(got, want string) (f, precision, recall float64) {
	a, na := bag(got)
	b, nb := bag(want)
	both := 0
	for w, n := range a {
		both += min(n, b[w])
	}
	if na == 0 || nb == 0 || both == 0 {
		if na == nb {
			return 1, 1, 1
		}
		return 0, 0, 0
	}
	precision, recall = float64(both)/float64(na), float64(both)/float64(nb)
	return 2 * precision * recall / (precision + recall), precision, recall
}

// The rules were made while looking at one half of the pages; of the other half only these means were looked at.
func TestTextAgreesWithTheBenchmark(t *testing.T) {
	all, pages := truths(t)
	type mean struct{ n, f, p, r float64 }
	means := map[string]*mean{}
	for _, r := range all {
		res := HTML(unpack(t, filepath.Join(pages, r.ID+".html.gz")), "")
		f, p, rec := wordF1(res.Text, r.Text)
		half := []string{"seen", "held out"}[crc32.ChecksumIEEE([]byte(r.ID+".html"))%2]
		for _, k := range []string{r.Type + " " + half, "all " + half, r.Type, "all"} {
			m := means[k]
			if m == nil {
				m = &mean{}
				means[k] = m
			}
			m.n, m.f, m.p, m.r = m.n+1, m.f+f, m.p+p, m.r+rec
		}
	}
	// floors: a little under what was reached; each is above the best of the extractors in the data's README
	floor := map[string]float64{"article": 0.956, "documentation": 0.922, "forum": 0.828, "service": 0.85, "product": 0.714,
		"collection": 0.705, "listing": 0.725, "all": 0.867, "all held out": 0.842, "forum held out": 0.835}
	for _, kind := range []string{"article", "documentation", "forum", "service", "product", "collection", "listing", "all"} {
		var line strings.Builder
		for _, k := range []string{kind + " seen", kind + " held out", kind} {
			m := means[k]
			require.NotNil(t, m, k)
			fmt.Fprintf(&line, "  %4.0f pages F1 %.3f P %.3f R %.3f", m.n, m.f/m.n, m.p/m.n, m.r/m.n)
			if want, ok := floor[k]; ok {
				assert.GreaterOrEqual(t, m.f/m.n, want, k)
			}
		}
		t.Logf("%-14s%s", kind, line.String())
	}
}
