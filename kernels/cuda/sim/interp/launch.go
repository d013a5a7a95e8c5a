package interp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// Options of a launch.
type Options struct {
	Check   bool   // turn on the checker
	Seed    uint64 // if not 0, run the warps of a block in an order drawn from it
	Workers int    // goroutines that run blocks; 0 for GOMAXPROCS
	Stats   *Stats // if not nil, is added to
	Steps   uint64 // instructions after which a warp is taken to hang; 0 for 1<<30
}

// launch is one execution of a grid.
type launch struct {
	k       *Kernel
	h       *Heap
	o       Options
	grid    [3]uint32
	dim     [3]uint32
	cluster [3]uint32
	params  []byte
	shared  int // bytes of the shared window
	dynamic int
	global  []constant // addresses of variables in global memory
	races   *raceMap
	units   int
	next    atomic.Int64
	failed  atomic.Int64 // the lowest unit that has failed; those after it need not end
}

// tap, if a test has set it, sees every launch before it begins.
var tap func(k *Kernel, h *Heap, grid, dim [3]uint32, shared int, args []byte)

// Launch runs the kernel over a grid of blocks and waits for its end. shared is the size of dynamic
// shared memory in bytes; args is the parameter block, laid out as Params says. A program that does
// something wrong ends in an error that names its place; what other blocks had written until then
// stays written.
func (k *Kernel) Launch(h *Heap, grid, dim [3]uint32, shared int, args []byte, o Options) error {
	if tap != nil {
		tap(k, h, grid, dim, shared, args)
	}
	l, err := k.prepare(h, grid, dim, shared, args, o)
	if err != nil {
		return fmt.Errorf("launching %s: %w", k.Name, err)
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, l.units)
	errs := make([]unitError, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() { errs[i] = l.work() })
	}
	group.Wait()
	if l.races != nil {
		l.races.release()
	}
	first := unitError{at: l.units}
	for _, e := range errs {
		if e.err != nil && e.at < first.at {
			first = e
		}
	}
	if first.err != nil {
		return fmt.Errorf("%s: %w", k.Name, first.err)
	}
	return nil
}

// unitError is the first error of a worker.
type unitError struct {
	at  int
	err error
}

// prepare checks the arguments of a launch.
func (k *Kernel) prepare(h *Heap, grid, dim [3]uint32, shared int, args []byte, o Options) (*launch, error) {
	threads, blocks := uint64(1), uint64(1)
	for i := range 3 {
		if dim[i] == 0 || dim[i] > 1024 || grid[i] == 0 || i > 0 && grid[i] > 65535 {
			return nil, fmt.Errorf("grid %v of blocks %v", grid, dim)
		}
		threads *= uint64(dim[i])
		blocks *= uint64(grid[i])
	}
	if threads > 1024 || k.Threads > 0 && threads > uint64(k.Threads) {
		return nil, fmt.Errorf("%d threads in a block: the kernel allows %d", threads, k.Threads)
	}
	if blocks > 1<<31-1 {
		return nil, fmt.Errorf("grid %v has too many blocks", grid)
	}
	if len(args) != k.size {
		return nil, fmt.Errorf("%d bytes of arguments for parameters of %d bytes", len(args), k.size)
	}
	if shared < 0 || shared+k.StaticShared > maxShared {
		return nil, fmt.Errorf("%d + %d bytes of shared memory: more than %d", k.StaticShared, shared, maxShared)
	}
	l := &launch{k: k, h: h, o: o, grid: grid, dim: dim, cluster: [3]uint32{1, 1, 1}, params: args, dynamic: shared, shared: k.dynamic + shared}
	if k.Cluster[0] != 0 {
		l.cluster = k.Cluster
	}
	size := 1
	for i := range 3 {
		if grid[i]%l.cluster[i] != 0 {
			return nil, fmt.Errorf("grid %v is not a multiple of the cluster %v", grid, l.cluster)
		}
		size *= int(l.cluster[i])
	}
	if size > maxCluster {
		return nil, fmt.Errorf("clusters %v of more than %d blocks, which not every device can place", l.cluster, maxCluster)
	}
	l.units = int(blocks) / size
	l.failed.Store(int64(l.units))
	if l.o.Steps == 0 {
		l.o.Steps = 1 << 30
	}
	var err error
	if l.global, err = h.place(k); err != nil {
		return nil, err
	}
	if o.Check {
		l.races = h.newRaces(k)
	} else {
		h.unchecked()
	}
	return l, nil
}

