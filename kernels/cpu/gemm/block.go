package gemm

import "unsafe"

// A block is what fits the packing buffers: up to blockK values of k, and as many rows of A and columns of B as the
// rest allows. They live in the last-level cache; tiles of them pass through each core's second-level cache.
const (
	blockK    = 768           // packed units (float32, or pairs of bfloat16) of k
	packedMax = blockK * 2048 // units of a packed operand
	sumMax    = 1024 * 1024   // floats of C in a block, where C is bfloat16 and k takes several blocks
	tileMax   = 96 * 256
	edgeMax   = 16 * 48
)

// A product is the call in progress.
type product struct {
	m, n, k    int
	alpha      float32
	a, b       operand
	c          Matrix
	accumulate bool
	epi        Epilogue
	kernel     *kernel

	// The block in progress: rows i0..i0+mb, columns j0..j0+nb, sums k0..k0+kb.
	i0, mb, j0, nb, k0, kb int
	units                  int // packed units of a panel
	first, last            bool
	panelsA, panelsB       int
	tileM, tileN, tilesM   int
	ldSum                  int // row length of sum, 0 where unused
}

// An operand is a matrix with the direction in which k runs.
type operand struct {
	Matrix
	kDown bool // k runs down the stored rows instead of along them
}

// from is the address of element (x, k), x being the row of A or the column of B.
func (o operand) from(x, k int) unsafe.Pointer {
	if o.kDown {
		return o.at(k, x)
	}
	return o.at(x, k)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// even cuts n into the fewest pieces of at most most, all the same size but the last, a multiple of unit.
func even(n, most, unit int) int {
	pieces := max(ceil(n, most), 1)
	return max(ceil(ceil(n, pieces), unit)*unit, unit)
}

// blocks runs the product block by block.
func (e *Engine) blocks() {
	p := &e.product
	q := p.kernel
	kb := even(p.k, blockK*q.perUnit, 8*q.perUnit)
	units := ceil(min(kb, p.k), q.perUnit)
	mb := even(p.m, max(packedMax/max(units, 1)/q.mr*q.mr, q.mr), q.mr)
	nb := even(p.n, max(packedMax/max(units, 1)/q.nr*q.nr, q.nr), q.nr)
	if p.c.DType == BF16 && p.k > kb {
		mb = min(mb, even(p.m, 1024, q.mr))
		nb = min(nb, even(p.n, sumMax/mb/q.nr*q.nr, q.nr))
		p.ldSum = nb
	}
	p.tileM = even(mb, q.tileM, q.mr)
	p.tileN = even(nb, q.tileN, q.nr)
	inA, inB := -1, -1 // the blocks in the buffers, by their places in the order of i and k, and of j and k
	for p.j0 = 0; p.j0 < p.n; p.j0 += nb {
		p.nb = min(nb, p.n-p.j0)
		for p.i0 = 0; p.i0 < p.m; p.i0 += mb {
			p.mb = min(mb, p.m-p.i0)
			for p.k0 = 0; p.k0 == 0 || p.k0 < p.k; p.k0 += kb {
				p.kb = min(kb, p.k-p.k0)
				p.units = ceil(p.kb, q.perUnit)
				p.first, p.last = p.k0 == 0, p.k0+kb >= p.k
				p.panelsA, p.panelsB = ceil(p.mb, q.mr), ceil(p.nb, q.nr)
				if id := p.i0*(p.k+1) + p.k0; id == inA {
					p.panelsA = 0
				} else {
					inA = id
				}
				if id := p.j0*(p.k+1) + p.k0; id == inB {
					p.panelsB = 0
				} else {
					inB = id
				}
				if p.kb > 0 {
					e.pool.Run(p.packTasks(p.a, p.panelsA)+p.packTasks(p.b, p.panelsB), (*packing)(e))
				}
				p.tilesM = ceil(p.mb, p.tileM)
				e.pool.Run(p.tilesM*ceil(p.nb, p.tileN), (*tiling)(e))
			}
		}
	}
}

// The packing of an operand is cut into tasks along the direction in which it is stored, for the sake of the
// processor's prefetching: panels where k runs along the rows, slabs of k, whole rows, where it runs down.
const (
	panelsPerTask = 3
	unitsPerTask  = 64
	unitsPerRun   = 32 // rows of a slab are read in parallel, panel after panel
)

// packTasks is the number of tasks that pack an operand of this many panels.
func (p *product) packTasks(o operand, panels int) int {
	if o.kDown && panels > 0 {
		return ceil(p.units, unitsPerTask)
	}
	return ceil(panels, panelsPerTask)
}

// packing is the task of packing the block's operands, B before A.
type packing Engine

func (e *packing) Do(_, t int) {
	p := &e.product
	if n := p.packTasks(p.b, p.panelsB); t >= n {
		p.packPart(e.packedA, p.a, p.i0, p.mb, p.kernel.mr, t-n)
	} else {
		p.packPart(e.packedB, p.b, p.j0, p.nb, p.kernel.nr, t)
	}
}

// packPart does task t of packing n rows or columns of o from x0, in panels of the given width.
func (p *product) packPart(dst []float32, o operand, x0, n, width, t int) {
	q := p.kernel
	if !o.kDown {
		for x := t * panelsPerTask * width; x < min((t+1)*panelsPerTask*width, n); x += width {
			q.pack(unsafe.Pointer(&dst[x*p.units]), o, x0+x, p.k0, min(width, n-x), p.kb, width)
		}
		return
	}
	for u := t * unitsPerTask; u < min((t+1)*unitsPerTask, p.units); u += unitsPerRun {
		k := u * q.perUnit
		run := min(unitsPerRun*q.perUnit, p.kb-k)
		for x := 0; x < n; x += width {
			q.pack(unsafe.Pointer(&dst[x*p.units+u*width]), o, x0+x, p.k0+k, min(width, n-x), run, width)
		}
	}
}

// tiling is the task of computing the block's tiles, neighbours in a column after each other: they share a part of B.
type tiling Engine

func (e *tiling) Do(worker, t int) {
	p := &e.product
	q := p.kernel
	i, j := t%p.tilesM*p.tileM, t/p.tilesM*p.tileN // within the block
	rows, cols := min(p.tileM, p.mb-i), min(p.tileN, p.nb-j)

	// Where the sums of the tile are kept.
	var sum []float32
	ld := p.c.Stride
	switch {
	case p.c.DType == F32:
		sum = unsafe.Slice((*float32)(p.c.at(p.i0+i, p.j0+j)), (rows-1)*ld+cols)
	case p.ldSum != 0:
		ld = p.ldSum
		sum = e.sum[i*ld+j:][:(rows-1)*ld+cols]
	default:
		ld = p.tileN
		sum = e.workers[worker].tile[:(rows-1)*ld+cols]
	}
	add := !p.first || p.accumulate
	if p.first && p.accumulate && p.c.DType == BF16 {
		for r := range rows {
			widen(sum[r*ld:][:cols], p.c.at(p.i0+i+r, p.j0+j))
		}
	}
	if p.kb == 0 && !add {
		for r := range rows {
			clear(sum[r*ld:][:cols])
		}
	}
	pass := even(p.units, q.passK, 8)
	for u := 0; u < p.units; u += pass {
		e.multiply(worker, i, j, rows, cols, u, min(pass, p.units-u), sum, ld, add || u > 0)
	}
	if !p.last {
		return
	}
	if p.epi != nil {
		p.epi.Tile(sum, ld, p.i0+i, p.j0+j, rows, cols)
	}
	if p.c.DType == BF16 {
		for r := range rows {
			narrow(p.c.at(p.i0+i+r, p.j0+j), sum[r*ld:][:cols])
		}
	}
}

// multiply adds the products of units u..u+n of packed k to a tile, or stores them.
func (e *tiling) multiply(worker, i, j, rows, cols, u, n int, sum []float32, ld int, add bool) {
	p := &e.product
	q := p.kernel
	edge := e.workers[worker].edge
	for c := 0; c < cols; c += q.nr {
		b := unsafe.Pointer(&e.packedB[(j+c)*p.units+u*q.nr])
		for r := 0; r < rows; r += q.mr {
			a := unsafe.Pointer(&e.packedA[(i+r)*p.units+u*q.mr])
			h, w := min(q.mr, rows-r), min(q.nr, cols-c)
			if w == q.nr && h%q.step == 0 {
				q.multiply(n, a, b, &sum[r*ld+c], ld, p.alpha, add, h)
				continue
			}
			if add {
				for x := range h {
					copy(edge[x*q.nr:][:w], sum[(r+x)*ld+c:])
				}
			}
			q.multiply(n, a, b, &edge[0], q.nr, p.alpha, add, ceil(h, q.step)*q.step)
			for x := range h {
				copy(sum[(r+x)*ld+c:][:w], edge[x*q.nr:])
			}
		}
	}
}
