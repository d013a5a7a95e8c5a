package interp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// swizzle is how 16-byte chunks are permuted within a pattern of shared memory: chunk bits of the address are xored with
// the row bits three above them. Its value is the number of bits, so that one formula serves all modes: Swizzle<b,4,3>.
type swizzle uint8

const (
	swizzleNone swizzle = iota
	swizzle32
	swizzle64
	swizzle128
)

func (s swizzle) String() string {
	return [...]string{"no swizzle", "32-byte swizzle", "64-byte swizzle", "128-byte swizzle"}[s]
}

// width is the number of bytes of one row of the pattern.
func (s swizzle) width() int { return 16 << s }

// pattern is the number of bytes after which the permutation repeats.
func (s swizzle) pattern() int { return 128 << s }

// apply is where the byte at address a of the plain layout lies.
func (s swizzle) apply(a uint32) uint32 { return a ^ a>>7&(1<<s-1)<<4 }

// matrixDesc is a decoded matrix descriptor of wgmma (PTX ISA, "Matrix descriptor format").
type matrixDesc struct {
	start   uint32 // bytes from the beginning of shared memory
	leading uint32 // bytes
	stride  uint32 // bytes
	swizzle swizzle
	majorMN bool     // the matrix is contiguous along M or N, not along K
	plain   []uint32 // the offsets of its chunks, if they have been listed
}

// decodeMatrix reads a descriptor and refuses what the manual leaves undefined: reserved bits, and a start that is not
// where a pattern starts while the base offset says so.
func decodeMatrix(d uint64, majorMN bool) (matrixDesc, error) {
	m := matrixDesc{
		start: uint32(d&0x3fff) << 4, leading: uint32(d>>16&0x3fff) << 4, stride: uint32(d>>32&0x3fff) << 4,
		swizzle: [4]swizzle{swizzleNone, swizzle128, swizzle64, swizzle32}[d>>62], majorMN: majorMN,
	}
	const reserved = 3<<14 | 3<<30 | 7<<46 | 0x3ff<<52
	if d&reserved != 0 {
		return m, fmt.Errorf("matrix descriptor %#016x: reserved bits %#x are set: mask the address with 0x3ffff before it is shifted", d, d&reserved)
	}
	if base := d >> 49 & 7; base != 0 {
		return m, fmt.Errorf("matrix descriptor %#016x: base offset %d: only matrices whose pattern starts at a multiple of its size are supported", d, base)
	}
	if at := m.start & uint32(m.swizzle.pattern()-1) &^ 127; m.swizzle != swizzleNone && at != 0 {
		return m, fmt.Errorf("matrix descriptor %#016x: the matrix at %#x starts %d bytes into a pattern of the %v, which wants a multiple of %d (or a base offset)",
			d, m.start, at, m.swizzle, m.swizzle.pattern())
	}
	return m, nil
}

// offset is the place of 16 bytes of the matrix, from its start and before the swizzle. Of a K-major matrix they are row mn, 8 values of k from 8·k8; of an
// MN-major one they are 8 rows from 8·mn, at k = k8. The layouts are the canonical ones of "Strides" in the manual, for
// 16-bit elements (T = 8):
//
//	K-major   none    ((8,m),(8,2)):((8, SBO),(1,LBO))    MN-major   none    ((8,1,m),(8,k)):((1,8,SBO),( 8,LBO))
//	K-major   32 B    ((8,m),(8,2)):((16,SBO),(1,  8))    MN-major   32 B    ((8,2,m),(8,k)):((1,8,LBO),(16,SBO))
//	K-major   64 B    ((8,m),(8,2)):((32,SBO),(1,  8))    MN-major   64 B    ((8,4,m),(8,k)):((1,8,LBO),(32,SBO))
//	K-major   128 B   ((8,m),(8,2)):((64,SBO),(1,  8))    MN-major   128 B   ((8,8,m),(8,k)):((1,8,LBO),(64,SBO))
func (m *matrixDesc) offset(mn, k int) uint32 {
	w := uint32(m.swizzle.width())
	r, c := uint32(mn), uint32(k)
	var at uint32
	switch {
	case !m.majorMN && m.swizzle == swizzleNone:
		at = r&7*16 + r>>3*m.stride + c*m.leading
	case !m.majorMN:
		at = r&7*w + r>>3*m.stride + c*16
	case m.swizzle == swizzleNone:
		at = r*m.stride + c&7*16 + c>>3*m.leading
	default:
		n := w / 16 // chunks of a row of the pattern
		at = r%n*16 + r/n*m.leading + c&7*w + c>>3*m.stride
	}
	return at
}

// chunk is the address of a chunk in shared memory.
func (m *matrixDesc) chunk(mn, k int) uint32 { return m.swizzle.apply(m.start + m.offset(mn, k)) }

// offsets lists the offsets of all chunks, k running fastest.
func (m *matrixDesc) offsets(rows int) []uint32 {
	nmn, nk := m.chunks(rows)
	list := make([]uint32, 0, nmn*nk)
	for mn := range nmn {
		for k := range nk {
			list = append(list, m.offset(mn, k))
		}
	}
	return list
}

