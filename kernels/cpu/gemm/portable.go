package gemm

import "unsafe"

var portable = kernel{
	mr: 4, nr: 4, step: 4, perUnit: 1, passK: 256, tileM: 64, tileN: 256,
	fewRows: 4, pack: packPortable, multiply: multiplyPortable,
}

// load reads one element as float32.
func load(p unsafe.Pointer, d DType) float32 {
	if d == BF16 {
		return fromBF16(*(*uint16)(p))
	}
	return *(*float32)(p)
}

// packPortable packs float32 units.
func packPortable(dst unsafe.Pointer, o operand, x, k0, lanes, k, width int) {
	out := unsafe.Slice((*float32)(dst), k*width)
	along, down := o.DType.size(), o.Stride*o.DType.size() // bytes from one k, and one lane, to the next
	if o.kDown {
		along, down = down, along
	}
	src := o.from(x, k0)
	for p := range k {
		row := out[p*width:][:width]
		at := p * along
		for lane := range lanes {
			row[lane] = load(unsafe.Add(src, at), o.DType)
			at += down
		}
		clear(row[lanes:])
	}
}

// multiplyPortable is the 4x4 micro-kernel.
func multiplyPortable(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool, _ int) {
	as, bs := unsafe.Slice((*[4]float32)(a), n), unsafe.Slice((*[4]float32)(b), n)
	var sum [4][4]float32
	for half := range 2 { // two rows at a time, so that the sums stay in registers
		var s00, s01, s02, s03, s10, s11, s12, s13 float32
		for p := range as {
			x, y := as[p][2*half&3], as[p][2*half&3+1]
			v := &bs[p]
			s00 += x * v[0]
			s01 += x * v[1]
			s02 += x * v[2]
			s03 += x * v[3]
			s10 += y * v[0]
			s11 += y * v[1]
			s12 += y * v[2]
			s13 += y * v[3]
		}
		sum[2*half] = [4]float32{s00, s01, s02, s03}
		sum[2*half+1] = [4]float32{s10, s11, s12, s13}
	}
	out := unsafe.Slice(c, 3*ldc+4)
	for r := range sum {
		row := out[r*ldc:][:4]
		for j, s := range sum[r] {
			if s *= alpha; add {
				s += row[j]
			}
			row[j] = s
		}
	}
}
