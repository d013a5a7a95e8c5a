package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/vec"
)

// muon is the element-wise part of Muon: one of its steps on pieces of rows.
type muon struct {
	b            *Backend
	cut          cut
	step         func(p *muon, i, lo, hi int)
	w, master    matrix
	mom, g       matrix
	u            matrix
	x, y         matrix // y = scale·x in scale
	momentum     float32
	gradScale    float32
	scale        float32
	keep, change float32
}

// Do computes piece k of the step.
func (p *muon) Do(_, k int) {
	i0, i1, lo, hi := p.cut.piece(k)
	for i := i0; i < i1; i++ {
		p.step(p, i, lo, hi)
	}
}

func (p *muon) start(rows, cols int, step func(p *muon, i, lo, hi int)) {
	p.step, p.cut = step, newCut(rows, cols)
	p.b.run(p.cut.pieces(), 2*rows*cols, p)
}

// mix is mom = μ·mom + g; u = g + μ·mom.
func (p *muon) mix(i, lo, hi int) {
	mom, g, u := p.mom.f32(i, lo, hi), p.g.f32(i, lo, hi), p.u.f32(i, lo, hi)
	vec.Scale(u, p.gradScale, g)
	vec.AddScaled(mom, u, p.momentum, mom)
	vec.AddScaled(u, u, p.momentum, mom)
}

// scaled is y = scale·x.
func (p *muon) scaled(i, lo, hi int) {
	vec.Scale(p.y.f32(i, lo, hi), p.scale, p.x.f32(i, lo, hi))
}

// update is w = keep·w + change·u.
func (p *muon) update(i, lo, hi int) {
	w := p.master.f32(i, lo, hi)
	vec.Scale(w, p.keep, w)
	vec.Axpy(w, p.change, p.u.f32(i, lo, hi))
	p.w.store(i, lo, w)
}

// Coefficients of the quintic a·x + b·x³ + c·x⁵, whose fifth iterate is near 1 on (0, 1] (Jordan et al. 2024).
const (
	quinticA = 3.4445
	quinticB = -4.7750
	quinticC = 2.0315
)

// orthogonalise replaces u by the result of the Newton–Schulz iterations, near U·Vᵀ of its singular value decomposition.
// spare has room like u, gram twice r×r for r the shorter side. The Gram matrix is taken on that side, so that nothing
// is transposed.
func (p *muon) orthogonalise(u, spare matrix, gram []float32) matrix {
	rows, cols := u.rows, u.cols
	r := min(rows, cols)
	a, b := dense32(gram[:r*r], r, r), dense32(gram[r*r:], r, r)
	p.x, p.y, p.scale = u, u, float32(1/(p.b.gradNorm.norm(u)+1e-7))
	p.start(rows, cols, (*muon).scaled)
	g := p.b.gemm
	for range kernels.MuonIteration {
		if rows <= cols {
			g.Mul(gemm.NT, r, r, cols, 1, u.operand(), u.operand(), a.operand(), false, nil)
		} else {
			g.Mul(gemm.TN, r, r, rows, 1, u.operand(), u.operand(), a.operand(), false, nil)
		}
		p.x, p.y, p.scale = a, b, quinticB
		p.start(r, r, (*muon).scaled)
		g.Mul(gemm.NN, r, r, r, quinticC, a.operand(), a.operand(), b.operand(), true, nil)
		p.x, p.y, p.scale = u, spare, quinticA
		p.start(rows, cols, (*muon).scaled)
		if rows <= cols {
			g.Mul(gemm.NN, rows, cols, r, 1, b.operand(), u.operand(), spare.operand(), true, nil)
		} else {
			g.Mul(gemm.NN, rows, cols, r, 1, u.operand(), b.operand(), spare.operand(), true, nil)
		}
		u, spare = spare, u
	}
	return u
}

// Muon is one step of Muon, with g scaled by the control block as in AdamW.
func (b *Backend) Muon(w, master, mom, g, scratch, control kernels.Tensor, a kernels.Muon) {
	p := &b.muon
	p.w, p.master, p.mom, p.g = view(w), masterOf(w, master), view(mom), view(g)
	if p.w.absent() {
		return
	}
	rows, cols := p.w.rows, p.w.cols
	s, c, n := floats(scratch), floats(control), rows*cols
	if c[kernels.ControlSkip] != 0 {
		return
	}
	p.u = dense32(s[:n], rows, cols)
	p.momentum, p.gradScale = a.Momentum, c[kernels.ControlScale]
	p.start(rows, cols, (*muon).mix)
	p.u = p.orthogonalise(p.u, dense32(s[n:2*n], rows, cols), s[2*n:])
	lr := learningRate(c, a.LRScale)
	p.keep = float32(1 - lr*float64(a.Decay))
	p.change = float32(-lr * math.Sqrt(max(1, float64(rows)/float64(cols))))
	p.start(rows, cols, (*muon).update)
}
