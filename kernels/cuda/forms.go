package cuda

import "forja/kernels"

// A form is a way in which a kernel accesses its operands: see src/forms.h.
type form int

const (
	allF32  form = iota // 4 elements a thread
	allBF16             // 8
	mixed               // 4, either type
	single              // 1, either type, any alignment
	forms
)

// width is how many neighbouring elements a thread has.
func (f form) width() int { return [forms]int{4, 8, 4, 1}[f] }

const elementThreads = 256 // of a block of element-wise kernels

// operands are what an element-wise kernel is told of its tensors: where they are, how far their rows are apart, how many
// rows there are and how many elements a row has. Dense tensors are one row.
type operands struct {
	form       form
	width      int      // elements of a group: neighbours that a thread has
	at         [6]ptr   // of the piece
	ld         [6]int64 // in elements
	size       [6]int   // of elements
	half       uint32   // a bit for each tensor: it is BF16
	rows, cols int

	count, chunks int32 // rows of the piece, and groups in one of them
	row, col      int   // where the next piece begins
}

// operands describes tensors of the same rows and columns. Absent ones are 0.
func (b *Backend) operands(ts ...kernels.Tensor) (o operands) {
	o.rows, o.cols = ts[0].Rows(), ts[0].Cols()
	dense := true
	for _, t := range ts {
		dense = dense && (t.Nil() || t.Dense())
	}
	if dense {
		o.rows, o.cols = min(o.rows, 1), o.rows*o.cols
	}
	b.locate(&o, ts...)
	o.form = b.form(ts, o.cols)
	o.width = o.form.width()
	return o
}

// locate fills in where tensors are.
func (b *Backend) locate(o *operands, ts ...kernels.Tensor) {
	for i, t := range ts {
		if t.Nil() {
			continue
		}
		o.at[i], o.ld[i], o.size[i] = b.addr(t), int64(t.Stride), t.DType.Size()
		if t.DType == kernels.BF16 {
			o.half |= 1 << i
		}
	}
}

// form chooses the widest form that tensors allow. Extents are numbers that must be multiples of the width.
func (b *Backend) form(ts []kernels.Tensor, extents ...int) form {
	types := [2]int{}
	for _, t := range ts {
		if !t.Nil() {
			types[min(int(t.DType), 1)]++
		}
	}
	switch {
	case types[kernels.F32] == 0 && b.fits(8, ts, extents):
		return allBF16
	case !b.fits(4, ts, extents):
		return single
	case types[kernels.BF16] == 0:
		return allF32
	}
	return mixed
}

// fits reports whether groups of n elements can be accessed as one.
func (b *Backend) fits(n int, ts []kernels.Tensor, extents []int) bool {
	for _, e := range extents {
		if e%n != 0 {
			return false
		}
	}
	for _, t := range ts {
		if t.Nil() {
			continue
		}
		if uint64(b.addr(t))%uint64(n*t.DType.Size()) != 0 || !t.Dense() && t.Stride%n != 0 {
			return false
		}
	}
	return true
}

// next makes o the next piece that a kernel can count, of at most 2³⁰ groups, and reports false after the last.
func (o *operands) next() bool {
	const most = 1 << 30
	for i, size := range o.size { // past the piece before
		if skip := int64(o.count) * o.ld[i]; o.rows > 1 {
			o.at[i] += ptr(skip * int64(size))
		} else {
			o.at[i] += ptr(int(o.chunks) * o.width * size)
		}
	}
	if o.row >= o.rows || o.col >= o.cols {
		return false
	}
	all := o.cols / o.width
	if o.rows > 1 {
		o.chunks = int32(all)
		o.count = int32(min(o.rows-o.row, max(1, most/all)))
		o.row += int(o.count)
		return true
	}
	o.chunks, o.count = int32(min(all-o.col/o.width, most)), 1
	o.col += int(o.chunks) * o.width
	return true
}

// grid is the number of blocks for the piece.
func (b *Backend) grid(o *operands) dim3 { return b.spread(int(o.count) * int(o.chunks)) }

// spread is the number of blocks of element-wise kernels for n units of work: enough to fill the card.
func (b *Backend) spread(n int) dim3 { return b.blocks(ceilDiv(n, elementThreads), 8) }

// blocks is n blocks, but at most perSM for each multiprocessor.
func (b *Backend) blocks(n, perSM int) dim3 { return dim3{uint32(min(n, perSM*b.sms)), 1, 1} }
