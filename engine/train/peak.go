package train

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"forja/engine/graph"
	"forja/kernels"
)

// Peak is the rate, in FLOP/s, of the device's own matrix product in a dtype, best of a few: what MFU is measured against
// where no data sheet says more.
func Peak(b kernels.Backend, d kernels.DType) (float64, error) {
	n := 1024
	switch b.Info().Kind {
	case "cuda":
		n = 8192 // enough to fill a card
	case "sim":
		n = 128 // all that a simulator can afford
	}
	t, err := best(b, d, n, func(y, x, w kernels.Tensor) { b.Linear(y, x, w, kernels.Epilogue{}) })
	return 2 * float64(n) * float64(n) * float64(n) / t.Seconds(), err
}

// Bandwidth is the rate, in bytes/s read and written, at which the device copies memory, best of a few.
func Bandwidth(b kernels.Backend) (float64, error) {
	n := 8192 // 256 MiB a tensor: no cache holds it
	if b.Info().Kind == "sim" {
		n = 256
	}
	t, err := best(b, kernels.F32, n, func(y, x, _ kernels.Tensor) { b.Copy(y, x) })
	return 2 * 4 * float64(n) * float64(n) / t.Seconds(), err
}

// best times a call on matrices of side n.
func best(b kernels.Backend, d kernels.DType, n int, call func(y, x, w kernels.Tensor)) (time.Duration, error) {
	const tries = 5
	s := graph.NewSession(b)
	defer s.Close()
	x, w, y := graph.NewVar("x", d, n, n), graph.NewVar("w", d, n, n), graph.NewVar("y", d, n, n)
	if err := s.Add(x, w, y); err != nil {
		return 1, err
	}
	values := noise(n*n, d)
	b.Upload(x.Tensor(), values)
	b.Upload(w.Tensor(), values)
	least := time.Duration(1 << 62)
	for range tries {
		start := time.Now()
		call(y.Tensor(), x.Tensor(), w.Tensor())
		if err := b.Sync(); err != nil {
			return 1, err
		}
		least = min(least, time.Since(start))
	}
	return least, nil
}

// noise is n numbers in [-1, 1) of a dtype: a card computes faster with constants than with what a model holds.
func noise(n int, d kernels.DType) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = random.Float32()*2 - 1
	}
	b := make([]byte, 0, n*d.Size())
	if d == kernels.BF16 {
		for _, v := range kernels.ToBF16(x) {
			b = binary.NativeEndian.AppendUint16(b, v)
		}
		return b
	}
	for _, v := range x {
		b = binary.NativeEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
