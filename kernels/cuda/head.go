package cuda

import "forja/kernels"

// A head is the language-model head: chunks of rows, as many as the logits have, each a product for the logits, one kernel
// for the statistics and, in place, the gradient of the logits, and the products with it. Rows without a cotangent are
// computed with the others, since only the device knows them, and contribute zeros.
type head struct {
	logits, x, w, bias, target kernels.Tensor
	logp, lse, entropy         kernels.Tensor // of the statistics; without them lse is given
	dx, dw, dbias              kernels.Tensor
	dlogp, dlse                kernels.Tensor
	vocab                      int
	stats, grad, accumulate    bool
}

// LinearLogProb computes log-probabilities without keeping the logits.
func (b *Backend) LinearLogProb(logp, lse, entropy, logits, x, w, bias, target kernels.Tensor, vocab int) {
	b.logProbs(&head{logits: logits, x: x, w: w, bias: bias, target: target, logp: logp, lse: lse, entropy: entropy,
		vocab: vocab, stats: true})
}

// LinearLogProbGrad is the gradient of LinearLogProb.
func (b *Backend) LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse kernels.Tensor, vocab int,
	accumulate bool) {
	b.logProbs(&head{logits: logits, x: x, w: w, bias: bias, target: target, lse: lse, dx: dx, dw: dw, dbias: dbias,
		dlogp: dlogp, dlse: dlse, vocab: vocab, grad: true, accumulate: accumulate})
}

// LinearLogProbBoth is LinearLogProb and LinearLogProbGrad in one.
func (b *Backend) LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias,
	target kernels.Tensor, vocab int, accumulate bool) {
	b.logProbs(&head{logits: logits, x: x, w: w, bias: bias, target: target, logp: logp, lse: lse, entropy: entropy, dx: dx,
		dw: dw, dbias: dbias, dlogp: dlogp, dlse: dlse, vocab: vocab, stats: true, grad: true, accumulate: accumulate})
}

func (b *Backend) logProbs(h *head) {
	rows := h.x.Rows()
	for lo := 0; lo < rows; lo += h.logits.Rows() {
		b.logProbsOf(h, lo, min(lo+h.logits.Rows(), rows))
		h.accumulate = true
	}
	if h.grad && !h.accumulate { // there are no rows
		for _, t := range []kernels.Tensor{h.dw, h.dbias} {
			if !t.Nil() {
				b.Fill(t, 0)
			}
		}
	}
}

// logProbsOf computes a chunk: rows [lo, hi).
func (b *Backend) logProbsOf(h *head, lo, hi int) {
	x, z := h.x.RowRange(lo, hi), h.logits.RowRange(0, hi-lo)
	b.Linear(z, x, h.w, kernels.Epilogue{Bias: h.bias})

	// The gradient is F32 in place, or BF16 in the second half of each row where products multiply nothing else.
	dz, half := z, h.x.DType == kernels.BF16 && h.w.DType == kernels.BF16
	if half {
		dz.DType, dz.Off, dz.Stride = kernels.BF16, 2*z.Off+z.Cols(), 2*z.Stride
	}
	kernel := logProbValue
	switch {
	case h.grad && h.stats && half:
		kernel = logProbBothBF16
	case h.grad && h.stats:
		kernel = logProbBothF32
	case h.grad && half:
		kernel = logProbGradBF16
	case h.grad:
		kernel = logProbGradF32
	}
	of := func(t kernels.Tensor) ptr { // the part of a vector that belongs to the chunk
		if t.Nil() {
			return 0
		}
		return b.addr(t) + ptr(4*lo)
	}
	b.logProb(kernel, dim3{uint32(hi - lo), 1, 1}, 0, b.addr(z), of(h.logp), of(h.lse), of(h.entropy), of(h.dlogp), of(h.dlse),
		of(h.target), int32(z.Cols()), int32(h.vocab), int64(z.Stride), b.wide(z, dz))
	if !h.grad {
		return
	}
	if !h.dx.Nil() {
		b.LinearDX(h.dx.RowRange(lo, hi), dz, h.w, kernels.Epilogue{})
	}
	if !h.dw.Nil() {
		b.LinearDW(h.dw, dz, x, 1, h.accumulate)
	}
	if !h.dbias.Nil() {
		b.BiasGrad(h.dbias, dz, h.accumulate)
	}
}
