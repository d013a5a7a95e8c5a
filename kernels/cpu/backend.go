package cpu

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"

	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/par"
	"forja/kernels/cpu/tier"
)

// Options choose how much of the machine a Backend uses.
type Options struct {
	Threads int // worker threads, the caller included; 0 is FORJA_THREADS, else GOMAXPROCS
	Memory  int // most bytes that Alloc gives; 0 is what the machine has
}

// Backend is the processor. Its fields named after operations hold the arguments of the one that runs.
type Backend struct {
	pool    *par.Pool
	gemm    *gemm.Engine
	small   []*gemm.Engine // one for each worker, for products within a task
	info    kernels.Info
	limit   int
	usage   kernels.Usage
	held    atomic.Int64 // bytes of scratch
	scratch []scratch    // one for each worker
	shared  scratch      // of the caller, for what several workers read or write
	live    map[*buffer]struct{}

	copying   copying
	pointwise pointwise
	dropout   dropout
	rope      rope
	softmax   softmax
	product   product
	stripes   stripes
	embed     embed
	embedGrad embedGrad
	norm      norm
	normGrad  normGrad
	attend    attend
	attendDX  attendGrad
	head      head
	gradNorm  gradNorm
	adamw     adamw
	muon      muon
	kvAppend  kvAppend
	paged     paged
	sample    sample
	unpack    unpack
	weights   buffer // unpacked
}

var _ kernels.Backend = (*Backend)(nil)

// Open starts the worker threads of a Backend. It fails if the environment names an unknown instruction set
// (FORJA_CPU) or number of threads (FORJA_THREADS).
func Open(o Options) (kernels.Backend, error) {
	b, err := open(o)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func open(o Options) (*Backend, error) {
	if err := tier.Err(); err != nil {
		return nil, fmt.Errorf("open cpu device: %w", err)
	}
	threads, err := threads(o.Threads)
	if err != nil {
		return nil, fmt.Errorf("open cpu device: %w", err)
	}
	b := &Backend{pool: par.New(threads), live: map[*buffer]struct{}{}}
	b.scratch = make([]scratch, threads)
	for w := range b.scratch {
		b.scratch[w].held = &b.held
	}
	b.shared.held = &b.held
	b.gemm = gemm.New(b.pool)
	b.held.Add(int64(b.gemm.ScratchBytes()))
	alone := par.New(1)
	for range threads {
		e := gemm.New(alone)
		b.small = append(b.small, e)
		b.held.Add(int64(e.ScratchBytes()))
	}
	memory := physicalMemory()
	b.limit = o.Memory
	if b.limit == 0 {
		b.limit = memory
	}
	b.info = kernels.Info{Kind: "cpu", Name: processorName(), Tier: tier.Current().String(), Threads: threads, Memory: b.limit}
	b.bind()
	return b, nil
}

// bind gives every task its Backend.
func (b *Backend) bind() {
	b.copying.b, b.pointwise.b, b.dropout.b, b.rope.b, b.softmax.b = b, b, b, b, b
	b.product.b, b.stripes.b, b.embed.b, b.embedGrad.b = b, b, b, b
	b.norm.b, b.normGrad.b, b.attend.b, b.attendDX.b, b.head.b = b, b, b, b, b
	b.gradNorm.b, b.adamw.b, b.muon.b, b.kvAppend.b, b.paged.b, b.sample.b, b.unpack.b = b, b, b, b, b, b, b
}

// threads is the number of workers for an option that may be 0.
func threads(option int) (int, error) {
	if option != 0 {
		if option < 0 {
			return 0, fmt.Errorf("%d threads: want at least 1", option)
		}
		return option, nil
	}
	if s := os.Getenv("FORJA_THREADS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxThreads {
			return 0, fmt.Errorf("FORJA_THREADS is %q: want a number of threads from 1 to %d", s, maxThreads)
		}
		return n, nil
	}
	return runtime.GOMAXPROCS(0), nil
}

const maxThreads = 1024

// Info describes the processor.
func (b *Backend) Info() kernels.Info { return b.info }

// Sync has nothing to wait for: operations have run when they return, and none can fail.
func (b *Backend) Sync() error { return nil }

// Close stops the workers and returns all memory.
func (b *Backend) Close() error {
	b.pool.Close()
	for buf := range b.live {
		b.Free(buf)
	}
	clear(b.scratch)
	b.shared = scratch{}
	return nil
}

// smallWork is the number of elementary operations below which waking the workers costs more than it gains.
const smallWork = 1 << 14

// run calls t.Do for n pieces that cost about work elementary operations together.
func (b *Backend) run(n, work int, t par.Task) {
	if work >= smallWork {
		b.pool.Run(n, t)
		return
	}
	for i := range n {
		t.Do(0, i)
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
