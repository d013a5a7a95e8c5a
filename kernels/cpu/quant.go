package cpu

import "forja/kernels"

// unpack writes weights of a quantised matrix to a dense one, of floats: those of rows from row and columns from col on.
type unpack struct {
	b         *Backend
	q         kernels.Quant
	w, scales matrix
	to        matrix
	row, col  int
}

// unpackRows are unpacked by a worker at a time.
const unpackRows = 8

// Do unpacks part k.
func (p *unpack) Do(worker, k int) {
	s := &p.b.scratch[worker]
	for i := k * unpackRows; i < min((k+1)*unpackRows, p.to.rows); i++ {
		x := p.to.dest(i, 0, p.to.cols, s.reset())
		p.q.Decode(x, p.w.bytes(p.row+i), p.scales.row(p.row+i), p.col)
		p.to.store(i, 0, x)
	}
}

// unpackedBytes is how much of a weight is unpacked at a time: it stays in cache until it is multiplied.
const unpackedBytes = 4 << 20

// unpacked is the given part of quantised weights as floats of a dtype, in memory that the next call uses again.
func (b *Backend) unpacked(w, scales kernels.Tensor, q kernels.Quant, d kernels.DType, row, rows, col, cols int) kernels.Tensor {
	t := kernels.New(&b.weights, d, rows, cols)
	if need := t.Size() * d.Size(); len(b.weights.mem) < need {
		b.held.Add(int64(need - len(b.weights.mem)))
		b.weights = buffer{mem: make([]byte, need), size: need}
	}
	p := &b.unpack
	p.q, p.w, p.scales, p.to, p.row, p.col = q, view(w), view(scales), view(t), row, col
	b.run(ceilDiv(rows, unpackRows), rows*cols, p)
	return t
}

// LinearQuant is Linear with quantised weights, some rows of them after others.
func (b *Backend) LinearQuant(y, x, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	n, k := y.Cols(), x.Cols()
	step := max(unpackedBytes/max(k*x.DType.Size(), 1), 64)
	for lo := 0; lo < n; lo += step {
		hi := min(lo+step, n)
		b.Linear(y.Columns(lo, hi), x, b.unpacked(w, scales, q, x.DType, lo, hi-lo, 0, k), e.Columns(lo, hi))
	}
}

// LinearQuantDX is LinearDX with quantised weights, some columns of them after others.
func (b *Backend) LinearQuantDX(dx, dy, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	n, k := dy.Cols(), dx.Cols()
	step := max(unpackedBytes/max(n*dy.DType.Size(), 1)/q.Block(), 1) * q.Block()
	for lo := 0; lo < k; lo += step {
		hi := min(lo+step, k)
		b.LinearDX(dx.Columns(lo, hi), dy, b.unpacked(w, scales, q, dy.DType, 0, n, lo, hi-lo), e.Columns(lo, hi))
	}
}
