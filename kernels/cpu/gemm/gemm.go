// Package gemm multiplies matrices: C = α·op(A)·op(B) (+ C), float32 or bfloat16 in any combination, always
// accumulated in float32, with an epilogue on every finished tile while it is in cache.
//
// It is Goto's algorithm (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008): both
// operands are repacked into panels that a micro-kernel in assembly reads front to back, in blocks that suit the
// caches. All three layouts that training needs are read in place; nobody transposes. All workers pack one block
// together and then take tiles of C one at a time; a tile runs over k in a fixed order on one worker, so results are
// bitwise the same for any number of workers. A handful of rows (decoding) skips packing: it streams B once.
//
// The kernel is chosen by [tier.Current]: 12x32 on AVX-512, 6x16 on AVX2, 4x4 in plain Go. Where both operands are
// bfloat16 and the processor runs VDPBF16PS faster than float32 FMA (AMD's do, Intel's do not), products are summed in
// pairs by that instruction. It treats denormals, read and written, as zero, and adds the two products of a pair with
// its own rounding; everything else widens to float32 while packing, which loses nothing.
//
// Deliberately absent: transposed C, column-major storage, β other than 0 and 1, batches, caching of packed weights
// (packing is a few per cent of a product), few rows of A with B(K,N) read in place, threads of its own.
package gemm

import (
	"unsafe"

	"forja/kernels/cpu/par"
)

//go:generate go run ./gen

// A DType is how an element is stored.
type DType uint8

const (
	F32 DType = iota
	BF16
)

func (d DType) size() int {
	if d == BF16 {
		return 2
	}
	return 4
}

// A Matrix is stored row-major: element (i, j) is at Ptr + i*Stride + j elements.
type Matrix struct {
	Ptr    unsafe.Pointer
	Stride int // elements between rows, as stored
	DType  DType
}

// at is the address of the element in row i, column j.
func (x Matrix) at(i, j int) unsafe.Pointer {
	return unsafe.Add(x.Ptr, (i*x.Stride+j)*x.DType.size())
}

// A Layout says how A and B are stored.
type Layout uint8

const (
	NN Layout = iota // A(M,K)·B(K,N)
	NT               // A(M,K)·B(N,K)ᵀ
	TN               // A(K,M)ᵀ·B(K,N)
)

func (l Layout) String() string { return [...]string{"NN", "NT", "TN"}[l] }

// An Epilogue sees every tile of C once, after the sum and before C is stored.
type Epilogue interface {
	// Tile may change the tile's rows x cols values: the one of row r and column c, at tile[r*ld+c], is that of
	// C(i+r, j+c). Tiles cover C without overlap; calls may be concurrent and in any order. How C is cut into tiles
	// depends on the shapes, the dtypes and the tier only.
	Tile(tile []float32, ld, i, j, rows, cols int)
}

// An Engine holds the scratch memory of products, so that a product allocates nothing. It runs one product at a time.
type Engine struct {
	pool    *par.Pool
	packedA []float32 // a block of A in panels
	packedB []float32 // a block of B in panels
	sum     []float32 // a block of C, where C is bfloat16 and k takes several blocks
	workers []scratch
	product
}

// scratch belongs to one worker.
type scratch struct {
	tile []float32 // a tile of C, where C is bfloat16
	edge []float32 // what a micro-kernel computes where C ends inside it
}

// New makes an engine for the workers of p.
func New(p *par.Pool) *Engine {
	e := &Engine{
		pool: p, packedA: aligned(packedMax), packedB: aligned(packedMax), sum: aligned(sumMax),
		workers: make([]scratch, p.Threads()),
	}
	for w := range e.workers {
		e.workers[w] = scratch{aligned(tileMax), aligned(edgeMax)}
	}
	return e
}

// ScratchBytes is the memory New allocated; the operating system provides most of it on first use.
func (e *Engine) ScratchBytes() int {
	n := cap(e.packedA) + cap(e.packedB) + cap(e.sum)
	for _, w := range e.workers {
		n += cap(w.tile) + cap(w.edge)
	}
	return 4 * n
}

// Mul computes C = alpha·op(A)·op(B), plus C if accumulate, applies epi if it is not nil, and stores the result in C's
// dtype, to nearest even. C is m x n and k is the length of the sums: any of them may be 0. C must overlap neither A
// nor B. Sums run in an order that depends on the shape, the layout, the dtypes and the tier, never on the workers.
func (e *Engine) Mul(l Layout, m, n, k int, alpha float32, a, b, c Matrix, accumulate bool, epi Epilogue) {
	if m <= 0 || n <= 0 {
		return
	}
	e.product = product{
		m: m, n: n, k: max(k, 0), alpha: alpha, c: c, accumulate: accumulate, epi: epi,
		a: operand{a, l == TN}, b: operand{b, l != NT},
		kernel: choose(a.DType, b.DType),
	}
	if l == NT && m <= e.kernel.fewRows && k > 0 && m*k <= len(e.packedA) {
		e.few()
	} else {
		e.blocks()
	}
	e.product = product{} // keep nothing of the caller's alive
}
