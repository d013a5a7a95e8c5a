// Package par runs the iterations of a loop on a fixed set of workers that stay alive between loops.
//
// A training step is thousands of loops of tens of microseconds each, so starting goroutines per loop costs too much:
// workers here spin for a short, bounded time after a loop and only then park. The caller is itself worker 0, and a
// loop never waits for a worker that has not begun to take part, so a busy machine slows a loop down but does not
// stall it. Iterations are handed out one at a time; which worker gets which is not deterministic, so a task must
// write results that do not depend on it.
//
// Deliberately absent: nesting, cancellation, priorities, work stealing, results.
package par

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A Task is the body of a loop.
type Task interface {
	// Do runs iteration i. worker is in [0, Threads) and no two concurrent calls share it, so it may index scratch
	// memory.
	Do(worker, i int)
}

// A Pool is a set of workers. It runs one loop at a time: Run must be called neither concurrently nor from a Task.
type Pool struct {
	threads int
	spin    int // iterations of the wait loops before they park

	task Task // the current loop; written only while the gate is shut and empty
	n    int

	_    [64]byte
	gate atomic.Uint64 // epoch<<gateEpoch | open | number of workers inside
	_    [56]byte
	next atomic.Int64 // the next iteration to hand out
	_    [56]byte

	parked  []parked // of workers 1 and up; index 0 belongs to the caller, waiting for the last worker to leave
	closing atomic.Bool
	alive   sync.WaitGroup

	failure atomic.Pointer[Panic]
}

// Words of the gate. The epoch distinguishes loops, so that a worker never takes part twice in one or enters a loop it
// did not see open.
const (
	gateOpen  = 1 << 15
	gateCount = gateOpen - 1
	gateEpoch = 16
)

// spinTurns bounds the time a waiting worker keeps its core: about 50 µs.
const spinTurns = 1000

// parked is one goroutine's bed: asleep is set by the goroutine before it receives from wake, and cleared by exactly
// one other, which then sends.
type parked struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [48]byte
}

// Panic is the value Run panics with when a task panicked.
type Panic struct {
	Value any    // what the task panicked with
	Stack []byte // of the worker
}

func (p *Panic) Error() string {
	return fmt.Sprintf("parallel task panicked: %v\n\n%s", p.Value, p.Stack)
}

// New starts a pool of threads workers, the caller included; threads below 1 counts as 1.
func New(threads int) *Pool {
	p := &Pool{threads: min(max(threads, 1), gateCount), spin: spinTurns}
	if p.threads > runtime.GOMAXPROCS(0) {
		p.spin = 1 // a spinning worker would keep a working one from its core
	}
	p.parked = make([]parked, p.threads)
	for w := range p.parked {
		p.parked[w].wake = make(chan struct{}, 1)
	}
	for w := 1; w < p.threads; w++ {
		p.alive.Add(1)
		go p.serve(w)
	}
	return p
}

// Threads is the number of workers, the caller included.
func (p *Pool) Threads() int { return p.threads }

// Close stops the workers and returns when they are gone. Run still works afterwards, on the caller alone.
func (p *Pool) Close() {
	p.closing.Store(true)
	for w := 1; w < p.threads; w++ {
		p.parked[w].rouse()
	}
	p.alive.Wait()
}

// Run calls t.Do(worker, i) once for every i in [0, n) and returns when all calls have returned. It allocates nothing.
// If a call panics, iterations not yet begun are dropped and Run panics with a *Panic once the others have returned;
// the pool stays usable.
func (p *Pool) Run(n int, t Task) {
	if p.threads == 1 || n <= 1 {
		for i := range n {
			t.Do(0, i)
		}
		return
	}
	p.task, p.n = t, n
	p.next.Store(0)
	p.gate.Store((p.gate.Load()>>gateEpoch+1)<<gateEpoch | gateOpen)
	for w := 1; w < min(p.threads, n); w++ {
		p.parked[w].rouse()
	}
	p.work(0)
	for s := p.gate.Load(); !p.gate.CompareAndSwap(s, s&^gateOpen); s = p.gate.Load() {
	}
	p.parked[0].wait(p.spin, p.empty)
	p.task = nil
	if f := p.failure.Swap(nil); f != nil {
		panic(f)
	}
}

func (p *Pool) empty() bool { return p.gate.Load()&gateCount == 0 }

// work takes iterations until none are left, and turns a panic into the loop's failure.
func (p *Pool) work(worker int) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = "runtime.Goexit in a task"
		}
		p.failure.CompareAndSwap(nil, &Panic{v, debug.Stack()})
		p.next.Store(int64(p.n))
	}()
	for {
		i := p.next.Add(1) - 1
		if i >= int64(p.n) {
			break
		}
		p.task.Do(worker, int(i))
	}
	returned = true
}

// serve is the life of a worker.
func (p *Pool) serve(worker int) {
	defer p.alive.Done()
	var last uint64 // epoch of the last loop entered
	called := func() bool {
		s := p.gate.Load()
		return s&gateOpen != 0 && s>>gateEpoch != last || p.closing.Load()
	}
	for {
		p.parked[worker].wait(p.spin, called)
		if p.closing.Load() {
			return
		}
		s := p.gate.Load()
		if s&gateOpen == 0 || s>>gateEpoch == last || !p.gate.CompareAndSwap(s, s+1) {
			continue
		}
		last = s >> gateEpoch
		p.enter(worker)
	}
}

// enter is a worker's part in one loop, after it was counted in.
func (p *Pool) enter(worker int) {
	defer func() { // even if the task ends the goroutine
		if s := p.gate.Add(^uint64(0)); s&(gateOpen|gateCount) == 0 {
			p.parked[0].rouse()
		}
	}()
	p.work(worker)
}

// wait returns when ready reports true, having spun for so many turns before parking. ready must become true only
// before a call of rouse.
func (b *parked) wait(spin int, ready func() bool) {
	for {
		for range spin {
			if ready() {
				return
			}
			pause()
		}
		b.asleep.Store(true)
		if ready() && b.asleep.CompareAndSwap(true, false) {
			return
		}
		<-b.wake // also when ready but someone has already cleared asleep: a token is on its way
	}
}

// rouse wakes the goroutine if it is parked.
func (b *parked) rouse() {
	if b.asleep.CompareAndSwap(true, false) {
		b.wake <- struct{}{}
	}
}
