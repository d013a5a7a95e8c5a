package cuda

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// simulatedCard opens a simulated card of a compute capability.
func simulatedCard(t *testing.T, capability int) *Backend {
	t.Helper()
	return simulate(t, Options{Capability: capability, Memory: 256 << 20})
}

// A sheet is a tensor with its content on the host, in rows that are further apart than they are long.
type sheet struct {
	t    kernels.Tensor
	v    []float64 // row by row
	host []byte
}

// sheet makes a tensor of normal numbers. Rows begin at multiples of `align` bytes, and at no other power of two.
func newSheet(t *testing.T, b *Backend, r *rand.Rand, d kernels.DType, align, rows, cols int) *sheet {
	t.Helper()
	unit := max(align/d.Size(), 1)
	s := &sheet{v: make([]float64, rows*cols)}
	stride := (ceilDiv(cols, unit)*2 + 1) * unit
	buf, err := b.Alloc((rows + 1) * stride * d.Size())
	require.NoError(t, err)
	t.Cleanup(func() { b.Free(buf) })
	s.t = kernels.Tensor{Buf: buf, Off: unit, Shape: kernels.Shape{rows, cols}, Stride: stride, DType: d}
	s.host = make([]byte, rows*cols*d.Size())
	for i := range s.v {
		s.v[i] = put(s.host[i*d.Size():], d, r.NormFloat64())
	}
	b.Upload(s.t, s.host)
	return s
}

// put stores a number and returns what it was rounded to.
func put(at []byte, d kernels.DType, v float64) float64 {
	bits := math.Float32bits(float32(v))
	if d == kernels.BF16 {
		bits = (bits + 0x7fff + bits>>16&1) &^ 0xffff
		binary.NativeEndian.PutUint16(at, uint16(bits>>16))
	} else {
		binary.NativeEndian.PutUint32(at, bits)
	}
	return float64(math.Float32frombits(bits))
}

// fetch downloads a tensor.
func (s *sheet) fetch(t *testing.T, b *Backend) []float64 {
	t.Helper()
	b.Download(s.host, s.t)
	require.NoError(t, b.Sync())
	v := make([]float64, len(s.v))
	for i := range v {
		if s.t.DType == kernels.BF16 {
			v[i] = float64(math.Float32frombits(uint32(binary.NativeEndian.Uint16(s.host[2*i:])) << 16))
		} else {
			v[i] = float64(math.Float32frombits(binary.NativeEndian.Uint32(s.host[4*i:])))
		}
	}
	return v
}

// A trial is a product with operands of its own, and what must come of it.
type trial struct {
	product
	x, w, out, pre, residual, bias *sheet
}

// How the epilogue of a trial is: which tensors take part, and whether residual, or pre, is out.
type finishing struct {
	bias, pre, residual, inPlace bool
	act                          kernels.Activation
	gradient                     bool
	out                          kernels.DType
}

func newTrial(t *testing.T, b *Backend, l layout, m, n, k, align int, kinds [2]kernels.DType, f finishing) *trial {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(m*n), uint64(k)))
	tr := &trial{product: product{layout: l, m: m, n: n, k: k, act: f.act, gradient: f.gradient, scale: 0.5}}
	shape := func(transposed bool, i int) (int, int) {
		if transposed {
			return k, i
		}
		return i, k
	}
	rows, cols := shape(l == tn, m)
	tr.x = newSheet(t, b, r, kinds[0], align, rows, cols)
	rows, cols = shape(l != nt, n)
	tr.w = newSheet(t, b, r, kinds[1], align, rows, cols)
	tr.out = newSheet(t, b, r, f.out, align, m, n)
	tr.a, tr.b, tr.product.out = tr.x.t, tr.w.t, tr.out.t
	if f.bias {
		tr.bias = newSheet(t, b, r, kernels.BF16, align, 1, n)
		tr.product.bias = tr.bias.t
	}
	if f.pre {
		tr.pre = newSheet(t, b, r, f.out, align, m, n)
		tr.product.pre = tr.pre.t
	}
	if f.residual {
		tr.residual = newSheet(t, b, r, kernels.F32, align, m, n)
		if f.inPlace {
			tr.residual = tr.out
		}
		tr.product.residual = tr.residual.t
	}
	return tr
}

func activationOf(f kernels.Activation, x float64) float64 {
	switch f {
	case kernels.GELU:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernels.GELUErf:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case kernels.SiLU:
		return x / (1 + math.Exp(-x))
	case kernels.Tanh:
		return math.Tanh(x)
	}
	return x
}

// slopeOf is the derivative, by differences.
func slopeOf(f kernels.Activation, x float64) float64 {
	const h = 1e-4
	return (activationOf(f, x+h) - activationOf(f, x-h)) / (2 * h)
}

// want computes out and pre in float64, and how far float32 may be from them.
func (tr *trial) want() (out, pre, slack []float64) {
	alongK := func(s *sheet, transposed bool, n int) []float64 { // n rows of k
		if !transposed {
			return s.v
		}
		v := make([]float64, n*tr.k)
		for i := range v {
			v[i] = s.v[i%tr.k*n+i/tr.k]
		}
		return v
	}
	x, w := alongK(tr.x, tr.layout == tn, tr.m), alongK(tr.w, tr.layout != nt, tr.n)
	out, pre, slack = make([]float64, tr.m*tr.n), make([]float64, tr.m*tr.n), make([]float64, tr.m*tr.n)
	for i := range tr.m {
		for j := range tr.n {
			at, sum, size := i*tr.n+j, 0.0, 0.0
			row := w[j*tr.k:][:tr.k]
			for k, a := range x[i*tr.k:][:tr.k] {
				p := a * row[k]
				sum += p
				size += math.Abs(p)
			}
			v := sum * float64(tr.scale)
			if tr.bias != nil {
				v += tr.bias.v[j]
			}
			pre[at] = v
			if tr.gradient {
				v *= slopeOf(tr.act, tr.pre.v[at])
			} else {
				v = activationOf(tr.act, v)
			}
			if tr.residual != nil {
				v += tr.residual.v[at]
			}
			out[at], slack[at] = v, 0x1p-24*(8*math.Sqrt(float64(tr.k)+1)*size+16*(math.Abs(v)+math.Abs(pre[at])+1))
		}
	}
	return out, pre, slack
}