// work runs units until there are no more.
func (l *launch) work() (first unitError) {
	u := l.unit()
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.units || int64(i) > l.failed.Load() {
			break
		}
		if err := l.runUnit(u, i); err != nil {
			for {
				lowest := l.failed.Load()
				if int64(i) >= lowest || l.failed.CompareAndSwap(lowest, int64(i)) {
					return unitError{i, err}
				}
			}
		}
	}
	if u.stats != nil {
		l.k.collect(u)
		l.o.Stats.add(u.stats)
		return unitError{}
	}
	u.queue, u.seen, u.words = nil, nil, nil
	l.k.spare.Put(u)
	return unitError{}
}

// unit finds a unit that an earlier launch of the same shape has left, or makes one.
func (l *launch) unit() *unit {
	u, _ := l.k.spare.Get().(*unit)
	if u == nil || l.o.Stats != nil || u.run.dim != l.dim || u.run.shared != l.shared || u.run.o.Check != l.o.Check {
		u = l.newUnit()
	}
	u.run = l
	for _, b := range u.blocks {
		b.run = l
		for _, w := range b.warps {
			w.run = l
			w.recent.a = nil
			w.bind()
		}
	}
	return u
}

// newUnit makes the blocks and warps of a unit; they are used again for the next.
func (l *launch) newUnit() *unit {
	u := &unit{run: l}
	if l.o.Stats != nil {
		u.stats = &Stats{}
	}
	threads := int(l.dim[0] * l.dim[1] * l.dim[2])
	for rank := range int(l.cluster[0] * l.cluster[1] * l.cluster[2]) {
		b := &block{u: u, run: l, rank: rank, threads: threads, shared: make([]byte, l.shared)}
		for i := range (threads + 31) / 32 {
			w := &warp{b: b, u: u, run: l, id: i, r: make([]lanes, l.k.Registers), p: make([]uint32, l.k.preds)}
			if l.k.local > 0 {
				w.local = make([]byte, 32*l.k.local)
			}
			if u.stats != nil {
				w.count = make([]int64, len(l.k.code))
			}
			w.constants()
			b.warps = append(b.warps, w)
		}
		u.blocks = append(u.blocks, b)
	}
	return u
}

// runUnit runs unit i. Whatever the program does wrong comes back as an error.
func (l *launch) runUnit(u *unit, i int) (err error) {
	var at *warp
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fault:
			err = l.describe(at, r)
		default:
			panic(r)
		}
	}()
	c := l.cluster
	at0 := l.first(i)
	u.rng = nil
	if l.o.Seed != 0 {
		u.rng = rand.New(rand.NewPCG(l.o.Seed, uint64(i)))
	}
	u.queue, u.events, u.id, u.seen, u.words = u.queue[:0], 0, i, nil, nil
	for _, b := range u.blocks {
		r := uint32(b.rank)
		b.ctaid = [3]uint32{at0[0] + r%c[0], at0[1] + r/c[0]%c[1], at0[2] + r/c[0]/c[1]}
		b.id = int(b.ctaid[0] + l.grid[0]*(b.ctaid[1]+l.grid[1]*b.ctaid[2]))
		b.reset()
	}
	u.turns(&at)
	return nil
}

// reset prepares a block for its next index. Shared memory that nobody wrote is all ones: NaN as
// float32 and as bfloat16.
func (b *block) reset() {
	fillOnes(b.shared)
	b.bars = [16]barrier{}
	b.ext = blockExt{}
	if b.run.o.Check {
		b.check = newChecker(b, b.check)
	}
	for _, w := range b.warps {
		w.reset()
	}
}

