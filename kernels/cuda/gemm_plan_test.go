package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// planner is a Backend that can plan and nothing else.
func planner(name string, sms int, hopper bool) *Backend {
	b := &Backend{info: kernels.Info{Name: name}, sms: sms, hopper: hopper}
	b.usage.Overhead = onCard.work
	return b
}

// dense is a tensor that lies nowhere, aligned.
func dense(b *Backend, d kernels.DType, rows, cols int) kernels.Tensor {
	return kernels.New(&buffer{b: b, at: 1 << 20, size: rows * cols * d.Size()}, d, rows, cols)
}

// A projection of a model, y(·,n) = x(·,k)·wᵀ, and what is fused into it.
type projection struct {
	name           string
	n, k           int
	bias, residual bool
	act            kernels.Activation // of y, with its argument kept; the gradient of that is fused into the next projection's dx
	actBefore      kernels.Activation // of x
}

var models = []struct {
	name        string
	tokens      int // of a micro-step
	projections []projection
}{
	{"GPT-2 124M", 16 * 1024, []projection{
		{name: "qkv", n: 2304, k: 768, bias: true}, {name: "proj", n: 768, k: 768, bias: true, residual: true},
		{name: "fc", n: 3072, k: 768, bias: true, act: kernels.GELU},
		{name: "fcproj", n: 768, k: 3072, bias: true, residual: true, actBefore: kernels.GELU}, {name: "head", n: 50304, k: 768}}},
	{"LLaMA 1B", 4 * 2048, []projection{
		{name: "qkv", n: 3072, k: 2048}, {name: "proj", n: 2048, k: 2048, residual: true}, {name: "gate+up", n: 16384, k: 2048},
		{name: "down", n: 2048, k: 8192, residual: true}, {name: "head", n: 128256, k: 2048}}},
}

// products are the three of a projection in training: forward, and the gradients of x and w.
func (p projection) products(b *Backend, tokens int) []*product {
	const h = kernels.BF16
	x, y, w := dense(b, h, tokens, p.k), dense(b, h, tokens, p.n), dense(b, h, p.n, p.k)
	dw := dense(b, kernels.F32, p.n, p.k)
	forward := product{layout: nt, a: x, b: w, out: y, m: tokens, n: p.n, k: p.k, act: p.act}
	if p.bias {
		forward.bias = dense(b, h, 1, p.n)
	}
	if p.residual {
		forward.residual = y
	}
	if p.act != kernels.NoActivation {
		forward.pre = dense(b, h, tokens, p.n)
	}
	dx := product{layout: nn, a: y, b: w, out: x, m: tokens, n: p.k, k: p.n, act: p.actBefore}
	if dx.gradient = p.actBefore != kernels.NoActivation; dx.gradient {
		dx.pre = x
	}
	return []*product{&forward, &dx, {layout: tn, a: y, b: x, out: dw, residual: dw, m: p.n, n: p.k, k: tokens}}
}

// The products of known models get a legal plan, and by the model of their time most of the card.
func TestPlansOfKnownModels(t *testing.T) {
	for _, card := range []struct {
		name   string
		sms    int
		hopper bool
		least  float64 // of the peak, in every product
	}{{"NVIDIA H100 80GB HBM3", 132, true, 0.45}, {"NVIDIA A100-SXM4-80GB", 108, false, 0.45}} {
		b := planner(card.name, card.sms, card.hopper)
		peak := b.figures().group * b.figures().clock * float64(b.sms)
		for _, m := range models {
			total, ideal := 0.0, 0.0
			for _, pr := range m.projections {
				for _, p := range pr.products(b, m.tokens) {
					how := b.plan(p)
					name := fmt.Sprintf("%s %s %s %v", card.name, m.name, pr.name, p.layout)
					require.NotNil(t, how.tile, name)
					require.NoError(t, b.err, name)
					require.True(t, b.suits(how.tile, p), name)
					require.Less(t, sliceOf(p.k, how.tile.k, how.splits)*(how.splits-1), p.k, "%s: a slice is empty", name)
					if how.splits > 1 {
						require.LessOrEqual(t, how.splits*p.m*aligned(p.n, 4)*4, b.usage.Overhead, name)
					}
					require.LessOrEqual(t, how.tile.shared, 227<<10, name)
					seconds := b.figures().seconds(p, how.tile, how.splits, b.sms)
					best := 2 * float64(p.m) * float64(p.n) * float64(p.k) / peak
					total, ideal = total+seconds, ideal+best
					t.Logf("%s (%d,%d,%d): %s in %d: %.0f µs, %.0f%% of the peak", name, p.m, p.n, p.k, how.tile.name, how.splits,
						1e6*seconds, 100*best/seconds)
					require.Greater(t, best/seconds, card.least, name)
				}
			}
			t.Logf("%s %s: %.0f%% of the peak together", card.name, m.name, 100*ideal/total)
		}
	}
}

// A product with few tiles and much to sum is cut into slices, one with many tiles is not.
func TestSlicesFillTheCard(t *testing.T) {
	b := planner("NVIDIA H100 80GB HBM3", 132, true)
	proj := projection{name: "proj", n: 768, k: 768}.products(b, 32768)
	require.Greater(t, b.plan(proj[2]).splits, 2)
	require.Equal(t, 1, b.plan(proj[0]).splits)
}

// Every product has a kernel, wherever its operands lie and whatever their types are.
func TestEveryProductHasAKernel(t *testing.T) {
	for _, hopper := range []bool{false, true} {
		b := planner("NVIDIA H100", 132, hopper)
		for _, x := range []kernels.DType{kernels.F32, kernels.BF16} {
			for _, w := range []kernels.DType{kernels.F32, kernels.BF16} {
				for off := range 9 {
					for _, k := range []int{0, 1, 8, 33} {
						for l := nt; l <= tn; l++ {
							p := product{layout: l, a: dense(b, x, 40, 40), b: dense(b, w, 40, 40), out: dense(b, kernels.F32, 40, 40), m: 40, n: 40, k: k}
							p.a.Off = off
							p.b.Stride += off
							how := b.plan(&p)
							require.NotNil(t, how.tile, "%v %v %v at %d", l, x, w, off)
							require.Equal(t, x == kernels.F32 || w == kernels.F32, how.tile.single)
							if off%8 != 0 {
								require.True(t, how.tile.free)
							}
						}
					}
				}
			}
		}
	}
}