// run makes the product as planned and compares.
func (tr *trial) run(t *testing.T, b *Backend, how gemmPlan) {
	t.Helper()
	out, pre, slack := tr.want()
	b.multiplyAs(&tr.product, how)
	near := func(name string, s *sheet, want []float64) {
		t.Helper()
		for i, got := range s.fetch(t, b) {
			limit := 2 * slack[i]
			if s.t.DType == kernels.BF16 {
				limit += 0x1p-8 * (math.Abs(want[i]) + slack[i])
			}
			if !(math.Abs(got-want[i]) <= limit) {
				t.Fatalf("%s(%d,%d) is %g, want %g ± %g", name, i/tr.n, i%tr.n, got, want[i], limit)
			}
		}
	}
	near("out", tr.out, out)
	if tr.pre != nil && !tr.gradient {
		near("pre", tr.pre, pre)
	}
}

// kindsOf are operands that a tile takes.
func kindsOf(t *gemmTile) [][2]kernels.DType {
	const f, h = kernels.F32, kernels.BF16
	if t.single {
		return [][2]kernels.DType{{f, f}, {h, f}, {f, h}}
	}
	return [][2]kernels.DType{{h, h}}
}

// Every tile in every layout, at edges of every kind, whole and in slices.
func TestTilesMultiply(t *testing.T) {
	for _, capability := range []int{80, 90} {
		tiles := tiles80
		if capability == 90 {
			tiles = tiles90
		}
		for i := range tiles {
			tile := &tiles[i]
			for l := nt; l <= tn; l++ {
				t.Run(fmt.Sprintf("%d/%s/%v", capability, tile.name, l), func(t *testing.T) {
					b := simulatedCard(t, capability)
					b.sms = 1 // so that persistent blocks make several tiles
					turn := 0
					for _, v := range []struct{ m, n, k, splits int }{
						{tile.m + 9, tile.n + 21, 3*tile.k - 3, 1}, {13, 7, 2*tile.k + 1, 2}, {3, 1, 1, 1}, {40, 40, 13*tile.k - 8, 1},
						{2*tile.m + 5, tile.n / 2, 9 * tile.k, 3},
					} {
						if tile.hopper {
							v.n += v.n % 2
						}
						kinds := kindsOf(tile)
						align := 16
						if tile.free && turn%2 == 1 {
							align = 1
						}
						f := finishing{out: []kernels.DType{kernels.BF16, kernels.F32}[turn%2], bias: turn%3 == 1, residual: turn%3 == 2}
						tr := newTrial(t, b, l, v.m, v.n, v.k, align, kinds[turn%len(kinds)], f)
						require.True(t, b.suits(tile, &tr.product) || tile.free)
						tr.run(t, b, gemmPlan{tile, v.splits})
						turn++
					}
				})
			}
		}
	}
}

// Every epilogue, with results of either type, whole and in slices.
func TestEpilogues(t *testing.T) {
	for _, capability := range []int{80, 90} {
		tile := &tiles80[2]
		if capability == 90 {
			tile = &tiles90[3]
		}
		for _, out := range []kernels.DType{kernels.BF16, kernels.F32} {
			for act := kernels.NoActivation; act <= kernels.Tanh; act++ {
				t.Run(fmt.Sprintf("%d/%v/%d", capability, out, act), func(t *testing.T) {
					b := simulatedCard(t, capability)
					for bits := range 16 {
						f := finishing{
							out: out, act: act, bias: bits&1 != 0, pre: bits&2 != 0, residual: bits&4 != 0, inPlace: act%2 == 0,
							gradient: bits&8 != 0,
						}
						if f.gradient && (f.bias || !f.pre || act == kernels.NoActivation) {
							continue
						}
						kinds := [2]kernels.DType{kernels.BF16, kernels.BF16}
						tr, how := newTrial(t, b, nt, 21, 70, 2*tile.k, 16, kinds, f), gemmPlan{tile, 1 + bits%2}
						if !b.suits(tile, &tr.product) {
							how = b.plan(&tr.product)
						}
						tr.run(t, b, how)
					}
				})
			}
		}
	}
}

// A product has the same bits in whatever order warps run and copies arrive.
func TestOrderOfWarpsChangesNoBit(t *testing.T) {
	for _, tiles := range [][]gemmTile{tiles80[:3], tiles90} {
		for i := range tiles {
			tile := &tiles[i]
			t.Run(tile.name, func(t *testing.T) {
				var first []byte
				for seed := range uint64(3) {
					b := simulate(t, Options{Capability: 90, Seed: seed, Memory: 64 << 20})
					b.sms = 1
					f := finishing{out: kernels.BF16, bias: true, pre: true, act: kernels.GELU}
					tr := newTrial(t, b, layout(i%3), tile.m+9, 40, 7*tile.k, 16, kindsOf(tile)[0], f)
					tr.run(t, b, gemmPlan{tile, 1})
					if seed == 0 {
						first = bytes.Clone(tr.out.host)
					}
					require.Equal(t, first, tr.out.host, "seed %d", seed)
				}
			})
		}
	}
}
