package interp

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// The generic address space. Global memory, the heap, is below paramBase; a kernel sees its
// parameters, local and shared memory in windows above.
const (
	paramBase  = 1 << 52
	localBase  = 1 << 53
	sharedBase = 1 << 54

	// reservedShared bytes at the start of shared memory belong to the system, as on real devices.
	reservedShared = 1024
	maxShared      = 227 << 10

	// A shared address with a number from clusterShift up belongs to the block of that rank plus one
	// of the cluster; below it to the block itself.
	clusterShift = 24
)

// full is the mask of a whole warp.
const full = ^uint32(0)

// lanes is a register of a warp: one value per lane. Values narrower than 64 bits have zeros above.
type lanes = [32]uint64

// unit is what one worker runs at a time: the blocks of a cluster, or a single block.
type unit struct {
	run    *launch
	blocks []*block
	rng    *rand.Rand          // nil: warps take turns in order
	time   uint64              // of %clock
	events int                 // grows whenever something happened that another warp may wait for
	id     int                 // of the cluster in the grid
	seen   map[uint32][]uint32 // by other unit: clocks up to which its accesses happened before
	words  map[uint64]*word    // of shared memory
	idle   int                 // grows whenever a warp gives up its turn to wait for memory to change
	stats  *Stats              // nil: do not count

	// queue holds asynchronous copies that may still be under way. One lands when no warp can move.
	queue []func()
}

// block is a thread block.
type block struct {
	u       *unit
	run     *launch
	id      int       // linear index in the grid
	rank    int       // in the cluster
	ctaid   [3]uint32 // index in the grid
	threads int
	warps   []*warp
	shared  []byte // the whole window: the first reservedShared bytes are not the kernel's
	bars    [16]barrier
	check   *checker // nil: do not check
	ext     blockExt
}

// state says why a warp does not run.
type state uint8

const (
	ready   state = iota
	blocked       // at a barrier
	done
)

// warp is 32 lanes in lockstep.
type warp struct {
	b     *block
	u     *unit
	run   *launch
	id    int // in the block
	r     []lanes
	p     []uint32 // predicates: one bit per lane
	pc    int      // of the instruction being run
	live  uint32   // lanes that have not ended
	stack []frame
	state state
	yield bool // set by an instruction of kind waits that gives up the turn
	again bool // with yield: run the same instruction once more
	steps uint64
	spins uint64 // accesses that may be part of a loop that waits for another warp
	local []byte // lane after lane
	count []int64
	tmp   lanes  // result of a partly masked instruction
	carry uint32 // of extended-precision addition, a bit per lane

	order           // clocks of the checker
	def    []uint32 // slot -> lanes in which it has been written
	pdef   []uint32 // the same of predicates
	recent struct {
		a *allocation
		t *raceTable
	}
	ext warpExt
}

// frame is an entry of a warp's stack of masks: these lanes are at pc and wait at join.
type frame struct {
	pc, join int
	mask     uint32
}

// reg is a register of all lanes.
func (w *warp) reg(slot int) *lanes { return &w.r[slot] }

// pred is a predicate, negated if neg, of all lanes.
func (w *warp) pred(p int, neg bool) uint32 {
	if neg {
		return ^w.p[p]
	}
	return w.p[p]
}

// setPred writes a predicate in the lanes of m.
func (w *warp) setPred(p int, m, value uint32) { w.p[p] = w.p[p]&^m | value&m }

// fault is what a wrong program panics with; Launch turns it into an error.
type fault struct {
	lane int // -1 if no lane is to blame more than another
	msg  string
}

// faultf stops the kernel because of something a lane did; lane is -1 if the whole warp did it.
func faultf(lane int, format string, args ...any) {
	panic(fault{lane, fmt.Sprintf(format, args...)})
}

// whole faults unless every lane that has not ended takes part.
func (w *warp) whole(m uint32) {
	if m != w.live {
		faultf(-1, "executed by lanes %#08x of %#08x: the warp is divergent", m, w.live)
	}
}

// thread is the linear index of a lane in its block.
func (w *warp) thread(lane int) int { return w.id*32 + lane }

// firstLane is the lowest lane of m.
func firstLane(m uint32) int { return bits.TrailingZeros32(m) }

// each calls f for every lane in m.
func each(m uint32, f func(l int)) {
	for ; m != 0; m &= m - 1 {
		f(bits.TrailingZeros32(m))
	}
}

// merge copies the lanes of m from s to d.
func merge(d, s *lanes, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		d[l] = s[l]
	}
}