// reset prepares a warp for the next block.
func (w *warp) reset() {
	w.stack = append(w.stack[:0], frame{0, len(w.run.k.code), full})
	w.live = full
	if r := w.b.threads - w.id*32; r < 32 {
		w.live = 1<<r - 1
	}
	w.state, w.yield, w.again, w.steps, w.pc = ready, false, false, 0, 0
	fillOnes(w.local)
	w.ext = warpExt{}
	w.specials(true)
	if w.b.check != nil {
		w.startOrder()
		w.undefine()
	}
}

func fillOnes(b []byte) {
	if len(b) == 0 {
		return
	}
	b[0] = 0xff
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// turns gives every warp its turn until all have ended.
func (u *unit) turns(at **warp) {
	var order []*warp
	for _, b := range u.blocks {
		order = append(order, b.warps...)
	}
	for {
		live, before, spinning := 0, u.events, u.idle
		if u.rng != nil {
			u.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for _, w := range order {
			if w.state == ready {
				*at = w
				w.turn()
			}
			if w.state != done {
				live++
			}
		}
		*at = nil
		if live == 0 {
			for u.land() {
			}
			return
		}
		if u.rng != nil && u.rng.IntN(3) == 0 { // a copy may also be quick
			u.land()
		}
		if u.events == before && !u.land() && u.idle == spinning {
			u.deadlock()
		}
		if int64(u.id) > u.run.failed.Load() {
			return
		}
	}
}

// land lets one asynchronous copy arrive: any, if the order is drawn at random.
func (u *unit) land() bool {
	if len(u.queue) == 0 {
		return false
	}
	i := 0
	if u.rng != nil {
		i = u.rng.IntN(len(u.queue))
	}
	f := u.queue[i]
	u.queue = append(u.queue[:i], u.queue[i+1:]...)
	f()
	u.events++
	return true
}

// deadlock reports who waits where.
func (u *unit) deadlock() {
	type place struct {
		block, pc int
		what      string
	}
	var places []place
	who := map[place][]string{}
	for _, b := range u.blocks {
		for _, w := range b.warps {
			if w.state == done {
				continue
			}
			p := place{b.rank, w.pc, w.ext.waiting.String()}
			if who[p] == nil {
				places = append(places, p)
			}
			who[p] = append(who[p], fmt.Sprint(w.id))
		}
	}
	var lines []string
	for _, p := range places {
		in := &u.run.k.code[p.pc]
		lines = append(lines, fmt.Sprintf("block %v warps %s wait%s at line %d: %s",
			u.blocks[p.block].ctaid, strings.Join(who[p], ","), p.what, in.line, clip(in.text)))
	}
	faultf(-1, "deadlock: no warp can go on: %s", strings.Join(lines, "; "))
}

// blockName names the first block of a unit.
func (l *launch) blockName(unit uint32) string {
	return fmt.Sprintf("block %v", l.first(int(unit)))
}

// first is the index of the first block of unit i.
func (l *launch) first(i int) [3]uint32 {
	c := l.cluster
	gx, gy := l.grid[0]/c[0], l.grid[1]/c[1]
	return [3]uint32{uint32(i) % gx * c[0], uint32(i) / gx % gy * c[1], uint32(i) / gx / gy * c[2]}
}

// ErrProgram is the kind of every error that a program caused by what it did.
var ErrProgram = errors.New("fault in the kernel")

// describe says where a fault happened.
func (l *launch) describe(w *warp, f fault) error {
	if w == nil {
		return fmt.Errorf("%w: %s", ErrProgram, f.msg)
	}
	in := &l.k.code[min(w.pc, len(l.k.code)-1)]
	who := fmt.Sprintf("warp %d", w.id)
	if f.lane >= 0 {
		who = fmt.Sprintf("thread %d", w.thread(f.lane))
	}
	return fmt.Errorf("%w: line %d: %s: block %v %s: %s", ErrProgram, in.line, clip(in.text), w.b.ctaid, who, f.msg)
}
