package vec

import "math"

// AdamWParams are the scalars of one AdamW step. They are float64 because 1 − β in float32 would be off in the fifth
// digit.
type AdamWParams struct {
	LR, Beta1, Beta2, Eps, Decay float64
	// Correction1 and Correction2 are 1 − β1^t and 1 − β2^t at step t, counted from 1.
	Correction1, Correction2 float64
	// GradScale multiplies the gradient first: the clipping factor, 1 for none.
	GradScale float64
}

// AdamW performs one step in place, with decoupled weight decay in PyTorch's order:
//
//	g' = GradScale·g
//	m  = β1·m + (1 − β1)·g'
//	v  = β2·v + (1 − β2)·g'²
//	w  = (1 − lr·decay)·w − lr/c1 · m / (√v/√c2 + eps)
//
// w sets the length; g is not written. Loshchilov and Hutter, arXiv:1711.05101.
func AdamW(w, m, v, g []float32, p AdamWParams) {
	n := len(w)
	adamW(w, m[:n], v[:n], g[:n],
		float32(p.GradScale),
		float32(p.Beta1), float32(1-p.Beta1),
		float32(p.Beta2), float32(1-p.Beta2),
		float32(1-p.LR*p.Decay), float32(p.LR/p.Correction1),
		float32(math.Sqrt(p.Correction2)), float32(p.Eps))
}

func adamWGo(w, m, v, g []float32, gradScale, beta1, rest1, beta2, rest2, keep, step, root, eps float32) {
	for i := range w {
		d := g[i] * gradScale
		mi := beta1*m[i] + rest1*d
		vi := beta2*v[i] + rest2*(d*d)
		m[i], v[i] = mi, vi
		w[i] = keep*w[i] - step*(mi/(float32(math.Sqrt(float64(vi)))/root+eps))
	}
}
