package cuda

import (
	"math"

	"forja/kernels"
)

// Kernels by form.
var (
	addKernels          = [forms]kernelID{addF32, addBF16, addMixed, addSingle}
	activateKernels     = [forms]kernelID{activateF32, activateBF16, activateMixed, activateSingle}
	activateGradKernels = [forms]kernelID{activateGradF32, activateGradBF16, activateGradMixed, activateGradSingle}
	swigluKernels       = [forms]kernelID{swigluF32, swigluBF16, swigluMixed, swigluSingle}
	swigluGradKernels   = [forms]kernelID{swigluGradF32, swigluGradBF16, swigluGradMixed, swigluGradSingle}
	dropoutKernels      = [forms]kernelID{dropoutF32, dropoutBF16, dropoutMixed, dropoutSingle}
	ropeKernels         = [forms]kernelID{ropeF32, ropeBF16, ropeMixed, ropeSingle}
)

// Add is z = x + y.
func (b *Backend) Add(z, x, y kernels.Tensor) {
	for o := b.operands(z, x, y); o.next(); {
		b.add(addKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], o.at[2], o.ld[0], o.ld[1], o.ld[2], o.count, o.chunks, o.half)
	}
}

// Activate is y = f(x).
func (b *Backend) Activate(y, x kernels.Tensor, f kernels.Activation) {
	for o := b.operands(y, x); o.next(); {
		b.activate(activateKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], o.ld[0], o.ld[1], o.count, o.chunks, o.half, int32(f))
	}
}

// ActivateGrad is dx = dy·f'(x).
func (b *Backend) ActivateGrad(dx, dy, x kernels.Tensor, f kernels.Activation) {
	for o := b.operands(dx, dy, x); o.next(); {
		b.activateGrad(activateGradKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], o.at[2], o.ld[0], o.ld[1], o.ld[2],
			o.count, o.chunks, o.half, int32(f))
	}
}

// SwiGLU is y = SiLU(gate)·up.
func (b *Backend) SwiGLU(y, gate, up kernels.Tensor) {
	for o := b.operands(y, gate, up); o.next(); {
		b.swiglu(swigluKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], o.at[2], o.ld[0], o.ld[1], o.ld[2], o.count, o.chunks, o.half)
	}
}

// SwiGLUGrad is dgate = dy·up·SiLU'(gate), dup = dy·SiLU(gate).
func (b *Backend) SwiGLUGrad(dgate, dup, dy, gate, up kernels.Tensor) {
	for o := b.operands(dgate, dup, dy, gate, up); o.next(); {
		b.swigluGrad(swigluGradKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], o.at[2], o.at[3], o.at[4],
			o.ld[0], o.ld[1], o.ld[2], o.ld[3], o.ld[4], o.count, o.chunks, o.half)
	}
}

// Dropout is y = keep·x/(1-p), with keep from Philox4x32-10.
func (b *Backend) Dropout(y, x, rng kernels.Tensor, p float32, site uint32, rows int) {
	var o operands
	o.rows, o.cols = y.Rows(), y.Cols()
	b.locate(&o, y, x)
	if y.Dense() && x.Dense() && rows*o.cols <= 1<<30 { // a sample is a row
		o.rows, o.cols, rows = o.rows/rows, rows*o.cols, 1
		o.ld = [6]int64{int64(o.cols), int64(o.cols)}
	}
	o.form = b.form([]kernels.Tensor{y, x}, o.cols)
	o.width = o.form.width()
	threshold := uint32(math.Ceil(float64(p) * (1 << 32)))
	for first := 0; o.next(); first = o.row {
		b.dropout(dropoutKernels[o.form], b.grid(&o), 0, o.at[0], o.at[1], b.addr(rng), o.ld[0], o.ld[1], o.count, o.chunks,
			int32(first), int32(rows), int32(o.cols), o.half, site, threshold, 1/(1-p))
	}
}

// RoPE rotates the first heads·D columns of x in pairs by the angles of the row's position and copies the others.
func (b *Backend) RoPE(y, x, table, pos kernels.Tensor, heads int, inverse bool) {
	var o operands
	d := table.Cols()
	o.rows, o.cols = y.Rows(), y.Cols()
	rest := o.cols - heads*d
	b.locate(&o, y, x)
	o.form = b.form([]kernels.Tensor{y, x}, d/2, rest)
	if !b.fits(4, []kernels.Tensor{table}, nil) {
		o.form = single
	}
	o.width = o.form.width()
	if y.Same(x) {
		rest = 0 // is there already
	}
	sign := float32(1)
	if inverse {
		sign = -1
	}
	per := d / 2 / o.width
	for positions := b.addr(pos); o.next(); positions += ptr(o.count) * 4 {
		b.rope(ropeKernels[o.form], b.spread(int(o.count)*(heads*per+rest/o.width)), 0, o.at[0], o.at[1], b.addr(table), positions,
			o.ld[0], o.ld[1], int64(table.Stride), o.count, int32(heads*per), int32(per), int32(rest/o.width), o.half, sign)
	}
}
