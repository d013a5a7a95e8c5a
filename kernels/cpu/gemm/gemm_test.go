package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"forja/kernels/cpu/par"
	"forja/kernels/cpu/tier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guard is the number of elements before and after a stored matrix that must not change.
const guard = 64

// A stored is a matrix in memory with its values as float64.
type stored struct {
	Matrix
	rows, cols int
	mem        []uint16 // of bfloat16, or halves of float32
}

func newStored(r *rand.Rand, rows, cols, extra int, d DType) stored {
	s := stored{Matrix{Stride: cols + extra, DType: d}, rows, cols, nil}
	n := (rows*s.Stride + 2*guard) * d.size() / 2
	s.mem = unsafe.Slice((*uint16)(unsafe.Pointer(&aligned((n + 1) / 2)[0])), n)
	for i := range s.mem {
		s.mem[i] = 0x7fc1 // a NaN in either dtype, so that reading outside shows
	}
	s.Ptr = unsafe.Pointer(&s.mem[guard*d.size()/2])
	for i := range rows {
		for j := range cols {
			s.set(i, j, float32(r.NormFloat64()))
		}
	}
	return s
}

func (s stored) set(i, j int, v float32) {
	if s.DType == BF16 {
		*(*uint16)(s.at(i, j)) = toBF16(v)
	} else {
		*(*float32)(s.at(i, j)) = v
	}
}

func (s stored) get(i, j int) float64 { return float64(load(s.at(i, j), s.DType)) }

func (s stored) clone() stored {
	t := s
	t.mem = append([]uint16(nil), s.mem...)
	t.Ptr = unsafe.Pointer(&t.mem[guard*s.DType.size()/2])
	return t
}

// outside lists the memory that does not belong to an element.
func (s stored) outside() []uint16 {
	h := s.DType.size() / 2
	out := append([]uint16(nil), s.mem[:guard*h]...)
	for i := range s.rows {
		row := s.mem[(guard+i*s.Stride)*h:]
		out = append(out, row[s.cols*h:s.Stride*h]...)
	}
	return append(out, s.mem[(guard+s.rows*s.Stride)*h:]...)
}

// A trial is one product to check.
type trial struct {
	l          Layout
	m, n, k    int
	alpha      float32
	a, b, c    DType
	extra      int // row strides beyond the row
	accumulate bool
	epilogue   bool
}

func (c trial) String() string {
	return fmt.Sprintf("%v %dx%dx%d alpha %v dtypes %d,%d->%d extra %d accumulate %v epilogue %v",
		c.l, c.m, c.n, c.k, c.alpha, c.a, c.b, c.c, c.extra, c.accumulate, c.epilogue)
}

func (c trial) operands(r *rand.Rand) (a, b, out stored) {
	ar, ac, br, bc := c.m, c.k, c.k, c.n
	if c.l == TN {
		ar, ac = ac, ar
	}
	if c.l == NT {
		br, bc = bc, br
	}
	return newStored(r, ar, ac, c.extra, c.a), newStored(r, br, bc, c.extra, c.b), newStored(r, c.m, c.n, c.extra, c.c)
}

// shift is an epilogue that is not linear, so that it must come after the whole sum and exactly once.
type shift struct {
	cols int
	seen []atomic.Int32
}

func shifted(v float64, i, j int) float64 { return math.Abs(v) + float64(i%7) - float64(j%5) }

func (s *shift) Tile(tile []float32, ld, i, j, rows, cols int) {
	for r := range rows {
		for c := range cols {
			v := &tile[r*ld+c]
			*v = float32(math.Abs(float64(*v))) + float32((i+r)%7) - float32((j+c)%5)
			s.seen[(i+r)*s.cols+j+c].Add(1)
		}
	}
}

