package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// gradNorm sums squares: in float32 within a piece, in float64 over the pieces.
type gradNorm struct {
	b     *Backend
	cut   cut
	x     matrix
	parts []float64
}

// normPieces pieces make one part.
const normPieces = 32

// Do sums part k.
func (p *gradNorm) Do(_, k int) {
	var sum float64
	for piece := k * normPieces; piece < min((k+1)*normPieces, p.cut.pieces()); piece++ {
		i0, i1, lo, hi := p.cut.piece(piece)
		for i := i0; i < i1; i++ {
			sum += float64(vec.SumSquares(p.x.f32(i, lo, hi)))
		}
	}
	p.parts[k] = sum
}

// norm is ‖x‖₂ of an F32 matrix.
func (p *gradNorm) norm(x matrix) float64 {
	if x.absent() {
		return 0
	}
	flatten(&x)
	p.x, p.cut = x, newCut(x.rows, x.cols)
	n := ceilDiv(p.cut.pieces(), normPieces)
	p.parts = p.b.shared.reset().doubles(n)
	p.b.run(n, x.rows*x.cols, p)
	var sum float64
	for _, s := range p.parts {
		sum += s
	}
	return math.Sqrt(sum)
}

// GradNorm stores ‖g‖₂ and the factor that clips it.
func (b *Backend) GradNorm(control, g kernels.Tensor, limit float32) {
	norm := b.gradNorm.norm(view(g))
	c := floats(control)
	c[kernels.ControlNorm], c[kernels.ControlScale] = float32(norm), 1
	if limit > 0 {
		c[kernels.ControlScale] = float32(min(1, float64(limit)/(norm+1e-6)))
	}
	c[kernels.ControlSkip] = 0
	if bound := float64(c[kernels.ControlBound]); !(norm <= math.MaxFloat32) || bound > 0 && norm > bound {
		c[kernels.ControlSkip] = 1
	}
}

// adamw is AdamW on pieces.
type adamw struct {
	b         *Backend
	cut       cut
	w, master matrix
	m, v, g   matrix
	constants vec.AdamWParams
}

// Do updates piece k.
func (p *adamw) Do(_, k int) {
	i0, i1, lo, hi := p.cut.piece(k)
	for i := i0; i < i1; i++ {
		w := p.master.f32(i, lo, hi)
		vec.AdamW(w, p.m.f32(i, lo, hi), p.v.f32(i, lo, hi), p.g.f32(i, lo, hi), p.constants)
		p.w.store(i, lo, w)
	}
}

// AdamW is one step of AdamW.
func (b *Backend) AdamW(w, master, m, v, g, control kernels.Tensor, a kernels.AdamW) {
	p := &b.adamw
	p.w, p.master, p.m, p.v, p.g = view(w), masterOf(w, master), view(m), view(v), view(g)
	if p.w.absent() {
		return
	}
	c := floats(control)
	if c[kernels.ControlSkip] != 0 {
		return
	}
	p.constants = vec.AdamWParams{
		LR:    learningRate(c, a.LRScale),
		Beta1: float64(a.Beta1), Beta2: float64(a.Beta2), Eps: float64(a.Eps), Decay: float64(a.Decay),
		Correction1: float64(c[kernels.ControlC1]), Correction2: float64(c[kernels.ControlC2]),
		GradScale: float64(c[kernels.ControlScale]),
	}
	flatten(&p.w, &p.master, &p.m, &p.v, &p.g)
	p.cut = newCut(p.w.rows, p.w.cols)
	b.run(p.cut.pieces(), 4*p.w.rows*p.w.cols, p)
}

// masterOf is the F32 value of a weight: its master, or itself.
func masterOf(w, master kernels.Tensor) matrix {
	if master.Nil() {
		return view(w)
	}
	return view(master)
}

func learningRate(control []float32, scale float32) float64 {
	lr := float64(control[kernels.ControlLR])
	if scale != 0 {
		lr *= float64(scale)
	}
	return lr
}
