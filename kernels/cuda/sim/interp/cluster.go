package interp

import "math/bits"

// The blocks of a cluster run together, as one unit, and reach each other's shared memory: distributed shared memory.

// maxCluster is the size of a cluster that every device of compute capability 9.0 can place.
const maxCluster = 8

func init() {
	families["mapa"] = translateMapa
	families["getctarank"] = translateRank
	extend("barrier", "cluster", translateClusterBarrier)
}

// extend gives the instructions of an opcode that have the modifier mod to f, and leaves the others where they were.
func extend(opcode, mod string, f func(o *operands) op) {
	others := families[opcode]
	families[opcode] = func(o *operands) op {
		switch {
		case o.has(mod):
			return f(o)
		case others != nil:
			return others(o)
		}
		return nil
	}
}

// window is the kind of address of an instruction that works on shared memory.
type window uint8

const (
	windowGeneric window = iota // of any state space, but must be shared
	windowBlock                 // .shared::cta
	windowCluster               // .shared::cluster
)

// window reads the modifiers that name the window.
func (o *operands) window() window {
	switch o.one("shared::cluster", "shared::cta", "shared") {
	case "":
		return windowGeneric
	case "shared::cluster":
		return windowCluster
	}
	return windowBlock
}

// resolve finds n bytes of shared memory: the block that they belong to and their offset in it. An address of the cluster's
// window is that of the block itself below 1<<clusterShift.
func (w *warp) resolve(l int, addr uint64, n int, k window) (*block, uint32) {
	if k == windowGeneric {
		if addr < sharedBase {
			faultf(l, "address %s is not in shared memory", w.where(addr))
		}
		addr -= sharedBase
	}
	b, off := w.b, uint32(addr)
	if addr>>32 != 0 {
		faultf(l, "%#x is no address of shared memory: a generic address must be converted", addr)
	}
	if rank := off >> clusterShift; rank != 0 {
		off &= 1<<clusterShift - 1
		if int(rank) > len(w.u.blocks) {
			faultf(l, "shared address %#x: the cluster has no block of rank %d", addr, rank-1)
		}
		b = w.u.blocks[rank-1]
		if k == windowBlock && b != w.b {
			faultf(l, "shared address %#x belongs to the block of rank %d: .shared::cta reaches only the block's own memory", addr, rank-1)
		}
	}
	if off < reservedShared || uint64(off)+uint64(n) > uint64(len(b.shared)) {
		faultf(l, "%d bytes of shared memory out of bounds at offset %d of %d", n, int64(off)-reservedShared, len(b.shared)-reservedShared)
	}
	return b, off
}

// translateMapa: mapa{.shared::cluster}.u32/.u64 d, a, rank.
func translateMapa(o *operands) op {
	if !o.want(3, 3) {
		return nil
	}
	generic := uint64(sharedBase)
	if o.has("shared::cluster") {
		generic = 0
	}
	d, rank := o.slot(0), o.slotOf(2, "u32")
	a, plus := o.address(o.arg[1])
	return func(w *warp, m uint32) {
		D, A, R := w.reg(d), w.reg(a), w.reg(rank)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			at := A[l] + plus
			if at < generic {
				faultf(l, "address %s is not in shared memory", w.where(at))
			}
			if R[l] >= uint64(len(w.u.blocks)) {
				faultf(l, "the cluster has %d blocks, none of rank %d", len(w.u.blocks), R[l])
			}
			D[l] = generic + (at-generic)&(1<<clusterShift-1) + (R[l]+1)<<clusterShift
		}
	}
}

// translateRank: getctarank{.shared::cluster}.u32/.u64 d, a.
func translateRank(o *operands) op {
	if !o.want(2, 2) {
		return nil
	}
	generic := uint64(sharedBase)
	if o.has("shared::cluster") {
		generic = 0
	}
	d := o.slot(0)
	a, plus := o.address(o.arg[1])
	return func(w *warp, m uint32) {
		D, A := w.reg(d), w.reg(a)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			at := A[l] + plus
			if at < generic {
				faultf(l, "address %s is not in shared memory", w.where(at))
			}
			D[l] = uint64(w.b.rank)
			if rank := (at - generic) >> clusterShift; rank != 0 {
				D[l] = rank - 1
			}
		}
	}
}

// clusterBarrier is the barrier of all threads of a cluster that have not ended. It belongs to the block of rank 0.
type clusterBarrier struct {
	arriving []uint32 // clocks of those who have arrived in this phase
	released []uint32 // and of those of the last completed phase
}

// clusterWait is what a warp has to do with it, by lane.
type clusterWait struct {
	arrived uint32 // in the current phase, which is not complete
	passed  uint32 // in a phase that is complete, and has not waited yet
}

func translateClusterBarrier(o *operands) op {
	aligned := o.has("aligned")
	arrive, wait := o.has("arrive"), o.has("wait")
	if arrive == wait || !o.want(0, 0) {
		return nil
	}
	if arrive {
		relaxed := o.one("release", "relaxed") == "relaxed"
		return func(w *warp, m uint32) {
			if aligned {
				w.whole(m)
			}
			c := &w.ext.cluster
			if c.arrived&m != 0 {
				faultf(bits.TrailingZeros32(c.arrived&m), "the thread has arrived at the cluster's barrier before in this phase")
			}
			if c.passed&m != 0 {
				faultf(bits.TrailingZeros32(c.passed&m), "the thread arrives again before it has waited for the last phase of the cluster's barrier")
			}
			c.arrived |= m
			if bar := w.u.clusterBarrier(); !relaxed {
				bar.arriving = joinClocks(bar.arriving, w.release())
			}
			w.u.events++
			w.u.clusterPhase()
		}
	}
	o.has("acquire")
	o.in.kind = waits
	return func(w *warp, m uint32) {
		if aligned {
			w.whole(m)
		}
		c := &w.ext.cluster
		if never := m &^ (c.arrived | c.passed); never != 0 {
			faultf(bits.TrailingZeros32(never), "the thread waits at the cluster's barrier without having arrived")
		}
		w.u.clusterPhase()
		if m&^c.passed != 0 {
			w.ext.waiting = waitingFor{text: " for " + itoa(uint64(w.u.missing())) + " threads at the cluster's barrier"}
			w.yield, w.again = true, true
			return
		}
		w.ext.waiting = waitingFor{}
		c.passed &^= m
		w.acquire(w.u.clusterBarrier().released)
		w.u.events++
	}
}

// missing counts the threads that have not arrived in this phase.
func (u *unit) missing() int {
	n := 0
	for _, b := range u.blocks {
		for _, w := range b.warps {
			if w.state != done {
				n += bits.OnesCount32(w.live &^ w.ext.cluster.arrived)
			}
		}
	}
	return n
}

func (u *unit) clusterBarrier() *clusterBarrier { return &u.blocks[0].ext.cluster }

// clusterPhase completes the phase of the cluster's barrier if every thread that has not ended has arrived.
func (u *unit) clusterPhase() {
	any := uint32(0)
	for _, b := range u.blocks {
		for _, w := range b.warps {
			if w.state != done && w.live&^w.ext.cluster.arrived != 0 {
				return
			}
			any |= w.ext.cluster.arrived
		}
	}
	if any == 0 {
		return
	}
	for _, b := range u.blocks {
		for _, w := range b.warps {
			w.ext.cluster.passed |= w.ext.cluster.arrived & w.live
			w.ext.cluster.arrived = 0
		}
	}
	bar := u.clusterBarrier()
	bar.released, bar.arriving = bar.arriving, nil
	u.events++
}