// check multiplies and compares every element with float64.
func check(t require.TestingT, e *Engine, c trial, seed uint64) {
	a, b, out := c.operands(rand.New(rand.NewPCG(seed, 1)))
	was := out.clone()
	var epi Epilogue
	s := &shift{cols: c.n}
	if c.epilogue {
		s.seen = make([]atomic.Int32, c.m*c.n)
		epi = s
	}
	e.Mul(c.l, c.m, c.n, c.k, c.alpha, a.Matrix, b.Matrix, out.Matrix, c.accumulate, epi)
	require.Equal(t, was.outside(), out.outside(), "%v: wrote outside C", c)
	for i := range s.seen {
		require.EqualValues(t, 1, s.seen[i].Load(), "%v: calls of the epilogue for element %d", c, i)
	}
	av, bv := make([]float64, c.m*c.k), make([]float64, c.n*c.k) // both with k along the rows
	for p := range c.k {
		for i := range c.m {
			if c.l == TN {
				av[i*c.k+p] = a.get(p, i)
			} else {
				av[i*c.k+p] = a.get(i, p)
			}
		}
		for j := range c.n {
			if c.l == NT {
				bv[j*c.k+p] = b.get(j, p)
			} else {
				bv[j*c.k+p] = b.get(p, j)
			}
		}
	}
	for i := range c.m {
		for j := range c.n {
			var sum, abs float64
			x, y := av[i*c.k:][:c.k], bv[j*c.k:][:c.k]
			for p := range x {
				v := x[p] * y[p]
				sum += v
				abs += math.Abs(v)
			}
			want := float64(c.alpha) * sum
			size := math.Abs(float64(c.alpha)) * abs
			if c.accumulate {
				want += was.get(i, j)
				size += math.Abs(was.get(i, j))
			}
			if c.epilogue {
				want = shifted(want, i, j)
				size += 12
			}
			const epsF32, epsBF16 = 0x1p-24, 0x1p-8 // half the gap above 1
			tolerance := 2 * epsF32 * math.Sqrt(float64(c.k+1)) * size
			if c.c == BF16 {
				tolerance += epsBF16 * (math.Abs(want) + tolerance)
			}
			if got := out.get(i, j); !(math.Abs(got-want) <= tolerance) {
				require.Failf(t, "wrong product", "%v: C[%d,%d] = %v, want %v ± %v", c, i, j, got, want, tolerance)
			}
		}
	}
}

// A variant is a way to choose kernels that this machine can run.
type variant struct {
	name string
	set  func() (undo func())
}

func tiers() (vs []variant) {
	for _, x := range tier.All() {
		vs = append(vs, variant{x.String(), func() func() { return tier.Set(x) }})
	}
	return vs
}

// everyTier runs f once per variant.
func everyTier(t *testing.T, f func(t *testing.T)) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			defer v.set()()
			f(t)
		})
	}
}

func engine(t testing.TB, threads int) *Engine {
	p := par.New(threads)
	t.Cleanup(p.Close)
	return New(p)
}

var dtypes = []DType{F32, BF16}

func TestEveryLayoutAndDTypeMatchesFloat64(t *testing.T) {
	everyTier(t, func(t *testing.T) {
		e := engine(t, 2)
		for _, l := range []Layout{NN, NT, TN} {
			for _, a := range dtypes {
				for _, b := range dtypes {
					for _, c := range dtypes {
						for _, acc := range []bool{false, true} {
							for i, alpha := range []float32{1, -.75} {
								check(t, e, trial{l, 41, 71, 45, alpha, a, b, c, 3 * i, acc, i == 1}, 1)
								check(t, e, trial{l, 3, 37, 50, alpha, a, b, c, 3 * i, acc, i == 0}, 1)
							}
						}
					}
				}
			}
		}
	})
}

