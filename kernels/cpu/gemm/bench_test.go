package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"forja/kernels/cpu/par"
)

// train lists the projections of GPT-2 124M as outputs x inputs, over 1024 tokens; the last is the vocabulary, padded.
var train = [][2]int{{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {50304, 768}}

// BenchmarkTraining multiplies for the forward pass (NT), the gradient of the input (NN) and of the weight (TN, added).
// best is the fastest of the runs, for machines with other work.
func BenchmarkTraining(b *testing.B) {
	const tokens = 1024
	for _, threads := range []int{1, 2} {
		for _, d := range dtypes {
			for _, s := range train {
				out, in := s[0], s[1]
				for _, c := range []trial{
					{l: NT, m: tokens, n: out, k: in}, {l: NN, m: tokens, n: in, k: out},
					{l: TN, m: out, n: in, k: tokens, accumulate: true},
				} {
					c.a, c.b = d, d
					if !c.accumulate { // gradients of weights add up in float32
						c.c = d
					}
					dtype := [...]string{"f32", "bf16"}[d]
					b.Run(fmt.Sprintf("%s/threads%d/%v/%dx%dx%d", dtype, threads, c.l, c.m, c.n, c.k), func(b *testing.B) {
						measure(b, threads, c)
					})
				}
			}
		}
	}
}

// BenchmarkKernels multiplies bfloat16 by every kernel that this processor can run, whichever is chosen: it shows whether
// VDPBF16PS is worth its while here.
func BenchmarkKernels(b *testing.B) {
	for _, v := range variants() {
		b.Run(v.name, func(b *testing.B) {
			defer v.set()()
			measure(b, 1, trial{l: NT, m: 1024, n: 3072, k: 768, a: BF16, b: BF16, c: BF16})
		})
	}
}

// BenchmarkDecoding multiplies one row and four with the vocabulary, which does not fit the caches: its figure of merit
// is the speed at which B is read.
func BenchmarkDecoding(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, d := range dtypes {
			for _, m := range []int{1, 4} {
				b.Run(fmt.Sprintf("%s/threads%d/rows%d", [...]string{"f32", "bf16"}[d], threads, m), func(b *testing.B) {
					c := trial{l: NT, m: m, n: 50304, k: 768, a: d, b: d, c: d}
					best := measure(b, threads, c)
					b.ReportMetric(float64(c.n*c.k*d.size())/best/1e9, "best-GB/s")
				})
			}
		}
	}
}

// measure returns the seconds of the fastest run.
func measure(b *testing.B, threads int, c trial) (best float64) {
	c.alpha = 1
	x, y, out := c.operands(rand.New(rand.NewPCG(1, 1)))
	p := par.New(threads)
	defer p.Close()
	e := New(p)
	best = math.MaxFloat64
	for b.Loop() {
		start := time.Now()
		e.Mul(c.l, c.m, c.n, c.k, c.alpha, x.Matrix, y.Matrix, out.Matrix, c.accumulate, nil)
		best = min(best, time.Since(start).Seconds())
	}
	flops := 2 * float64(c.m) * float64(c.n) * float64(c.k)
	b.ReportMetric(flops/best/1e9, "best-GFLOP/s")
	b.ReportMetric(0, "ns/op")
	return best
}
