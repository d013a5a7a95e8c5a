package vec

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sweep calls f on rows that together walk through all float32 bit patterns in steps, negative and positive.
func sweep(step uint32, f func(x []float32)) {
	x := make([]float32, 0, 1<<12)
	for b := uint64(0); b < 1<<32; b += uint64(step) {
		if x = append(x, math.Float32frombits(uint32(b))); len(x) == cap(x) {
			f(x)
			x = x[:0]
		}
	}
	f(x)
}

// ulps is the distance of got from want in units in the last place of float32 at want.
func ulps(got float32, want float64) float64 {
	if float64(got) == want || math.IsNaN(want) && got != got || want > math.MaxFloat32 && math.IsInf(float64(got), 1) {
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func TestElementaryFunctionsOverTheWholeRange(t *testing.T) {
	flushed := func(y float64) float64 {
		if y < 0x1p-125 {
			return 0
		}
		return y
	}
	functions := []struct {
		name  string
		run   func(y, x []float32)
		exact func(x float64) float64
		most  float64 // ulp
	}{
		{"Exp", Exp, func(x float64) float64 { return flushed(math.Exp(x)) }, 1},
		{"Tanh", Tanh, math.Tanh, 3},
		{"Sigmoid", Sigmoid, func(x float64) float64 {
			if flushed(math.Exp(-math.Abs(x))) == 0 && x < 0 {
				return 0
			}
			return 1 / (1 + math.Exp(-x))
		}, 3},
	}
	eachTier(t, func(t *testing.T) {
		for _, f := range functions {
			var worst float64
			var at float32
			y := make([]float32, 1<<12)
			visit := func(x []float32) {
				f.run(y[:len(x)], x)
				for i, v := range x {
					if d := ulps(y[i], f.exact(float64(v))); d > worst || d != d {
						worst, at = d, v
					}
				}
			}
			sweep(9_973, visit)
			for _, edge := range []float32{0, expMin, -expMin, 88.72284, 9, -9, 0.02, 0.3465736, -0.3465736} {
				var x []float32
				for k := -500; k < 500; k++ { // neighbours, where branches and binades change
					x = append(x, math.Float32frombits(uint32(int64(math.Float32bits(edge))+int64(k))))
				}
				visit(x)
			}
			t.Logf("%s: at most %.2f ulp, at %g", f.name, worst, at)
			require.LessOrEqual(t, worst, f.most, "%s at %g", f.name, at)
		}
	})
}

func TestElementaryFunctionsAtSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := []float32{inf, -inf, 0, float32(math.Copysign(0, -1)), nan}
	eachTier(t, func(t *testing.T) {
		y := make([]float32, len(x))
		for _, c := range []struct {
			run  func(y, x []float32)
			want [4]float32
		}{
			{Exp, [4]float32{inf, 0, 1, 1}},
			{Tanh, [4]float32{1, -1, 0, x[3]}},
			{Sigmoid, [4]float32{1, 0, 0.5, 0.5}},
			{GELU, [4]float32{inf, x[3], 0, x[3]}},
			{GELUErf, [4]float32{inf, x[3], 0, x[3]}},
			{SiLU, [4]float32{inf, x[3], 0, x[3]}},
			{func(y, x []float32) { GELUGrad(y, []float32{1, 1, 1, 1, 1}, x) }, [4]float32{1, 0, 0.5, 0.5}},
			{func(y, x []float32) { GELUErfGrad(y, []float32{1, 1, 1, 1, 1}, x) }, [4]float32{1, 0, 0.5, 0.5}},
			{func(y, x []float32) { SiLUGrad(y, []float32{1, 1, 1, 1, 1}, x) }, [4]float32{1, 0, 0.5, 0.5}},
		} {
			c.run(y, x)
			assert.InDeltaSlice(t, c.want[2:], y[2:4], 1.5e-7)
			assert.Equal(t, bits([][]float32{c.want[:2]}), bits([][]float32{y[:2]}))
			assert.True(t, y[4] != y[4], "NaN stays")
		}
	})
}

func TestActivationsOverTheWholeRange(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for _, p := range activations() {
			if p.in != 1 && p.name[len(p.name)-4:] != "Grad" || p.in > 2 {
				continue
			}
			one := make([]float32, 1<<12)
			Fill(one, 1)
			sweep(50_021, func(x []float32) {
				in := [][]float32{x}
				if p.in == 2 {
					in = [][]float32{one[:len(x)], x}
				}
				check(t, p, in, p.call(in))
			})
			x := make([]float32, 4001) // where the curvature is
			for i := range x {
				x[i] = float32(i-2000) / 100
			}
			in := [][]float32{x}
			if p.in == 2 {
				in = [][]float32{one[:len(x)], x}
			}
			check(t, p, in, p.call(in))
		}
	})
}
