package cuda

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// On a card, every product of known models, as planned and with every other tile: the figures that the tiles' rates and the choice
// of tiles are to be held to.
func BenchmarkProducts(bench *testing.B) {
	device, err := kernels.OpenDevice(func() (kernels.Backend, error) { return Open(Options{}) })
	if err != nil {
		bench.Skip(err)
	}
	defer func() { require.NoError(bench, device.Close()) }()
	for _, m := range models {
		for _, pr := range m.projections {
			for l := nt; l <= tn; l++ {
				benchmarkProduct(bench, device, m.name, m.tokens, pr, l)
			}
		}
	}
}

// The benchmark runs, with a small model on the simulator.
func TestProductsCanBeMeasured(t *testing.T) {
	device, err := kernels.OpenDevice(func() (kernels.Backend, error) { return Open(Options{Simulate: true, Memory: 64 << 20}) })
	require.NoError(t, err)
	measured := 0
	withOperands(t, device, 40, projection{n: 48, k: 64, bias: true, act: kernels.GELU}, nt, func(b *Backend, p *product) {
		for _, how := range b.preferred(p) {
			rate, err := b.measure(p, how, 1)
			require.NoError(t, err)
			require.Positive(t, rate)
			measured++
		}
	})
	require.Greater(t, measured, len(tiles90))
	require.NoError(t, device.Close())
}

// withOperands calls f with a product whose operands are on a device.
func withOperands(t testing.TB, device *kernels.Device, tokens int, pr projection, l layout, f func(*Backend, *product)) {
	require.NoError(t, device.Do(context.Background(), func(backend kernels.Backend) error {
		b := backend.(*Backend)
		p := pr.products(b, tokens)[l]
		for _, x := range []*kernels.Tensor{&p.a, &p.b, &p.out, &p.bias, &p.pre, &p.residual} {
			if x.Nil() {
				continue
			}
			buf, err := b.Alloc(x.Size() * x.DType.Size())
			if err != nil {
				return err
			}
			defer b.Free(buf)
			x.Buf = buf
			b.noise(buf, x.DType)
		}
		f(b, p)
		return b.Sync()
	}))
}

// noise fills a buffer with random numbers: zeros draw less power, and run faster.
func (b *Backend) noise(buf kernels.Buffer, d kernels.DType) {
	r := rand.New(rand.NewPCG(1, 2))
	piece := make([]byte, min(buf.Size(), 16<<20))
	for i := 0; i < len(piece); i += d.Size() {
		put(piece[i:], d, r.NormFloat64())
	}
	all := kernels.New(buf, kernels.U8, buf.Size())
	for at := 0; at < buf.Size(); at += len(piece) {
		n := min(len(piece), buf.Size()-at)
		b.Upload(all.Columns(at, at+n), piece[:n])
	}
}

// preferred is, for each tile that can make a product, the number of slices that the model likes best.
func (b *Backend) preferred(p *product) (list []gemmPlan) {
	seconds := func(how gemmPlan) float64 { return b.figures().seconds(p, how.tile, how.splits, b.sms) }
	b.plans(p, func(how gemmPlan) {
		last := len(list) - 1
		switch {
		case last < 0 || list[last].tile != how.tile:
			list = append(list, how)
		case seconds(how) < seconds(list[last]):
			list[last] = how
		}
	})
	return list
}

// measure is the rate of a product in operations per second, the best of several runs of ten.
func (b *Backend) measure(p *product, how gemmPlan, runs int) (float64, error) {
	const row = 10
	best := time.Duration(1 << 62)
	for range runs + 1 { // the first compiles the kernel
		start := time.Now()
		for range row {
			b.multiplyAs(p, how)
		}
		if err := b.Sync(); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
	}
	return 2 * float64(p.m) * float64(p.n) * float64(p.k) * row / best.Seconds(), nil
}

// benchmarkProduct reports a product with each tile.
func benchmarkProduct(bench *testing.B, device *kernels.Device, model string, tokens int, pr projection, l layout) {
	var plans []gemmPlan
	var rates, expected []float64
	var chosen gemmPlan
	withOperands(bench, device, tokens, pr, l, func(b *Backend, p *product) {
		chosen = b.plan(p)
		for _, how := range b.preferred(p) {
			rate, err := b.measure(p, how, 5)
			require.NoError(bench, err)
			plans, rates = append(plans, how), append(rates, rate)
			expected = append(expected, 2*float64(p.m)*float64(p.n)*float64(p.k)/b.figures().seconds(p, how.tile, how.splits, b.sms))
		}
	})
	for i, how := range plans {
		mark := ""
		if how == chosen {
			mark = " chosen"
		}
		bench.Run(fmt.Sprintf("%s %s %v/%s in %d%s", model, pr.name, l, how.tile.name, how.splits, mark), func(bench *testing.B) {
			bench.ReportMetric(0, "ns/op")
			bench.ReportMetric(rates[i]/1e12, "TFLOP/s")
			bench.ReportMetric(expected[i]/1e12, "expected-TFLOP/s")
		})
	}
}
