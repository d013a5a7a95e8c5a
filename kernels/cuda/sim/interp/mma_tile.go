package interp

import (
	"encoding/binary"
	"math"
)

// A tensor-core product is computed on blocks of 16 rows, 8 columns and 8 or 16 values of k, in the order of the
// register fragments: the accumulator of one warp is four registers of 32 lanes, and so it stays. Only A and B are
// rearranged, so that a vector of lanes meets a vector of lanes (PTX ISA, "Matrix multiply-accumulate operation using
// mma instruction": the figures of m16n8k16).

// fragA is 16 rows by 16 values of k of the left operand, as float32, in the order of its register fragment:
// [register][half][lane] is row lane/4 + 8·(register&1), k = 8·(register>>1) + 2·(lane&3) + half.
type fragA [4][2][32]float32

// fragB is 16 values of k by 8 columns of the right operand, as float32: [k/8][k%8/2][k&1][column&1][column/2].
type fragB [2][4][2][2][4]float32

// element is the type of the operands of a tensor-core product.
type element uint8

const (
	elemBF16 element = iota
	elemF16
	elemTF32
)

// elements of an instruction's type suffix.
var elementNames = map[string]element{"bf16": elemBF16, "f16": elemF16, "tf32": elemTF32}

func (e element) String() string { return [...]string{"bf16", "f16", "tf32"}[e] }

// widen is the float32 with the value of the 16-bit element in the low half of v.
func (e element) widen(v uint32) float32 {
	if e == elemBF16 {
		return math.Float32frombits(v << 16)
	}
	return halfToFloat(uint16(v))
}

// widen8 widens the 8 elements of 16 bytes.
func (e element) widen8(b []byte) (x [8]float32) {
	lo, hi := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:16])
	if e == elemBF16 {
		for i := range 4 {
			x[i] = math.Float32frombits(uint32(lo>>(16*i)) << 16)
			x[i+4] = math.Float32frombits(uint32(hi>>(16*i)) << 16)
		}
		return x
	}
	for i := range 4 {
		x[i] = halfToFloat(uint16(lo >> (16 * i)))
		x[i+4] = halfToFloat(uint16(hi >> (16 * i)))
	}
	return x
}

// halfToFloat widens an IEEE binary16, exactly.
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero or subnormal: frac·2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*(1.0/(1<<24))))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// tf32 drops the 13 bits that a tensor core does not read.
func tf32(v uint64) float32 { return math.Float32frombits(uint32(v) &^ 0x1fff) }

// registers fills the fragment from the registers that hold it: four of m16n8k16, two of m16n8k8, with two 16-bit elements
// each.
func (a *fragA) registers(e element, regs []*[32]uint64) {
	for i, r := range regs {
		lo, hi := &a[i][0], &a[i][1]
		if e == elemBF16 {
			for l, v := range r {
				lo[l] = math.Float32frombits(uint32(v) << 16)
				hi[l] = math.Float32frombits(uint32(v) &^ 0xffff)
			}
			continue
		}
		for l, v := range r {
			lo[l], hi[l] = halfToFloat(uint16(v)), halfToFloat(uint16(v>>16))
		}
	}
}

// registers fills the fragment from the registers that hold it: register i, lane l is column l/4, k = 8·i + 2·(l&3) and
// the next.
func (b *fragB) registers(e element, regs []*[32]uint64) {
	for i, r := range regs {
		f := &b[i]
		if e == elemBF16 {
			for l, v := range r {
				n, c := l>>2, l&3
				f[c][0][n&1][n>>1] = math.Float32frombits(uint32(v) << 16)
				f[c][1][n&1][n>>1] = math.Float32frombits(uint32(v) &^ 0xffff)
			}
			continue
		}
		for l, v := range r {
			n, c := l>>2, l&3
			f[c][0][n&1][n>>1], f[c][1][n&1][n>>1] = halfToFloat(uint16(v)), halfToFloat(uint16(v>>16))
		}
	}
}

// tf32 fills the fragments from the registers of m16n8k8.tf32, whose k runs over the lanes first: register i of A is
// row l/4 + 8·(i&1), k = l&3 + 4·(i>>1); register i of B is column l/4, k = l&3 + 4·i. The k of a product are taken in the
// order 0 4 1 5 2 6 3 7.
func (a *fragA) tf32(regs []*[32]uint64) {
	for i, r := range regs {
		for l, v := range r {
			a[i&1][i>>1][l] = tf32(v)
		}
	}
}

func (b *fragB) tf32(regs []*[32]uint64) {
	for i, r := range regs {
		for l, v := range r {
			n := l >> 2
			b[0][l&3][i][n&1][n>>1] = tf32(v)
		}
	}
}

// mmaBlock is one product of 16 rows, 8 columns and 8·groups values of k: d = a·b + c, or a·b where zero is set. Register i
// of d and c is row l/4 + 8·(i>>1), column 2·(l&3) + i&1. Products are exact and summed in float32 in order of k, one
// rounding each; a tensor core keeps a few more bits and rounds once in a while, so results agree to a tolerance only.
type mmaBlock struct {
	d, c   [4]*[32]uint64
	a      *fragA
	b      *fragB
	groups int
	zero   bool
}

// runPortable is the plain form of run.
func (m *mmaBlock) runPortable() {
	for i := range 4 {
		h, parity := i>>1, i&1
		c, d := m.c[i], m.d[i]
		for l := 0; l < 32; l += 4 { // the four lanes of a row
			var s0, s1, s2, s3 float32
			if !m.zero {
				s0, s1 = math.Float32frombits(uint32(c[l])), math.Float32frombits(uint32(c[l+1]))
				s2, s3 = math.Float32frombits(uint32(c[l+2])), math.Float32frombits(uint32(c[l+3]))
			}
			for g := range m.groups {
				a0, a1 := (*[4]float32)(m.a[h+2*g][0][l:]), (*[4]float32)(m.a[h+2*g][1][l:])
				for k := range 4 {
					x, b := a0[k], &m.b[g][k][0][parity]
					s0 += x * b[0]
					s1 += x * b[1]
					s2 += x * b[2]
					s3 += x * b[3]
					x, b = a1[k], &m.b[g][k][1][parity]
					s0 += x * b[0]
					s1 += x * b[1]
					s2 += x * b[2]
					s3 += x * b[3]
				}
			}
			d[l], d[l+1] = uint64(math.Float32bits(s0)), uint64(math.Float32bits(s1))
			d[l+2], d[l+3] = uint64(math.Float32bits(s2)), uint64(math.Float32bits(s3))
		}
	}
}
