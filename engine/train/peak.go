package train

import (
	"time"

	"forja/engine/graph"
	"forja/kernels"
)

// Peak is the rate, in FLOP/s, of the device's own matrix product of side 1024 in a dtype, best of a few: what MFU is
// measured against where no data sheet says more.
func Peak(b kernels.Backend, d kernels.DType) (float64, error) {
	const n, tries = 1024, 5
	s := graph.NewSession(b)
	defer s.Close()
	x, w, y := graph.NewVar("x", d, n, n), graph.NewVar("w", d, n, n), graph.NewVar("y", d, n, n)
	if err := s.Add(x, w, y); err != nil {
		return 0, err
	}
	best := time.Duration(1 << 62)
	for range tries {
		start := time.Now()
		b.Linear(y.Tensor(), x.Tensor(), w.Tensor(), kernels.Epilogue{})
		if err := b.Sync(); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
	}
	return 2 * n * n * n / best.Seconds(), nil
}
