package cuda

import (
	"math"

	"forja/kernels"
)

// conversions are the kernels from one dtype to another: 4 elements a thread, and 1.
var conversions = map[[2]kernels.DType][2]kernelID{
	{kernels.F32, kernels.BF16}: {convertF32BF16, convertF32BF16Single},
	{kernels.BF16, kernels.F32}: {convertBF16F32, convertBF16F32Single},
	{kernels.F32, kernels.F16}:  {convertF32F16, convertF32F16Single},
	{kernels.BF16, kernels.F16}: {convertBF16F16, convertBF16F16Single},
}

// Copy converts src to dst element by element, to nearest even.
func (b *Backend) Copy(dst, src kernels.Tensor) {
	if dst.DType == src.DType {
		b.copyBits(dst, src)
		return
	}
	o := b.operands(dst, src)
	ids := conversions[[2]kernels.DType{dst.DType, src.DType}]
	id := ids[0]
	if o.width = 4; !b.fits(4, []kernels.Tensor{dst, src}, []int{o.cols}) {
		id, o.width = ids[1], 1
	}
	for o.next() {
		b.convert(id, b.grid(&o), 0, o.at[0], o.at[1], o.ld[0], o.ld[1], o.count, o.chunks)
	}
}

// copyBits copies rows as they are, in the largest units that fit.
func (b *Backend) copyBits(dst, src kernels.Tensor) {
	o := b.operands(dst, src)
	o.cols *= o.size[0]
	for i := range 2 {
		o.ld[i] *= int64(o.size[i])
		o.size[i] = 1
	}
	for _, c := range [...]struct {
		id    kernelID
		width int
	}{{copyX128, 16}, {copyX32, 4}, {copyX16, 2}, {copyX8, 1}} {
		all := int(o.at[0]) | int(o.at[1]) | o.cols
		if o.rows > 1 {
			all |= int(o.ld[0]) | int(o.ld[1])
		}
		if all%c.width != 0 {
			continue
		}
		o.width = c.width
		for unit := int64(c.width); o.next(); {
			b.copy(c.id, b.grid(&o), 0, o.at[0], o.at[1], o.ld[0]/unit, o.ld[1]/unit, o.count, o.chunks)
		}
		return
	}
}

// Fill sets every element of a float dst to v, or of an I32 dst to int32(v).
func (b *Backend) Fill(dst kernels.Tensor, v float32) {
	bits, id, perStore := math.Float32bits(v), fillX32, 4
	switch dst.DType {
	case kernels.I32:
		bits = uint32(int32(v))
	case kernels.BF16:
		bits, id, perStore = uint32(kernels.RoundBF16(v))*0x10001, fillX16, 8
	}
	o := b.operands(dst)
	if o.width = 1; b.fits(perStore, []kernels.Tensor{dst}, []int{o.cols}) {
		id, o.width = fillX128, perStore
	}
	for o.next() {
		b.fill(id, b.grid(&o), 0, o.at[0], bits, o.ld[0]/int64(o.width), o.count, o.chunks)
	}
}