// Shapes one below, at and above everything the algorithm cuts by.
func TestShapesAroundEveryBlockSize(t *testing.T) {
	everyTier(t, func(t *testing.T) {
		e := engine(t, 2)
		for _, d := range dtypes {
			q := choose(d, d)
			around := func(l Layout, m, n, k int) {
				c := trial{l: l, m: m, n: n, k: k, alpha: 1, a: d, b: d, c: d, extra: 1, accumulate: true, epilogue: true}
				check(t, e, c, 2)
			}
			packed := ceil(q.fewRows+1, q.mr) * q.mr // rows enough to be packed, whatever the layout
			for _, off := range []int{-1, 0, 1} {
				for _, l := range []Layout{NN, NT, TN} {
					around(l, packed+q.mr+off, q.nr+off, 16+off)
					around(l, packed+1, 2*q.nr+off, 5)
					around(l, packed+1, 5, q.passK*q.perUnit+off)
					around(l, q.mr+off, q.nr+off, 16+off)
					around(l, 2*q.mr+off, 1, 1)
					around(l, q.mr, 2*q.nr+off, 2)
					around(l, 7, 5, q.passK*q.perUnit+off)
				}
				around(NT, packed+q.tileM+off, 9, 3)
				around(NN, 9, q.tileN+off, 3)
				around(TN, 7, 9, blockK*q.perUnit+off)
				around(NT, packed+1, 3, 2*blockK*q.perUnit+off)
				for _, small := range []int{1, 2, 3, 4, 5, 8, q.fewRows + off} {
					around(NT, small, fewCols+off, 67+off)
					around(NN, small, 33+off, 17+off)
				}
			}
		}
	})
}

// Blocks of C and of the packed operands are only filled by products larger than the rest of the tests multiply.
func TestBlocksOfRowsAndColumns(t *testing.T) {
	e := engine(t, 2)
	for _, d := range dtypes {
		q := choose(d, d)
		rows := packedMax / (blockK / 2)
		k := blockK / 2 * q.perUnit
		check(t, e, trial{l: TN, m: rows + 1, n: 3, k: k, alpha: 1, a: d, b: d, c: d}, 3)
		check(t, e, trial{l: NN, m: 3, n: rows + 1, k: k, alpha: 1, a: d, b: d, c: d}, 3)
	}
	check(t, e, trial{l: NN, m: 1025, n: 3, k: blockK*2 + 1, alpha: 1, a: BF16, b: BF16, c: BF16, accumulate: true}, 4)
}

func TestRandomProductsMatchFloat64(t *testing.T) {
	everyTier(t, func(t *testing.T) {
		e := engine(t, 3)
		rapid.Check(t, func(t *rapid.T) {
			dtype := rapid.SampledFrom(dtypes)
			check(t, e, trial{
				l: rapid.SampledFrom([]Layout{NN, NT, TN}).Draw(t, "layout"),
				m: rapid.IntRange(1, 70).Draw(t, "m"), n: rapid.IntRange(1, 130).Draw(t, "n"),
				k:     rapid.IntRange(0, 200).Draw(t, "k"),
				alpha: rapid.SampledFrom([]float32{1, 0, -2, .3}).Draw(t, "alpha"),
				a:     dtype.Draw(t, "a"), b: dtype.Draw(t, "b"), c: dtype.Draw(t, "c"),
				extra:      rapid.IntRange(0, 9).Draw(t, "extra"),
				accumulate: rapid.Bool().Draw(t, "accumulate"), epilogue: rapid.Bool().Draw(t, "epilogue"),
			}, rapid.Uint64().Draw(t, "seed"))
		})
	})
}

