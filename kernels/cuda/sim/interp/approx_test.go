package interp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestApproximationsAreAsWrongAsTheManualAllows(t *testing.T) {
	for _, x := range []struct {
		text     string
		f        func(float64) float64
		rel, abs float64
		within   func(x float64) bool
	}{
		{"rcp.approx.ftz.f32", func(x float64) float64 { return 1 / x }, 0x1p-23, 0, nil},
		{"sqrt.approx.f32", math.Sqrt, 0x1p-23, 0, nil},
		{"rsqrt.approx.ftz.f32", func(x float64) float64 { return 1 / math.Sqrt(x) }, 0x1.12p-23, 0, nil},
		{"ex2.approx.ftz.f32", math.Exp2, 0x1p-22, 0, nil},
		{"lg2.approx.f32", math.Log2, 0x1p-22, 0x1p-22, nil},
		{"sin.approx.f32", math.Sin, 0, 0x1.6ap-21, func(x float64) bool { return math.Abs(x) < 6.28 }},
		{"cos.approx.f32", math.Cos, 0, 0x1.6ap-21, func(x float64) bool { return math.Abs(x) < 6.28 }},
		{"tanh.approx.f32", math.Tanh, 0x1p-11, 0, nil},
	} {
		i := instruction{text: x.text + " d, a", types: "32 32"}
		exact, off, worst := 0, 0, 0.
		i.compute(t, func(a, _, _, got uint64) {
			v := float64(f32(a))
			want := x.f(v)
			tiny := math.Abs(want) < 0x1p-126 || math.Abs(v) < 0x1p-126
			if want != want || math.IsInf(want, 0) || math.Abs(want) > math.MaxFloat32 || tiny || x.within != nil && !x.within(v) {
				return
			}
			limit := x.rel * math.Abs(want)
			if x.abs != 0 && (v > 0.5 && v < 2 || x.rel == 0) {
				limit = x.abs
			}
			e := math.Abs(float64(f32(got)) - want)
			require.LessOrEqual(t, e, limit, "%s of %g", x.text, v)
			worst = max(worst, e/limit)
			if f32(got) == float32(want) {
				exact++
			} else {
				off++
			}
		})
		require.Greater(t, off, exact/8, "%s is too good", x.text)
		require.Greater(t, worst, .6, "%s is too good", x.text)
	}
}

func TestApproximationsKeepSpecialValues(t *testing.T) {
	inf := math.Inf(1)
	for text, cases := range map[string][][2]float64{
		"ex2.approx.ftz.f32":   {{0, 1}, {math.Copysign(0, -1), 1}, {-inf, 0}, {inf, inf}, {1e-40, 1}, {-200, 0}},
		"rcp.approx.ftz.f32":   {{0, inf}, {inf, 0}, {1e-40, inf}},
		"rsqrt.approx.ftz.f32": {{0, inf}, {inf, 0}},
		"lg2.approx.ftz.f32":   {{0, -inf}, {inf, inf}, {1, 0}},
		"tanh.approx.f32":      {{0, 0}},
		"sqrt.approx.ftz.f32":  {{0, 0}, {inf, inf}},
	} {
		for _, c := range cases {
			got, err := perThread(t, 1, text+" %r1, %r9;", int32(math.Float32bits(float32(c[0]))), Options{Check: true})
			require.NoError(t, err)
			require.Equal(t, float32(c[1]), math.Float32frombits(got[0]), "%s of %g", text, c[0])
		}
	}
	for _, text := range []string{"sqrt.approx.f32", "lg2.approx.f32", "rsqrt.approx.f32"} {
		got, err := perThread(t, 1, text+" %r1, 0fBF800000;", 0, Options{})
		require.NoError(t, err)
		require.True(t, math.IsNaN(float64(math.Float32frombits(got[0]))), text)
	}
}

// Relations, against Go's own comparisons.
func TestComparisons(t *testing.T) {
	type of struct {
		typ, width string
		cmp        func(a, b uint64) (less, equal, ordered bool)
	}
	for _, x := range []of{
		{"s32", "32", func(a, b uint64) (bool, bool, bool) { return int32(a) < int32(b), int32(a) == int32(b), true }},
		{"u32", "32", func(a, b uint64) (bool, bool, bool) { return uint32(a) < uint32(b), a == b, true }},
		{"s64", "64", func(a, b uint64) (bool, bool, bool) { return int64(a) < int64(b), a == b, true }},
		{"u64", "64", func(a, b uint64) (bool, bool, bool) { return a < b, a == b, true }},
		{"s16", "16", func(a, b uint64) (bool, bool, bool) { return int16(a) < int16(b), a == b, true }},
		{"u16", "16", func(a, b uint64) (bool, bool, bool) { return a < b, a == b, true }},
		{"f32", "32", func(a, b uint64) (bool, bool, bool) {
			x, y := f32(a), f32(b)
			return x < y, x == y, x == x && y == y
		}},
		{"f64", "64", func(a, b uint64) (bool, bool, bool) {
			x, y := f64(a), f64(b)
			return x < y, x == y, x == x && y == y
		}},
		{"bf16", "16", func(a, b uint64) (bool, bool, bool) {
			x, y := fromBF16(a), fromBF16(b)
			return x < y, x == y, x == x && y == y
		}},
	} {
		names := map[string]func(lt, eq, ord bool) bool{
			"eq": func(lt, eq, ord bool) bool { return eq },
			"lt": func(lt, eq, ord bool) bool { return lt },
			"le": func(lt, eq, ord bool) bool { return lt || eq },
			"gt": func(lt, eq, ord bool) bool { return ord && !lt && !eq },
			"ge": func(lt, eq, ord bool) bool { return ord && !lt },
			"ne": func(lt, eq, ord bool) bool { return ord && !eq },
		}
		if isFloat(x.typ) {
			for name, f := range map[string]func(lt, eq, ord bool) bool{"equ": names["eq"], "ltu": names["lt"], "leu": names["le"], "gtu": names["gt"], "geu": names["ge"], "neu": names["ne"]} {
				names[name] = func(lt, eq, ord bool) bool { return !ord || f(lt, eq, ord) }
			}
			names["num"] = func(lt, eq, ord bool) bool { return ord }
			names["nan"] = func(lt, eq, ord bool) bool { return !ord }
		}
		for name, want := range names {
			i := instruction{text: "setp." + name + "." + x.typ + " d, a, b", types: "1 " + x.width + " " + x.width}
			i.compute(t, func(a, b, _, got uint64) {
				require.Equal(t, b2u(want(x.cmp(a, b))), got, "%s %#x %#x", i.text, a, b)
			})
		}
	}
	// with a third predicate, and both results
	for name, want := range map[string]func(x, p uint64) uint64{
		"and": func(x, p uint64) uint64 { return x & p }, "or": func(x, p uint64) uint64 { return x | p }, "xor": func(x, p uint64) uint64 { return x ^ p },
	} {
		i := instruction{text: "setp.lt." + name + ".u32 d, a, b, p", types: "1 32 32"}
		i.compute(t, func(a, b, _, got uint64) { require.Equal(t, want(b2u(a < b), a&1), got) })
		i = instruction{text: "{ .reg .pred x; setp.lt." + name + ".u32 x|d, a, b, !p; }", types: "1 32 32"}
		i.compute(t, func(a, b, _, got uint64) { require.Equal(t, want(b2u(a >= b), a&1^1), got) })
	}
}
