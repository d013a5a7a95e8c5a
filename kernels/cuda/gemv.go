package cuda

import "forja/kernels"

// gemv queues a product whose few rows leave memory as the bound, as in generation, and reports whether it did.
func (b *Backend) gemv(p *product) bool {
	id, ok := gemvKernel(p)
	if !ok || p.layout != nt || p.gradient || p.k%8 != 0 || b.wide(p.a, p.b) == 0 {
		return false
	}
	const columns = 16 // of a block
	e := b.epilogue(p)
	b.launcher.gemv(id, dim3{uint32(ceilDiv(p.n, columns)), 1, 1}, 0, e.out, b.addr(p.a), b.addr(p.b), e.bias, e.pre, e.residual,
		int32(p.m), int32(p.n), int32(p.k), int64(p.a.Stride), int64(p.b.Stride), int32(e.ldo), int32(e.ldp), int32(e.ldr),
		int32(e.act), e.scale, e.flags)
	return true
}

// gemvKernel is the kernel for so many rows, if there is one.
func gemvKernel(p *product) (kernelID, bool) {
	if p.a.DType != p.b.DType {
		return 0, false
	}
	if p.a.DType == kernels.BF16 {
		switch {
		case p.m <= 8:
			return gemvBF168, true
		case p.m <= 16:
			return gemvBF1616, true
		}
		return gemvBF1632, p.m <= 32
	}
	switch {
	case p.m <= 1:
		return gemvF321, true
	case p.m <= 4:
		return gemvF324, true
	}
	return gemvF328, p.m <= 8
}
