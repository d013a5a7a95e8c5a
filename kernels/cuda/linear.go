package cuda

import "forja/kernels"

// Linear is y(M,N) = f(s·x(M,K)·w(N,K)ᵀ + bias) + residual.
func (b *Backend) Linear(y, x, w kernels.Tensor, e kernels.Epilogue) {
	b.multiply(&product{
		layout: nt, a: x, b: w, out: y, m: y.Rows(), n: y.Cols(), k: x.Cols(),
		scale: e.Scale, bias: e.Bias, act: e.Act, pre: e.Pre, residual: e.Residual,
	})
}

// LinearDX is dx(M,K) = s·dy(M,N)·w(N,K)·f'(pre) + residual.
func (b *Backend) LinearDX(dx, dy, w kernels.Tensor, e kernels.Epilogue) {
	b.multiply(&product{
		layout: nn, a: dy, b: w, out: dx, m: dx.Rows(), n: dx.Cols(), k: dy.Cols(),
		scale: e.Scale, act: e.Act, pre: e.Pre, residual: e.Residual, gradient: e.Act != kernels.NoActivation,
	})
}

// LinearDW is dw(N,K) = s·dy(M,N)ᵀ·x(M,K), added to dw if accumulate.
func (b *Backend) LinearDW(dw, dy, x kernels.Tensor, scale float32, accumulate bool) {
	p := product{layout: tn, a: dy, b: x, out: dw, m: dw.Rows(), n: dw.Cols(), k: dy.Rows(), scale: scale}
	if accumulate {
		p.residual = dw
	}
	b.multiply(&p)
}
