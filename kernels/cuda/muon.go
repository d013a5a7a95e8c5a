package cuda

import "forja/kernels"

// Coefficients of the quintic a·x + b·x³ + c·x⁵, whose fifth iterate is near 1 on (0, 1] (Jordan et al. 2024).
const (
	quinticA = 3.4445
	quinticB = -4.7750
	quinticC = 2.0315
)

// Muon is one step of Muon on a matrix.
func (b *Backend) Muon(w, master, mom, g, scratch, control kernels.Tensor, p kernels.Muon) {
	rows, cols := w.Rows(), w.Cols()
	n, r := rows*cols, min(rows, cols)
	if n == 0 {
		return
	}
	part := func(from, rows, cols int) kernels.Tensor {
		t := kernels.New(scratch.Buf, kernels.F32, rows, cols)
		t.Off = scratch.Off + from
		return t
	}
	u := part(0, rows, cols)
	b.mix(u, mom, g, control, p.Momentum)
	u, scale := b.orthogonalise(u, part(n, rows, cols), part(2*n, r, r), part(2*n+r*r, r, r))

	kernel := muonUpdateBF16
	if master.Nil() {
		kernel, master = muonUpdateF32, w
	}
	flatten(&u, &w, &master)
	perRow := ceilDiv(w.Cols(), updatePiece)
	b.muonUpdate(kernel, dim3{uint32(w.Rows() * perRow), 1, 1}, 0, b.addr(w), b.addr(master), b.addr(u), b.addr(control),
		int32(w.Cols()), int64(w.Stride), int64(master.Stride), int32(perRow), b.wide(u, w, master), p.Decay, factor(p.LRScale),
		float32(growth(rows, cols)*scale))
}

// mix is mom = μ·mom + g; u = g + μ·mom; u /= ‖u‖ + 1e-7.
func (b *Backend) mix(u, mom, g, control kernels.Tensor, momentum float32) {
	partial, _ := b.work()
	inverse := partial + 4*mostSquares
	flatten(&u, &mom, &g)
	perRow := ceilDiv(u.Cols(), updatePiece)
	pieces := u.Rows() * perRow
	blocks := min(pieces, mostSquares)
	b.muonMix(muonMixF32, dim3{uint32(blocks), 1, 1}, 0, b.addr(u), b.addr(mom), b.addr(g), b.addr(control), partial,
		int32(u.Cols()), int64(mom.Stride), int64(g.Stride), int32(pieces), int32(perRow), b.wide(u, mom, g), momentum)
	b.finishNorm(finishNormInverse, dim3{1, 1, 1}, 0, inverse, partial, int32(blocks), 1)
	b.muonNormalise(muonNormaliseF32, dim3{uint32(ceilDiv(u.Size(), updatePiece)), 1, 1}, 0, b.addr(u), inverse,
		int64(u.Size()), b.wide(u))
}

// orthogonalise iterates the quintic on u and returns which of u and spare holds the result, and the factor that is still to be
// multiplied. The Gram matrix is taken on the shorter side, so that nothing is transposed. Coefficients go where products
// have a scale: x = s·u becomes a·s·(u + b/a·(G + c/b·G²)·u) with G = s²·u·uᵀ, and no pass over memory is left but the products.
func (b *Backend) orthogonalise(u, spare, gram, inner kernels.Tensor) (kernels.Tensor, float64) {
	s := 1.0
	for range kernels.MuonIteration {
		if u.Rows() <= u.Cols() {
			b.Linear(gram, u, u, kernels.Epilogue{Scale: float32(s * s)})
		} else {
			b.LinearDW(gram, u, u, float32(s*s), false)
		}
		b.Linear(inner, gram, gram, kernels.Epilogue{Scale: quinticC / quinticB, Residual: gram})
		left, right := inner, u
		if u.Rows() > u.Cols() {
			left, right = u, inner
		}
		b.LinearDX(spare, left, right, kernels.Epilogue{Scale: quinticB / quinticA, Residual: u})
		s *= quinticA
		u, spare = spare, u
	}
	return u, s
}
