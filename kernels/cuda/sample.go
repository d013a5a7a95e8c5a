package cuda

import "forja/kernels"

// Sample draws one token a row.
func (b *Backend) Sample(next, logp, logits, params, seen kernels.Tensor, vocab int) {
	b.sample(sampleF32, dim3{uint32(logits.Rows()), 1, 1}, 0, b.addr(next), b.addr(logp), b.addr(logits), b.addr(params),
		b.addr(seen), int32(vocab), int64(logits.Stride), int64(params.Stride), int64(seen.Stride))
}
