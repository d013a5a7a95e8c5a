package interp

import (
	"math/bits"
	"strings"
)

func init() { families["mbarrier"] = translateMbarrier }

// barrierMark is what the 8 bytes of an mbarrier object hold: its state is kept elsewhere, and is invalid once somebody has
// overwritten them.
const barrierMark = 0x7ff4_6d62_6172_0000

// barrierSync is what an mbarrier knows of the order of events, for the checker.
type barrierSync struct {
	local, remote []uint32 // clocks of the arrivals of the current phase: from its own block, and from others with cluster scope
	localDone     []uint32 // and of all completed phases
	remoteDone    []uint32
	async         []uint32 // what arrivals from other blocks knew of bulk copies and wgmma, in the current phase
	asyncDone     []uint32 // and in all completed ones
	visible       bool     // the initialisation has been fenced for the asynchronous proxy and the cluster
	actor         int      // the component of clocks that counts its phases: a copy that completes on it is ordered by that
	creator       *warp
	lane          int    // of the creator
	born          access // the initialisation
}

// barrierAt finds the mbarrier at an address.
func (w *warp) barrierAt(l int, addr uint64, win window) (*block, *mbarrier) {
	b, at := w.resolve(l, addr, 8, win)
	if at%8 != 0 {
		faultf(l, "mbarrier address %#x is not a multiple of 8", at)
	}
	m := b.ext.bars[at]
	if m == nil {
		faultf(l, "there is no mbarrier at shared %#x%s: it has not been initialised", at, w.whose(b))
	}
	if le.Uint64(b.shared[at:]) != barrierMark|uint64(at>>3) {
		faultf(l, "the mbarrier at shared %#x%s has been overwritten", at, w.whose(b))
	}
	return b, m
}

// whose names the block for messages if it is not the warp's own.
func (w *warp) whose(b *block) string {
	if b == w.b {
		return ""
	}
	return " of the block of rank " + itoa(uint64(b.rank))
}

// translateMbarrier: see the PTX ISA, "mbarrier".
func translateMbarrier(o *operands) op {
	if o.typ != "b64" {
		return nil
	}
	win := o.window()
	switch {
	case o.has("init"):
		return translateInit(o, win)
	case o.has("inval"):
		if !o.want(1, 1) || win == windowCluster {
			return nil
		}
		base, off := o.addr(o.arg[0])
		return func(w *warp, m uint32) {
			A := w.reg(base)
			each(m, func(l int) {
				b, bar := w.barrierAt(l, A[l]+off, win)
				delete(b.ext.bars, bar.at)
				fillOnes(b.shared[bar.at:][:8])
				w.ownBytes(b, bar.at, 8, false)
			})
		}
	case o.has("expect_tx") && !strings.Contains(o.name, "arrive"):
		return translateTransaction(o, win, func(w *warp, l int, b *block, bar *mbarrier, bytes int) {
			if err := bar.expect(bytes); err != nil {
				faultf(l, "%v", err)
			}
		})
	case o.has("complete_tx"):
		return translateTransaction(o, win, func(w *warp, l int, b *block, bar *mbarrier, bytes int) {
			b.transact(l, bar, bytes, bar.phase)
		})
	case o.has("arrive"):
		return translateArrive(o, win, false)
	case o.has("arrive_drop"):
		return translateArrive(o, win, true)
	case o.has("test_wait"), o.has("try_wait"):
		return translateWait(o, win)
	}
	return nil
}

// translateInit: mbarrier.init{.shared{::cta}}.b64 [addr], count.
func translateInit(o *operands, win window) op {
	if !o.want(2, 2) || win == windowCluster {
		return nil
	}
	base, off := o.addr(o.arg[0])
	count := o.slotOf(1, "u32")
	o.access(8)
	return func(w *warp, m uint32) {
		A, C := w.reg(base), w.reg(count)
		each(m, func(l int) {
			b, at := w.resolve(l, A[l]+off, 8, win)
			if at%8 != 0 {
				faultf(l, "mbarrier address %#x is not a multiple of 8", at)
			}
			if b != w.b {
				faultf(l, "a thread can only initialise mbarriers of its own block")
			}
			if b.ext.bars[at] != nil {
				faultf(l, "there is an mbarrier at shared %#x already: it must be invalidated first", at)
			}
			bar, err := newMbarrier(at, int(C[l]))
			if err != nil {
				faultf(l, "%v", err)
			}
			w.touch(l, b, at, 8, true)
			le.PutUint64(b.shared[at:], barrierMark|uint64(at>>3))
			bar.actor, bar.creator, bar.lane = w.u.newActor(), w, l
			if b.check != nil {
				bar.born = w.now(l)
			}
			w.ownBytes(b, at, 8, true)
			if b.ext.bars == nil {
				b.ext.bars = map[uint32]*mbarrier{}
			}
			b.ext.bars[at] = bar
		})
	}
}

