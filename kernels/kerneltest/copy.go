package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"

	"forja/kernels"
)

// A form is a shape of element-wise operands, and when it is tested.
type form struct {
	m, n  int
	scope scope
}

var forms = []form{
	{7, 33, small}, {1, 1, normal}, {1, 17, normal}, {33, 1, normal}, {16, 64, normal}, {31, 129, normal},
	{3, 2100, normal}, {130, 257, normal}, {0, 5, normal}, {80, 2049, long},
}

// mixtures are dtypes for n operands: all F32, all BF16, and alternating.
func mixtures(n int) (all [][]kernels.DType) {
	for _, pattern := range [][2]kernels.DType{
		{kernels.F32, kernels.F32}, {kernels.BF16, kernels.BF16}, {kernels.BF16, kernels.F32}, {kernels.F32, kernels.BF16},
	} {
		d := make([]kernels.DType, n)
		for i := range d {
			d[i] = pattern[i%2]
		}
		all = append(all, d)
	}
	if n == 1 {
		return all[:2]
	}
	return all
}

// every adds a scenario for each form and mixture of dtypes.
func (l *list) every(op, name string, operands int, build func(tr *trial, m, n int, d []kernels.DType)) {
	for _, f := range forms {
		for _, d := range mixtures(operands) {
			l.add(op, f.scope, fmt.Sprintf("%s(%d,%d) %v", name, f.m, f.n, d), func(tr *trial) { build(tr, f.m, f.n, d) })
		}
	}
}

// inPlace reports whether operands 0 and i have one dtype, so that they may be one tensor.
func inPlace(d []kernels.DType, i int) bool { return d[0] == d[i] }

func copyCases(l *list) {
	for _, f := range forms {
		for _, c := range [][2]kernels.DType{
			{kernels.F32, kernels.F32}, {kernels.BF16, kernels.F32}, {kernels.F32, kernels.BF16}, {kernels.BF16, kernels.BF16},
			{kernels.F32, kernels.F16}, {kernels.BF16, kernels.F16}, {kernels.I32, kernels.I32}, {kernels.U8, kernels.U8},
			{kernels.F16, kernels.F16},
		} {
			l.add("Copy", f.scope, fmt.Sprintf("(%d,%d) %v from %v", f.m, f.n, c[0], c[1]), func(tr *trial) {
				src := tr.output(c[1], f.m, f.n)
				for i := range f.m * f.n {
					tr.randomBits(src.at.before[src.element(i):][:c[1].Size()], c[1])
				}
				tr.copying(tr.output(c[0], f.m, f.n), src)
			})
		}
	}
	for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
		l.add("Copy", normal, fmt.Sprintf("every f16 to %v", d), func(tr *trial) {
			src := tr.output(kernels.F16, 256, 256)
			for i := range 1 << 16 {
				binary.NativeEndian.PutUint16(src.at.before[src.element(i):], uint16(i))
			}
			tr.copying(tr.output(d, 256, 256), src)
		})
	}
	for s := small; s <= normal; s++ {
		l.add("Copy", s, fmt.Sprintf("rounding ties to even %d", s), func(tr *trial) {
			n := []int{64, 4096}[s]
			src := tr.output(kernels.F32, 3, n).set(func(i int) float64 {
				top := uint32(tr.rng.IntN(1<<16)) &^ 0x0080 // finite
				return float64(math.Float32frombits(top<<16 | []uint32{0x7fff, 0x8000, 0x8001}[i/n]))
			})
			tr.copying(tr.output(kernels.BF16, 3, n), src)
		})
	}
	for _, f := range forms {
		for _, v := range []float32{0, 1.5, -3.9, 1e-3} {
			for _, d := range []kernels.DType{kernels.F32, kernels.BF16, kernels.I32} {
				l.add("Fill", f.scope, fmt.Sprintf("(%d,%d) %v with %g", f.m, f.n, d, v), func(tr *trial) {
					dst := tr.output(d, f.m, f.n)
					tr.call = func(b kernels.Backend) { b.Fill(dst.t, v) }
					tr.exactly(dst, func() mat {
						return each(func(...num) num { return exact(float64(v)) }, newMat(f.m, f.n))
					})
				})
			}
		}
	}
}

// randomBits is any value of a dtype.
func (tr *trial) randomBits(b []byte, d kernels.DType) {
	for i := range b {
		b[i] = byte(tr.rng.Uint32())
	}
	if d == kernels.F32 && tr.rng.IntN(8) == 0 {
		encode(b, d, []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 3.4e38, -3.4e38, 1e-40}[tr.rng.IntN(8)])
	}
}

func (tr *trial) copying(dst, src *operand) {
	tr.call = func(b kernels.Backend) { b.Copy(dst.t, src.t) }
	if dst.t.DType == src.t.DType {
		tr.exactly(tr.bits(dst), tr.bits(src).values)
		return
	}
	tr.exactly(dst, src.values)
	tr.after = func() error { // zeros keep their sign
		for i := range src.t.Size() {
			if v := src.get(i); v == 0 && math.Signbit(v) != math.Signbit(dst.got(i)) {
				return fmt.Errorf("element %d is %g, want %g", i, dst.got(i), v)
			}
		}
		return nil
	}
}
