package cuda

import (
	"math"

	"forja/kernels"
)

// Elements of a piece and the most partial sums of squares, as in src/optim.cu.
const (
	squarePiece = 16384
	updatePiece = 2048
	mostSquares = 4096
)

// wide is 1 if the rows of all tensors begin at multiples of 16 bytes. Absent tensors have none.
func (b *Backend) wide(tensors ...kernels.Tensor) int32 {
	for _, t := range tensors {
		if !t.Nil() && !b.divides(16, t) {
			return 0
		}
	}
	return 1
}

// flatten makes dense tensors of one shape a single row. Absent ones do not count.
func flatten(tensors ...*kernels.Tensor) {
	for _, t := range tensors {
		if !t.Nil() && !t.Dense() {
			return
		}
	}
	for _, t := range tensors {
		if !t.Nil() {
			*t = t.Reshape(1, t.Size())
		}
	}
}

// GradNorm stores ‖g‖₂ and the factor that clips it in the control block.
func (b *Backend) GradNorm(control, g kernels.Tensor, limit float32) {
	partial, _ := b.work()
	flatten(&g)
	perRow := ceilDiv(g.Cols(), squarePiece)
	pieces := g.Rows() * perRow
	blocks := min(pieces, mostSquares)
	b.squareSums(squareSumsF32, dim3{uint32(blocks), 1, 1}, 0, partial, b.addr(g), int64(g.Cols()), int64(g.Stride), int32(pieces),
		int32(perRow), b.wide(g))
	b.finishNorm(finishNormClip, dim3{1, 1, 1}, 0, b.addr(control), partial, int32(blocks), limit)
}

// AdamW is one step of AdamW on a range of parameters.
func (b *Backend) AdamW(w, master, m, v, g, control kernels.Tensor, p kernels.AdamW) {
	kernel := adamwBF16
	if master.Nil() {
		kernel, master = adamwF32, w
	}
	flatten(&w, &master, &m, &v, &g)
	perRow := ceilDiv(w.Cols(), updatePiece)
	b.adamw(kernel, dim3{uint32(w.Rows() * perRow), 1, 1}, 0, b.addr(w), b.addr(master), b.addr(m), b.addr(v), b.addr(g),
		b.addr(control), int64(w.Cols()), int64(w.Stride), int64(master.Stride), int64(m.Stride), int64(v.Stride), int64(g.Stride),
		int32(perRow), b.wide(w, master, m, v, g), p.Beta1, rest(p.Beta1), p.Beta2, rest(p.Beta2), p.Eps, p.Decay,
		factor(p.LRScale))
}

// rest is 1 - β, which float32 arithmetic would get wrong in the fifth digit.
func rest(beta float32) float32 { return float32(1 - float64(beta)) }

// factor is a scale of which 0 stands for 1.
func factor(scale float32) float32 {
	if scale == 0 {
		return 1
	}
	return scale
}

// growth is √max(1, rows/cols), by which Muon's step grows.
func growth(rows, cols int) float64 { return math.Sqrt(max(1, float64(rows)/float64(cols))) }