// check refuses strides that no canonical layout of so many rows has: groups of a swizzled matrix start where a pattern does, and
// no two chunks lie in the same place.
func (m *matrixDesc) check(rows int) error {
	p := uint32(m.swizzle.pattern())
	bad := func(name string, v uint32) error {
		return fmt.Errorf("the %s byte offset %d is not a multiple of the %d bytes of the pattern of the %v", name, v, p, m.swizzle)
	}
	if m.swizzle != swizzleNone {
		switch {
		case m.majorMN && rows*2 > m.swizzle.width() && m.leading%p != 0:
			return bad("leading dimension", m.leading)
		case (m.majorMN || rows > 8) && m.stride%p != 0:
			return bad("stride dimension", m.stride)
		}
	}
	nmn, nk := m.chunks(rows)
	seen := make(map[uint32]bool, nmn*nk)
	for mn := range nmn {
		for k := range nk {
			at := m.chunk(mn, k)
			if seen[at] {
				return fmt.Errorf("leading dimension byte offset %d and stride dimension byte offset %d make parts of the matrix overlap (%v)",
					m.leading, m.stride, m.swizzle)
			}
			seen[at] = true
		}
	}
	return nil
}

// chunks is the number of 16-byte chunks of rows by 16 elements: the ranges of chunk's arguments.
func (m *matrixDesc) chunks(rows int) (mn, k int) {
	if m.majorMN {
		return rows / 8, 16
	}
	return rows, 2
}

// fragmentsB decodes columns columns of the right operand, one fragment per 8.
func (m *matrixDesc) fragmentsB(mem []byte, e element, columns int, negate bool, dst []fragB) error {
	if e == elemBF16 && m.majorMN && !negate { // the usual cases
		return m.each(mem, columns, func(mn, k int, b []byte) {
			f := &dst[mn][k>>3][k&7>>1][k&1]
			lo, hi := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			f[0][0] = math.Float32frombits(uint32(lo) << 16)
			f[1][0] = math.Float32frombits(uint32(lo) &^ 0xffff)
			f[0][1] = math.Float32frombits(uint32(lo>>32) << 16)
			f[1][1] = math.Float32frombits(uint32(lo>>32) &^ 0xffff)
			f[0][2] = math.Float32frombits(uint32(hi) << 16)
			f[1][2] = math.Float32frombits(uint32(hi) &^ 0xffff)
			f[0][3] = math.Float32frombits(uint32(hi>>32) << 16)
			f[1][3] = math.Float32frombits(uint32(hi>>32) &^ 0xffff)
		})
	}
	if e == elemBF16 && !negate {
		return m.each(mem, columns, func(mn, k int, b []byte) {
			f, p, c := &dst[mn>>3][k], mn&1, mn>>1&3
			lo, hi := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			f[0][0][p][c] = math.Float32frombits(uint32(lo) << 16)
			f[0][1][p][c] = math.Float32frombits(uint32(lo) &^ 0xffff)
			f[1][0][p][c] = math.Float32frombits(uint32(lo>>32) << 16)
			f[1][1][p][c] = math.Float32frombits(uint32(lo>>32) &^ 0xffff)
			f[2][0][p][c] = math.Float32frombits(uint32(hi) << 16)
			f[2][1][p][c] = math.Float32frombits(uint32(hi) &^ 0xffff)
			f[3][0][p][c] = math.Float32frombits(uint32(hi>>32) << 16)
			f[3][1][p][c] = math.Float32frombits(uint32(hi>>32) &^ 0xffff)
		})
	}
	return m.each(mem, columns, func(mn, k int, b []byte) {
		x := e.widen8(b)
		if negate {
			for i := range x {
				x[i] = -x[i]
			}
		}
		if m.majorMN { // 8 columns of one k
			f := &dst[mn][k>>3][k&7>>1][k&1]
			for i, v := range x {
				f[i&1][i>>1] = v
			}
			return
		}
		f := &dst[mn>>3][k] // 8 k of one column
		for i, v := range x {
			f[i>>1][i&1][mn&1][mn&7>>1] = v
		}
	})
}

// fragmentsA decodes the 64 rows of the left operand, one fragment per warp.
func (m *matrixDesc) fragmentsA(mem []byte, e element, negate bool, dst *[4]fragA) error {
	return m.each(mem, 64, func(mn, k int, b []byte) {
		x := e.widen8(b)
		if negate {
			for i := range x {
				x[i] = -x[i]
			}
		}
		if m.majorMN { // 8 rows of one k
			f := &dst[mn>>1][mn&1+k>>3<<1][k&1]
			for i, v := range x {
				f[i<<2|k&7>>1] = v
			}
			return
		}
		f := &dst[mn>>4][mn>>3&1+k<<1] // 8 k of one row
		for i, v := range x {
			f[i&1][mn&7<<2|i>>1] = v
		}
	})
}

// each calls f with every chunk of the matrix.
func (m *matrixDesc) each(mem []byte, rows int, f func(mn, k int, b []byte)) error {
	if m.plain == nil {
		m.plain = m.offsets(rows)
	}
	_, nk := m.chunks(rows)
	mn, k := 0, 0
	for _, off := range m.plain {
		at := int(m.swizzle.apply(m.start + off))
		if at+16 > len(mem) {
			return fmt.Errorf("the matrix at %#x (leading %d, stride %d bytes, %v) reaches %#x: beyond the %#x bytes of shared memory",
				m.start, m.leading, m.stride, m.swizzle, at, len(mem))
		}
		f(mn, k, mem[at:at+16:at+16])
		if k++; k == nk {
			mn, k = mn+1, 0
		}
	}
	return nil
}
