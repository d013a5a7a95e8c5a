package cuda

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"forja/kernels"
)

// On a card, every product of known models, as planned and with every other tile: the figures that the tiles' rates and the choice
// of tiles are to be held to. Each is the best of several runs, of random numbers: zeros draw less power and run faster.
func BenchmarkProducts(bench *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := Open(Options{})
	if err != nil {
		bench.Skip(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			bench.Error(err)
		}
	}()
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 64<<20)
	for i := 0; i < len(noise); i += 2 {
		put(noise[i:], kernels.BF16, r.NormFloat64())
	}
	for _, m := range models {
		for _, pr := range m.projections {
			for _, p := range pr.products(b, m.tokens) {
				for _, t := range []*kernels.Tensor{&p.a, &p.b, &p.out, &p.bias, &p.pre, &p.residual} {
					if t.Nil() {
						continue
					}
					buf, err := b.Alloc(t.Size() * t.DType.Size())
					if err != nil {
						bench.Fatal(err)
					}
					defer b.Free(buf)
					t.Buf = buf
					for at := 0; at < buf.Size() && t != &p.out; at += len(noise) {
						n := min(len(noise), buf.Size()-at)
						b.Upload(kernels.New(buf, kernels.U8, buf.Size()).Columns(at, at+n), noise[:n])
					}
				}
				best := map[*gemmTile]gemmPlan{} // of the numbers of slices, the one that the model prefers
				b.plans(p, func(how gemmPlan) {
					seconds := func(how gemmPlan) float64 { return b.figures().seconds(p, how.tile, how.splits, b.sms) }
					if old, ok := best[how.tile]; !ok || seconds(how) < seconds(old) {
						best[how.tile] = how
					}
				})
				chosen := b.plan(p)
				for _, list := range b.tiles() {
					for i := range list {
						how, ok := best[&list[i]]
						if !ok {
							continue
						}
						mark := ""
						if how == chosen {
							mark = " chosen"
						}
						name := fmt.Sprintf("%s %s %v/%s in %d%s", m.name, pr.name, p.layout, how.tile.name, how.splits, mark)
						bench.Run(name, func(bench *testing.B) { measure(bench, b, p, how) })
					}
				}
			}
		}
	}
}

// measure runs a product many times and reports the rate of the best ten in a row.
func measure(bench *testing.B, b *Backend, p *product, how gemmPlan) {
	const row = 10
	best := time.Duration(1 << 62)
	for range max(bench.N, 3) {
		start := time.Now()
		for range row {
			b.multiplyAs(p, how)
		}
		if err := b.Sync(); err != nil {
			bench.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	flops := 2 * float64(p.m) * float64(p.n) * float64(p.k)
	bench.ReportMetric(flops*row/best.Seconds()/1e12, "TFLOP/s")
	bench.ReportMetric(100*b.figures().seconds(p, how.tile, how.splits, b.sms)*row/best.Seconds(), "%model")
}
