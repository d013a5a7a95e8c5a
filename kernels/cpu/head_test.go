package cpu

import (
	"math"
	"testing"

	"forja/kernels"
)

// head64 is the language-model head and its gradient in float64.
type head64 struct {
	logp, lse, entropy []float64
	dx, dw             m64
	dbias              []float64
}

func newHead64(x, w, bias m64, target []int32, dlogp, dlse []float64, vocab int) (r head64) {
	z, _ := mul64(x, w.transposed())
	dz := new64(x.rows, w.rows)
	r.dbias = make([]float64, w.rows)
	for i := range x.rows {
		row := z.row(i)[:vocab]
		sum, mean := 0.0, 0.0
		for j := range row {
			row[j] += bias.v[j]
			sum += math.Exp(row[j])
		}
		lse := math.Log(sum)
		logp := 0.0
		for j, v := range row {
			p := math.Exp(v - lse)
			mean += p * v
			dz.add(i, j, dlse[i]*p)
			if target[i] >= 0 {
				dz.add(i, j, -dlogp[i]*p)
			}
		}
		if target[i] >= 0 {
			logp = row[target[i]] - lse
			dz.add(i, int(target[i]), dlogp[i])
		}
		for j, d := range dz.row(i) {
			r.dbias[j] += d
		}
		r.logp, r.lse, r.entropy = append(r.logp, logp), append(r.lse, lse), append(r.entropy, lse-mean)
	}
	r.dx, _ = mul64(dz, w)
	r.dw, _ = mul64(dz.transposed(), x)
	return r
}

func TestLogProbabilitiesAndTheirGradientMatchWholeLogits(t *testing.T) {
	for _, c := range []struct {
		name          string
		masked, fused bool
		rows          int
	}{
		{"two calls", false, false, 8},
		{"two calls, scattered rows", true, false, 8},
		{"one call", false, true, 64},
		{"one call, scattered rows", true, true, 5},
	} {
		everyDType(t, func(t *testing.T, r *rig) {
			const m, n, padded, vocab = 40, 24, 130, 121
			x, w, bias, logits := r.float(m, n), r.float(padded, n), r.dense(padded), r.out(r.f32(c.rows, padded))
			target, dlogp, dlse := r.indices(m, vocab, true), r.vec(m), r.vec(m)
			if c.masked {
				r.fill(dlogp, func(i int) float64 { return float64(i % 3) })
				r.fill(dlse, func(i int) float64 { return float64(i%3) / 2 })
			}
			logp, lse, entropy := r.out(r.vec(m)), r.out(r.vec(m)), r.out(r.vec(m))
			dx, dw, dbias := r.out(r.float(m, n)), r.out(r.f32(padded, n)), r.out(r.vec(padded))
			r.run(func(k kernels.Backend) {
				if c.fused {
					k.LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, vocab, false)
				} else {
					k.LinearLogProb(logp, lse, entropy, logits, x, w, bias, target, vocab)
					k.LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse, vocab, false)
				}
			})
			want := newHead64(load64(x), load64(w), load64(bias), ints(target), values(dlogp), values(dlse), vocab)
			limit := 64 * math.Sqrt(n)
			r.near(want.logp, logp, constant(limit))
			r.near(want.lse, lse, constant(limit))
			r.near(want.entropy, entropy, constant(limit))
			if r.dtype == kernels.BF16 { // the gradient of the logits is rounded
				limit *= 0x1p14
			}
			r.near(want.dx.v, dx, constant(8*limit))
			r.near(want.dw.v, dw, constant(16*limit))
			r.near(want.dbias, dbias, constant(16*limit))

			// A second call accumulates in dw and dbias, not in dx.
			r.run(func(k kernels.Backend) {
				k.LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse, vocab, true)
			})
			for i := range want.dw.v {
				want.dw.v[i] *= 2
			}
			r.near(want.dx.v, dx, constant(8*limit))
			r.near(want.dw.v, dw, constant(32*limit))
		})
	}
}

func TestHeadWithoutCotangentsHasNoGradient(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	const m, n, vocab = 6, 8, 20
	x, w, logits, target := r.float(m, n), r.float(vocab, n), r.out(r.f32(4, vocab)), r.indices(m, vocab, false)
	dlogp := r.fill(r.vec(m), func(int) float64 { return 0 })
	lse, dx, dw, dbias := r.vec(m), r.out(r.float(m, n)), r.out(r.f32(vocab, n)), r.out(r.vec(vocab))
	r.run(func(k kernels.Backend) {
		k.LinearLogProbGrad(dx, dw, dbias, logits, dlogp, absent, x, w, absent, target, lse, vocab, false)
	})
	r.near(make([]float64, m*n), dx, constant(0))
	r.near(make([]float64, vocab*n), dw, constant(0))
	r.near(make([]float64, vocab), dbias, constant(0))
}
