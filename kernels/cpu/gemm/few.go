package gemm

import "unsafe"

// A product of a few rows of A with B(N,K)ᵀ is bound by reading B, so B is read once, from where it is, and nothing is
// packed: every four rows of B, while in the first-level cache, meet all rows of A.
const fewCols = 64 // rows of B for one worker at a time

// few runs the product without packing.
func (e *Engine) few() {
	p := &e.product
	if p.a.DType == BF16 {
		rows := e.packedA
		for i := range p.m {
			widen(rows[i*p.k:][:p.k], p.a.at(i, 0))
		}
		p.a.Matrix = Matrix{unsafe.Pointer(&rows[0]), p.k, F32}
	}
	e.pool.Run(ceil(p.n, fewCols), (*dotting)(e))
}

// dotting is the task of computing all rows of some columns of C.
type dotting Engine

func (e *dotting) Do(worker, t int) {
	p := &e.product
	j := t * fewCols
	cols := min(fewCols, p.n-j)
	tile, ld := e.workers[worker].tile, fewCols
	for c := 0; c < cols; c += 4 {
		var offsets [4]int
		for x := range offsets { // the last row stands in for those beyond
			offsets[x] = min(c+x, cols-1) * p.b.Stride * p.b.DType.size()
		}
		for i := 0; i < p.m; i += 4 {
			var sums [16]float32
			dots(min(4, p.m-i), p.k, (*float32)(p.a.at(i, 0)), p.a.Stride, p.b.at(j, 0), &offsets, p.b.DType, &sums)
			for x := range min(4, p.m-i) {
				copy(tile[(i+x)*ld+c:][:4], sums[4*x:])
			}
		}
	}
	out := tile
	if p.c.DType == F32 {
		ld = p.c.Stride
		out = unsafe.Slice((*float32)(p.c.at(0, j)), (p.m-1)*ld+cols)
	}
	for i := range p.m {
		sums, row := tile[i*fewCols:][:cols], out[i*ld:][:cols]
		switch {
		case !p.accumulate:
			for c, v := range sums {
				row[c] = p.alpha * v
			}
		case p.c.DType == F32:
			for c, v := range sums {
				row[c] += p.alpha * v
			}
		default:
			for c, v := range sums {
				row[c] = load(p.c.at(i, j+c), BF16) + p.alpha*v
			}
		}
	}
	if p.epi != nil {
		p.epi.Tile(out[:(p.m-1)*ld+cols], ld, 0, j, p.m, cols)
	}
	if p.c.DType == BF16 {
		for i := range p.m {
			narrow(p.c.at(i, j), out[i*ld:][:cols])
		}
	}
}

// dotsPortable is m <= 4 rows of A times the four rows of B at offsets bytes from b: sums[4i+j].
func dotsPortable(m, k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, d DType, sums *[16]float32) {
	for i := range m {
		x := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(a), i*lda*4)), k)
		for j, at := range offsets {
			var s [4]float32 // four chains, since one waits for its own additions
			if d == F32 {
				y := unsafe.Slice((*float32)(unsafe.Add(b, at)), k)
				p := 0
				for ; p+4 <= k; p += 4 {
					s[0] += x[p] * y[p]
					s[1] += x[p+1] * y[p+1]
					s[2] += x[p+2] * y[p+2]
					s[3] += x[p+3] * y[p+3]
				}
				for ; p < k; p++ {
					s[0] += x[p] * y[p]
				}
			} else {
				y := unsafe.Slice((*uint16)(unsafe.Add(b, at)), k)
				p := 0
				for ; p+4 <= k; p += 4 {
					s[0] += x[p] * fromBF16(y[p])
					s[1] += x[p+1] * fromBF16(y[p+1])
					s[2] += x[p+2] * fromBF16(y[p+2])
					s[3] += x[p+3] * fromBF16(y[p+3])
				}
				for ; p < k; p++ {
					s[0] += x[p] * fromBF16(y[p])
				}
			}
			sums[4*i+j] = s[0] + s[1] + (s[2] + s[3])
		}
	}
}
