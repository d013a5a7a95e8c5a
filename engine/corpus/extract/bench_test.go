package extract

import (
	"path/filepath"
	"testing"
)

// BenchmarkPages extracts every page of the benchmark once per iteration, on one thread.
func BenchmarkPages(b *testing.B) {
	all, dir := truths(b)
	pages := make([][]byte, len(all))
	for i, r := range all {
		pages[i] = unpack(b, filepath.Join(dir, r.ID+".html.gz"))
	}
	total := int64(0)
	for _, p := range pages {
		total += int64(len(p))
	}
	b.SetBytes(total)
	for b.Loop() {
		for _, p := range pages {
			HTML(p, "")
		}
	}
	b.ReportMetric(float64(b.N*len(pages))/b.Elapsed().Seconds(), "docs/s")
}
