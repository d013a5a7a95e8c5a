package kerneltest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/kernels"
)

// single is a value computed in float32 beside the oracle's.
type single struct {
	f float32
	n num
}

func (s single) check(t *rapid.T, what string) single {
	limit := s.n.e + halfULP(kernels.F32, math.Abs(s.n.v)+s.n.e) + 0x1p-126
	require.LessOrEqual(t, math.Abs(float64(s.f)-s.n.v), limit, what)
	return s
}

func TestBoundsHoldForChainsOfFloat32Arithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) single {
			f := rapid.Float32Range(-8, 8).Draw(t, name)
			return single{f, exact(float64(f))}
		}
		x := draw("start")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			y := draw("operand")
			switch op := rapid.IntRange(0, 9).Draw(t, "operation"); op {
			case 0:
				x = single{x.f + y.f, x.n.plus(y.n)}
			case 1:
				x = single{x.f - y.f, x.n.minus(y.n)}
			case 2:
				x = single{float32(x.f * y.f), x.n.times(y.n)}
			case 3:
				if math.Abs(y.n.v) > 0.1 {
					x = single{x.f / y.f, x.n.over(y.n)}
				}
			case 4:
				x = single{float32(math.Sqrt(math.Abs(float64(x.f)))), num{math.Abs(x.n.v), x.n.e}.root()}
			case 5:
				if math.Abs(x.n.v) < 20 {
					x = single{float32(math.Exp(float64(x.f))), x.n.exp()}
				}
			case 6:
				if x.n.v > 2*x.n.e && x.f > 0 {
					x = single{float32(math.Log(float64(x.f))), x.n.log()}
				}
			case 7: // a form that loses the tail's accuracy
				e := float32(math.Exp(-2 * math.Abs(float64(x.f))))
				x = single{float32(math.Copysign(float64((1-e)/(1+e)), float64(x.f))), x.n.tanh()}
			case 8:
				x = single{float32(math.Erf(float64(x.f))), x.n.erf()}
			case 9:
				x = single{1 - 1/(1+float32(math.Exp(float64(x.f)))), x.n.sigma()}
			}
			if v := math.Abs(x.n.v); v > 1e30 || x.n.e > 1e30 || v > 0 && v < 1e-30 {
				return // overflow and underflow are not part of the bounds
			}
			x.check(t, "result")
		}
	})
}

// The worst order of summation is one after the other, and the worst terms have one sign.
func TestBoundsHoldForSumsInTheWorstOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + rng.IntN(5000)
		var f float32
		var s sum
		for range n {
			x, y := rng.Float32(), rng.Float32()
			f += float32(x * y)
			s.addProduct(exact(float64(x)), exact(float64(y)))
		}
		total := s.total()
		require.LessOrEqual(t, math.Abs(float64(f)-total.v), total.e)
		require.Less(t, total.e, 6*math.Sqrt(float64(n))*unit*total.v*1.01, "and say something")
	}
}

func TestRandomlyDisturbedNewtonSchulzBoundsFloat32(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	u := newMat(10, 17)
	for i := range u.v {
		u.v[i] = exact(rng.NormFloat64())
	}
	r := orthogonalised(u, rng)
	require.Positive(t, r.v[0].e)
	require.Less(t, r.v[0].e, 1e-3)
	// Singular values near 1: the rows are nearly orthonormal.
	gram := product(r, r)
	for i := range 10 {
		for j := range 10 {
			want := nonzero(i == j)
			assert.InDelta(t, want, gram.at(i, j).v, 0.6)
		}
	}
}

// The known answers of Random123, the authors' own implementation.
func TestPhiloxGivesTheKnownAnswers(t *testing.T) {
	ones := uint32(0xffffffff)
	assert.Equal(t, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, philox([4]uint32{}, [2]uint32{}))
	assert.Equal(t, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, philox([4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}))
	assert.Equal(t, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		philox([4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}))
}

func TestHalfPrecisionNumbersAreThoseOfTheirStandards(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x03ff: 1023 * 0x1p-24, 0x0400: 0x1p-14, 0x3555: 0.333251953125,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8000: 0,
	} {
		assert.Equal(t, want, fromF16(bits)+0, "%#x", bits)
	}
	assert.True(t, math.IsNaN(fromF16(0x7c01)))
	assert.True(t, math.Signbit(fromF16(0x8000)))
	for v, want := range map[float64]float64{
		1: 1, 1 + 0x1p-8: 1, 1 + 3*0x1p-8: 1 + 0x1p-6, 1 + 0x1p-8 + 0x1p-20: 1 + 0x1p-7, 3.4e38: math.Inf(1), 0x1p-133: 0x1p-133, 0x1p-134: 0, -0x1p-133 * 1.5: -0x1p-132,
	} {
		assert.Equal(t, want, toBF16(v)+0, "%g", v)
	}
}

func TestVerificationSeesWhatIsWrong(t *testing.T) {
	build := func() (*trial, *operand) {
		tr := &trial{rng: rand.New(rand.NewPCG(7, 8))}
		o := tr.output(kernels.BF16, 3, 4)
		tr.want(o, func() mat { return each(func(...num) num { return num{1, 1e-6} }, newMat(3, 4)) })
		o.set(func(int) float64 { return 1 })
		for _, s := range tr.stores {
			s.after = append([]byte{}, s.before...)
		}
		return tr, o
	}
	tr, _ := build()
	require.NoError(t, tr.verify())
	for name, damage := range map[string]func(o *operand){
		"a wrong element":       func(o *operand) { encode(o.at.after[o.element(7):], kernels.BF16, 1.0078125) },
		"NaN":                   func(o *operand) { encode(o.at.after[o.element(0):], kernels.BF16, math.NaN()) },
		"infinity":              func(o *operand) { encode(o.at.after[o.element(0):], kernels.BF16, math.Inf(1)) },
		"a byte before":         func(o *operand) { o.at.after[o.line(0)-1] = 0 },
		"a byte after a row":    func(o *operand) { o.at.after[o.line(2)+8] = 0 },
		"the last byte behind":  func(o *operand) { o.at.after[len(o.at.after)-1] = 0 },
		"the first byte before": func(o *operand) { o.at.after[0] = 0 },
	} {
		tr, o := build()
		damage(o)
		assert.Error(t, tr.verify(), name)
	}
}
