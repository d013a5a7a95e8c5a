package kerneltest

import (
	"fmt"

	"forja/kernels"
)

// packedWeights are random quantised weights: every code occurs, and scales of both signs, as no encoder makes them.
func (tr *trial) packedWeights(q kernels.Quant, n, k int) (w, scales *operand) {
	w = tr.output(kernels.U8, n, q.Width(k)).set(func(int) float64 { return float64(tr.rng.IntN(256)) })
	size := map[kernels.Quant]float64{kernels.NF4: 1, kernels.Q8: 1. / 127}[q]
	scales = tr.output(kernels.F32, n, k/q.Block()).set(func(int) float64 { return size * tr.rng.NormFloat64() })
	return w, scales
}

// unpacked are quantised weights as the numbers that are multiplied: code·scale in float32, rounded to d.
func unpacked(w, scales *operand, q kernels.Quant, d kernels.DType, n, k int) mat {
	m := newMat(n, k)
	for i := range m.v {
		row, col := i/k, i%k
		s := float32(scales.get(row*(k/q.Block()) + col/q.Block()))
		code := int(w.get(row*q.Width(k) + col*q.Width(k)/k))
		var v float32
		switch {
		case q == kernels.Q8:
			v = float32(int8(code)) * s
		case col%2 == 0:
			v = kernels.NF4Codes[code>>4] * s
		default:
			v = kernels.NF4Codes[code&15] * s
		}
		m.v[i] = exact(float64(v))
		if d == kernels.BF16 {
			m.v[i] = exact(toBF16(float64(v)))
		}
	}
	return m
}

func quantCases(l *list) {
	epilogues := []epilogueForm{{}, {scale: 0.5, bias: true}, {residual: 2}, {bias: true, act: kernels.SiLU, pre: 1, residual: 1}}
	gradients := []epilogueForm{{}, {scale: -2, residual: 2}, {act: kernels.GELU, pre: 1, residual: 1}}
	for _, v := range []struct {
		m, n, k int // k in multiples of 64
		scope   scope
	}{
		{1, 19, 1, small}, {5, 33, 2, small}, {1, 1, 1, normal}, {8, 16, 3, normal}, {9, 70, 4, normal}, {17, 130, 2, normal}, {40, 65, 5, normal},
		{0, 3, 1, normal}, {3, 0, 1, normal}, {3, 5, 0, normal}, {130, 200, 6, long},
	} {
		for _, q := range []kernels.Quant{kernels.NF4, kernels.Q8} {
			m, n, k := v.m, v.n, 64*v.k
			if q == kernels.Q8 && v.k%2 == 1 {
				k -= 32
			}
			for _, d := range mixtures(5) {
				for _, f := range epilogues {
					l.add("LinearQuant", v.scope, fmt.Sprintf("%v (%d,%d,%d) %v %v", q, m, n, k, d, f), func(tr *trial) {
						y, x := tr.output(d[0], m, n), tr.normal(d[1], m, k)
						w, scales := tr.packedWeights(q, n, k)
						bias, pre, residual := none, none, none
						if f.bias {
							bias = tr.vector(d[3], n)
						}
						if f.pre > 0 {
							pre = tr.output(d[4], m, n)
						}
						switch f.residual {
						case 1:
							residual = tr.normal(d[3], m, n)
						case 2:
							residual = y.set(func(int) float64 { return tr.rng.NormFloat64() })
						}
						tr.call = func(b kernels.Backend) {
							b.LinearQuant(y.t, x.t, w.t, scales.t, q,
								kernels.Epilogue{Scale: f.scale, Bias: bias.t, Act: f.act, Pre: pre.t, Residual: residual.t})
						}
						oracle := func() (mat, mat) {
							return linear(x.values(), unpacked(w, scales, q, d[1], n, k),
								finish{scale: f.scale, bias: bias.values(), act: f.act, residual: residual.values()})
						}
						tr.want(y, func() mat { y, _ := oracle(); return y })
						if f.pre > 0 {
							tr.want(pre, func() mat { _, pre := oracle(); return pre })
						}
					})
				}
				for _, f := range gradients {
					l.add("LinearQuantDX", v.scope, fmt.Sprintf("%v (%d,%d,%d) %v %v", q, m, n, k, d, f), func(tr *trial) {
						dx, dy := tr.output(d[0], m, k), tr.normal(d[1], m, n)
						w, scales := tr.packedWeights(q, n, k)
						pre, residual := none, none
						if f.pre > 0 {
							pre = tr.normal(d[4], m, k)
						}
						switch f.residual {
						case 1:
							residual = tr.normal(d[3], m, k)
						case 2:
							residual = dx.set(func(int) float64 { return tr.rng.NormFloat64() })
						}
						tr.call = func(b kernels.Backend) {
							b.LinearQuantDX(dx.t, dy.t, w.t, scales.t, q, kernels.Epilogue{Scale: f.scale, Act: f.act, Pre: pre.t, Residual: residual.t})
						}
						tr.want(dx, func() mat {
							return linearDX(dy.values(), unpacked(w, scales, q, d[1], n, k),
								finish{scale: f.scale, act: f.act, pre: pre.values(), residual: residual.values()})
						})
					})
				}
			}
		}
	}
}