func TestThreadsDoNotChangeABit(t *testing.T) {
	everyTier(t, func(t *testing.T) {
		engines := []*Engine{engine(t, 1), engine(t, 2), engine(t, 3), engine(t, 5)}
		for _, c := range []trial{
			{l: NT, m: 150, n: 333, k: 500}, {l: TN, m: 101, n: 97, k: 700, c: BF16, accumulate: true},
			{l: NN, m: 130, n: 64, k: 90, a: BF16, b: BF16, epilogue: true}, {l: NT, m: 40, n: 50, k: 4000, a: BF16, b: BF16, c: BF16},
			{l: NT, m: 2, n: 300, k: 300, b: BF16}, {l: NN, m: 3, n: 300, k: 300}, {l: NN, m: 9, n: 700, k: 310},
		} {
			c.alpha = .7
			a, b, first := c.operands(rand.New(rand.NewPCG(7, 7)))
			initial := first.clone()
			for i, e := range engines {
				out := initial.clone()
				var epi Epilogue
				if c.epilogue {
					epi = &shift{cols: c.n, seen: make([]atomic.Int32, c.m*c.n)}
				}
				e.Mul(c.l, c.m, c.n, c.k, c.alpha, a.Matrix, b.Matrix, out.Matrix, c.accumulate, epi)
				if i == 0 {
					first = out
				}
				assert.Equal(t, first.mem, out.mem, "%v with %d threads", c, e.pool.Threads())
			}
		}
	})
}

func TestEmptyProducts(t *testing.T) {
	e := engine(t, 2)
	c := []float32{1, 2, 3, 4}
	m := Matrix{unsafe.Pointer(&c[0]), 2, F32}
	e.Mul(NN, 0, 2, 3, 1, m, m, m, false, nil)
	e.Mul(NN, 2, 0, 3, 1, m, m, m, false, nil)
	require.Equal(t, []float32{1, 2, 3, 4}, c)
	e.Mul(NN, 2, 2, 0, 1, Matrix{}, Matrix{}, m, true, nil)
	require.Equal(t, []float32{1, 2, 3, 4}, c)
	e.Mul(NN, 2, 2, 0, 1, Matrix{}, Matrix{}, m, false, nil)
	require.Equal(t, make([]float32, 4), c)
}

func TestMulAllocatesNothing(t *testing.T) {
	everyTier(t, func(t *testing.T) {
		e := engine(t, 2)
		for _, c := range []trial{
			{l: NT, m: 50, n: 60, k: 70}, {l: TN, m: 50, n: 60, k: 70, a: BF16, b: BF16, c: BF16}, {l: NT, m: 1, n: 60, k: 70},
			{l: NN, m: 2, n: 60, k: 70},
		} {
			a, b, out := c.operands(rand.New(rand.NewPCG(1, 1)))
			s := &shift{cols: c.n, seen: make([]atomic.Int32, c.m*c.n)}
			require.Zero(t, testing.AllocsPerRun(20, func() {
				e.Mul(c.l, c.m, c.n, c.k, 1, a.Matrix, b.Matrix, out.Matrix, false, s)
			}), "%v", c)
		}
		require.Positive(t, e.ScratchBytes())
	})
}

func TestBF16RoundsToNearestEven(t *testing.T) {
	for _, c := range []struct{ bits, want uint32 }{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0x7f7fffff, 0x7f80},
		{0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0x00008001, 0x0001},
		{0x80000000, 0x8000},
	} {
		require.EqualValues(t, c.want, toBF16(math.Float32frombits(c.bits)), "%08x", c.bits)
	}
}

func TestConversionsAreTheSameOnEveryTier(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	everyTier(t, func(t *testing.T) {
		for n := range 40 {
			src := make([]float32, n)
			for i := range src { // any bits: NaN, infinities and denormals among them
				src[i] = math.Float32frombits(r.Uint32() | []uint32{0, 0x7f800000}[i%2])
			}
			got := make([]uint16, n+1)
			narrow(unsafe.Pointer(&got[0]), src)
			wide := make([]float32, n)
			widen(wide, unsafe.Pointer(&got[0]))
			for i, v := range src {
				require.Equal(t, toBF16(v), got[i], "%08x", math.Float32bits(v))
				require.Equal(t, uint32(got[i])<<16, math.Float32bits(wide[i]))
			}
			require.Zero(t, got[n], "wrote past the end")
		}
	})
}