// translateTransaction: mbarrier.expect_tx and complete_tx {.relaxed.cta/.cluster}{.space}.b64 [addr], bytes.
func translateTransaction(o *operands, win window, f func(w *warp, l int, b *block, bar *mbarrier, bytes int)) op {
	o.has("relaxed")
	o.one("cta", "cluster")
	if !o.want(2, 2) {
		return nil
	}
	base, off := o.addr(o.arg[0])
	tx := o.slotOf(1, "u32")
	return func(w *warp, m uint32) {
		A, T := w.reg(base), w.reg(tx)
		each(m, func(l int) {
			b, bar := w.barrierAt(l, A[l]+off, win)
			w.useBarrier(l, b, bar)
			f(w, l, b, bar, int(T[l]))
			w.u.events++
		})
	}
}

// translateArrive: mbarrier.arrive{_drop}{.expect_tx}{.noComplete}{.sem.scope}{.space}.b64 state, [addr]{, count}.
func translateArrive(o *operands, win window, drop bool) op {
	expect, noComplete := o.has("expect_tx"), o.has("noComplete")
	relaxed := o.one("release", "relaxed") == "relaxed"
	cluster := o.one("cta", "cluster") == "cluster"
	least := 2
	if expect || noComplete {
		least = 3
	}
	if !o.want(least, 3) {
		return nil
	}
	sink := o.arg[0] == "_"
	if win == windowCluster && !sink {
		o.fail("an arrival at an mbarrier of the cluster returns no state: _ expected")
	}
	state := o.slotOf(0, "b64")
	base, off := o.addr(o.arg[1])
	count := -1
	if len(o.arg) == 3 {
		count = o.slotOf(2, "u32")
	}
	return func(w *warp, m uint32) {
		A := *w.reg(base)
		var known []uint32
		if !relaxed {
			known = w.release()
		}
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			b, bar := w.barrierAt(l, A[l]+off, win)
			w.useBarrier(l, b, bar)
			if b != w.b && !sink {
				faultf(l, "an arrival at an mbarrier of another block returns no state: _ expected")
			}
			n := 1
			if count >= 0 {
				n = int(w.r[count][l])
			}
			if expect {
				if err := bar.expect(n); err != nil {
					faultf(l, "%v", err)
				}
				n = 1
			}
			token, phase := bar.token(), bar.phase
			if drop {
				if n < 1 || n > bar.expected {
					faultf(l, "%v: dropping %d arrivals", bar, n)
				}
				bar.expected -= n
			}
			b.arriveAt(w, l, bar, n, known, cluster)
			if noComplete && bar.phase != phase {
				faultf(l, "%v: an arrival with .noComplete completed the phase", bar)
			}
			if !sink {
				w.r[state][l] = token
			}
		}
		w.u.events++
	}
}

// arriveAt is an arrival of lane l of warp w, or of one of its copies, at a barrier of b. Another block's arrival is only
// ordered before what waiters do if its scope is the cluster, but for what bulk copies have written and wgmma has read: that is
// done, and nothing has to be made visible to those who overwrite it. So CUTLASS hands stages back in a cluster.
func (b *block) arriveAt(w *warp, l int, bar *mbarrier, n int, known []uint32, cluster bool) {
	switch {
	case w.b == b:
		bar.local = joinClocks(bar.local, known)
	case cluster:
		bar.remote = joinClocks(bar.remote, known)
	}
	if w.b != b && known != nil {
		bar.async = joinClocks(bar.async, w.asynchronous(known))
	}
	if w.b != b && b.check != nil {
		b.visit(mark{uint32(bar.actor), bar.phase + 1, uint32(w.pc)}, mark{uint32(w.self), w.clocks[w.self], uint32(w.pc)})
	}
	done, err := bar.arrive(n)
	if err != nil {
		faultf(l, "%v", err)
	}
	if done {
		bar.publish()
	}
	w.u.events++
}

