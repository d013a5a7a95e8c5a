package interp

// A bulk tensor copy moves a box: rows of Box[0] elements, packed one after the other in shared memory with dimension 1
// running first. 16-byte chunks of shared memory are permuted by their address, not by their place in the box
// (PTX ISA, "Tensors: swizzling modes").

// boxRow is one row of a box: Box[0] elements. The elements lo to hi-1 lie inside the tensor, the first of them at global
// address at; the others are outside.
type boxRow struct {
	offset int // bytes from the beginning of the box, before the swizzle
	lo, hi int
	at     uint64
}

// rows calls f with every row of the box whose first element has coordinates at.
func (t *TensorMap) rows(at [5]int32, f func(r boxRow) error) error {
	size := t.Type.Size()
	width := int(t.Box[0])
	first := int64(at[0])
	lo, hi := max(0, -first), min(int64(width), int64(t.Dim[0])-first)
	if lo >= hi {
		lo, hi = 0, 0
	}
	var i [5]uint32 // of the row within the box
	for offset := 0; ; offset += width * size {
		r := boxRow{offset: offset, lo: int(lo), hi: int(hi), at: t.Address + uint64((first+lo)*int64(size))}
		for d := 1; d < int(t.Rank); d++ {
			x := int64(at[d]) + int64(i[d])
			if x < 0 || x >= int64(t.Dim[d]) {
				r.lo, r.hi = 0, 0
				break
			}
			r.at += uint64(x) * t.Stride[d-1]
		}
		if err := f(r); err != nil {
			return err
		}
		d := 1
		for ; d < int(t.Rank); d++ {
			if i[d]++; i[d] < t.Box[d] {
				break
			}
			i[d] = 0
		}
		if d >= int(t.Rank) {
			return nil
		}
	}
}

// fill is the pattern of an element outside the tensor: zero, or the NaN of the type with all bits set below the sign
// (any NaN is allowed; this one is also a NaN when half of it is read).
func (t *TensorMap) fill(b []byte) {
	if t.OOBFill == 0 {
		clear(b)
		return
	}
	size := t.Type.Size()
	for i := range b {
		b[i] = 0xff
		if i%size == size-1 {
			b[i] = 0x7f
		}
	}
}

// scatter writes one row of a box, whose plain place is address at of mem, chunk by chunk.
func (s swizzle) scatter(mem []byte, at uint32, row []byte) {
	if s == swizzleNone {
		copy(mem[at:], row)
		return
	}
	for ; len(row) > 0; row, at = row[16:], at+16 {
		a := s.apply(at)
		copy(mem[a:a+16], row)
	}
}

// gather reads one row of a box from shared memory.
func (s swizzle) gather(row, mem []byte, at uint32) {
	if s == swizzleNone {
		copy(row, mem[at:])
		return
	}
	for ; len(row) > 0; row, at = row[16:], at+16 {
		a := s.apply(at)
		copy(row[:16], mem[a:a+16])
	}
}
