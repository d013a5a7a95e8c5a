package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cpu/tier"
)

func TestResultsAreWithinTheirBoundsAtEveryLength(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, p := range primitives() {
			for _, n := range lengths() {
				in := sources(rng, p, n)
				check(t, p, in, p.call(in))
			}
		}
	})
}

// The value around the slices is a NaN that no arithmetic makes.
const fence = 0x7fc0dead

// fenced returns rows of n elements, at an offset from where a row begins, with fences around; intact checks them.
func fenced(rows, n, offset int) (inside [][]float32, intact func() bool) {
	const margin = 40
	var whole [][]float32
	for j := range rows {
		w := make([]float32, n+2*margin)
		for i := range w {
			w[i] = math.Float32frombits(fence)
		}
		start := margin - 8 + (offset+3*j)%16
		whole = append(whole, w)
		inside = append(inside, w[start:start+n:start+n])
	}
	return inside, func() bool {
		for j, w := range whole {
			start := margin - 8 + (offset+3*j)%16
			for i, v := range w {
				if (i < start || i >= start+n) && math.Float32bits(v) != fence {
					return false
				}
			}
		}
		return true
	}
}

func TestNothingIsWrittenOutsideAndAlignmentDoesNotMatter(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2, 1))
		for _, p := range primitives() {
			for _, n := range lengths()[:74] {
				in := sources(rng, p, n)
				want := p.call(in)
				for offset := range 3 {
					out, intact := fenced(p.out, n, offset)
					from, intactFrom := fenced(p.in, n, 5*offset+1)
					for j := range in {
						copy(from[j], in[j])
						if j < p.updates {
							copy(out[j], in[j])
						}
					}
					p.run(out, from)
					require.True(t, intact() && intactFrom(), "%s with %d elements wrote outside", p.name, n)
					require.Equal(t, bits(want), bits(out), "%s with %d elements at offset %d", p.name, n, offset)
					require.Equal(t, bits(in), bits(from), "%s changed a source", p.name)
				}
			}
		}
	})
}

func bits(rows [][]float32) (b [][]uint32) {
	for _, r := range rows {
		u := make([]uint32, len(r))
		for i, v := range r {
			u[i] = math.Float32bits(v)
		}
		b = append(b, u)
	}
	return b
}

func TestADestinationMayBeASource(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 1))
		for _, p := range primitives() {
			for _, alias := range p.aliases {
				for _, n := range []int{1, 7, 33, 200} {
					in := sources(rng, p, n)
					want := p.call(in)
					out := make([][]float32, p.out)
					for j := range out {
						out[j] = make([]float32, n)
					}
					out[alias[0]] = in[alias[1]]
					p.run(out, in)
					require.Equal(t, bits(want), bits(out), "%s with destination %d = source %d", p.name, alias[0], alias[1])
				}
			}
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for _, p := range primitives() {
			in := sources(rand.New(rand.NewPCG(4, 1)), p, 100)
			out := sources(rand.New(rand.NewPCG(4, 2)), primitive{in: p.out}, 100)
			assert.Zero(t, testing.AllocsPerRun(10, func() { p.run(out, in) }), p.name)
		}
		x, words := make([]float32, 100), make([]uint16, 100)
		assert.Zero(t, testing.AllocsPerRun(10, func() {
			Widen(x, words)
			WidenF16(x, words)
			Narrow(words, x)
			ExpSum(x, x, Max(x))
			ArgMax(x)
			MeanVar(x)
			Dot(x, x)
		}))
	})
}

// A local array handed to a primitive must stay on the stack, which a call through a function value would prevent.
func TestALocalRowStaysOnTheStack(t *testing.T) {
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		var row [64]float32
		Fill(row[:], 1)
		Exp(row[:], row[:])
		if Sum(row[:]) < 1 {
			panic("unreachable")
		}
	}))
}

func TestAShortSourcePanics(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		assert.Panics(t, func() { Add(make([]float32, 3), make([]float32, 3), make([]float32, 2, 8)[:2:2]) })
		assert.Panics(t, func() { Dot(make([]float32, 3), make([]float32, 2)) })
	})
}

// FuzzTiersAgree gives every tier the same bits, infinities and NaN included for functions of single elements, and
// compares with the exact results and, where those are infinite or undefined, with plain Go.
func FuzzTiersAgree(f *testing.F) {
	f.Add(uint64(1), 37, 0.0)
	f.Add(uint64(2), 65, 0.2)
	f.Add(uint64(3), 130, 1.0)
	f.Add(uint64(4), 16, 0.5)
	all := primitives()
	f.Fuzz(func(t *testing.T, seed uint64, n int, wild float64) {
		n = int(uint(n) % 300)
		rng := rand.New(rand.NewPCG(seed, 7))
		for _, p := range all {
			in := sources(rng, p, n)
			if !p.rows {
				makeWild(rng, p, in, wild)
			}
			restore := tier.Set(tier.Portable)
			want := p.call(in)
			restore()
			for _, level := range tier.All() {
				restore := tier.Set(level)
				got := p.call(in)
				restore()
				for j := range got {
					for i, g := range got[j] {
						w := float64(want[j][i])
						if math.IsNaN(w) != math.IsNaN(float64(g)) || math.IsInf(w, 0) && w != float64(g) {
							t.Fatalf("%s on %v: result %d at %d is %g, plain Go has %g", p.name, level, j, i, g, w)
						}
						if math.IsNaN(w) || math.IsInf(w, 0) {
							got[j][i] = 0 // done with
						}
					}
				}
				checkFinite(t, p, in, want, got)
			}
		}
	})
}

// makeWild replaces a share of the values by arbitrary bits of at most 2³⁰, so that products stay finite, or by special
// values: either infinities or tiny numbers, since their product depends on where an intermediate result underflows.
func makeWild(rng *rand.Rand, p primitive, in [][]float32, share float64) {
	inf := float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), 88.9, -87, 104, -104}
	infinite := rng.IntN(2) == 0
	if infinite {
		special = append(special, inf, -inf)
	} else {
		special = append(special, 1e-40, -1e-45)
	}
	for j := range in {
		for i := range in[j] {
			if rng.Float64() >= share {
				continue
			}
			v := math.Float32frombits(rng.Uint32())
			if size := math.Abs(float64(v)); !(size < 0x1p30) || infinite && size < 0x1p-30 {
				v = special[rng.IntN(len(special))]
			}
			if p.name == "AdamW" && j == 2 {
				v = float32(math.Abs(float64(v)))
			}
			in[j][i] = v
		}
	}
}

// checkFinite is check on the elements where plain Go gives a number.
func checkFinite(t testing.TB, p primitive, in, want, got [][]float32) {
	kept, results := make([][]float32, len(in)), make([][]float32, len(got))
	for i := range in[0] {
		finite := true
		for j := range want {
			w := float64(want[j][i])
			finite = finite && !math.IsNaN(w) && !math.IsInf(w, 0)
		}
		if !finite && !p.rows {
			continue
		}
		for j := range in {
			kept[j] = append(kept[j], in[j][i])
		}
		for j := range got {
			results[j] = append(results[j], got[j][i])
		}
	}
	check(t, p, kept, results)
}