// asynchronous is what a warp knows of the bulk copies to its block and of its warpgroup's wgmma.
func (w *warp) asynchronous(known []uint32) []uint32 {
	part := make([]uint32, len(known))
	keep := func(actor int) {
		if actor < len(known) {
			part[actor] = known[actor]
		}
	}
	if a := w.group().actor; a != 0 {
		keep(a)
	}
	for _, m := range w.b.ext.bars {
		keep(m.actor)
	}
	return part
}

// transact completes bytes of a copy that was issued in the given phase.
func (b *block) transact(l int, bar *mbarrier, bytes int, phase uint32) {
	done, err := bar.transact(bytes, phase)
	if err != nil {
		faultf(l, "%v", err)
	}
	if done {
		bar.publish()
	}
	b.u.events++
}

// publish hands on what the arrivals of the completed phase knew.
func (m *mbarrier) publish() {
	m.localDone = joinClocks(m.localDone, m.local)
	m.remoteDone = joinClocks(m.remoteDone, m.remote)
	m.asyncDone = joinClocks(m.asyncDone, m.async)
	m.local, m.remote, m.async = nil, nil, nil
}

// translateWait: mbarrier.test_wait/.try_wait{.parity}{.sem.scope}{.shared{::cta}}.b64 done, [addr], state{, hint}. A wait that
// fails gives up the turn.
func translateWait(o *operands, win window) op {
	parity, try := o.has("parity"), strings.Contains(o.name, "try_wait")
	relaxed := o.one("acquire", "relaxed") == "relaxed"
	cluster := o.one("cta", "cluster") == "cluster"
	most := 3
	if try {
		most = 4
	}
	if win == windowCluster || !o.want(3, most) {
		return nil
	}
	d, neg := o.pred(o.arg[0])
	base, off := o.addr(o.arg[1])
	state := o.slotOf(2, "b64")
	if len(o.arg) == 4 {
		o.slotOf(3, "u32")
	}
	if neg {
		o.fail("the result cannot be negated")
	}
	o.in.kind = waits
	return func(w *warp, m uint32) {
		A, S := w.reg(base), w.reg(state)
		var done uint32
		var bar, passed *mbarrier
		var at uint64 // of bar
		w.ext.waiting = waitingFor{}
		for left := m; left != 0; left &= left - 1 {
			l := bits.TrailingZeros32(left) & 31
			if bar == nil || A[l] != at {
				var b *block
				at = A[l]
				if b, bar = w.barrierAt(l, at+off, win); b != w.b {
					faultf(l, "a thread can only wait at mbarriers of its own block")
				}
			}
			w.useBarrier(l, w.b, bar)
			var ok bool
			if parity {
				ok = bar.waitParity(uint32(S[l]))
			} else {
				var err error
				if ok, err = bar.waitToken(S[l]); err != nil {
					faultf(l, "%v", err)
				}
			}
			if !ok {
				w.ext.waiting = waitingFor{bar: bar, parity: parity, phase: uint32(S[l])}
				continue
			}
			done |= 1 << l
			if !relaxed && bar != passed {
				w.passBarrier(bar, cluster)
				passed = bar
			}
		}
		w.setPred(d, m, done)
		if done != 0 {
			w.u.events++
		}
		if done != m {
			w.yield = true
		}
	}
}

// passBarrier orders a completed phase before what the warp does next.
func (w *warp) passBarrier(bar *mbarrier, cluster bool) {
	w.acquire(bar.localDone)
	w.acquire(bar.asyncDone)
	if cluster {
		w.acquire(bar.remoteDone)
	}
	w.learn(bar.actor, bar.phase)
}

// waitingFor is what a warp waits for, to say so in a deadlock.
type waitingFor struct {
	bar    *mbarrier
	parity bool
	phase  uint32
	text   string // or for this
}

func (x waitingFor) String() string {
	switch {
	case x.bar == nil:
		return x.text
	case x.parity:
		return " for parity " + itoa(uint64(x.phase&1)) + " of the " + x.bar.String()
	}
	return " for phase " + itoa(uint64(x.phase)) + " of the " + x.bar.String()
}
