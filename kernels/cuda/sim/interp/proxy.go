package interp

import (
	"fmt"
	"strings"
)

// blockExt is what asynchronous copies and products keep per block.
type blockExt struct {
	bars    map[uint32]*mbarrier // by offset in shared memory
	groups  []warpgroup
	cluster clusterBarrier // of the block of rank 0
	regs    registerFile
	actors  int      // components of the clocks that have been given out, of the block of rank 0
	visits  []visit  // what others last did to the shared memory
	final   []uint32 // what the warps that have ended knew
}

// warpExt is the same per warp.
type warpExt struct {
	copies   copies
	stores   stores
	products products
	cluster  clusterWait
	waiting  waitingFor
	regs     int // registers per thread that setmaxnreg has set, 0 before
	moves    int // how often it has been executed
	fences   []proxyFence
	hold     registerUse
}

func init() {
	extend("fence", "mbarrier_init", func(o *operands) op {
		if !o.has("release.cluster") || !o.want(0, 0) {
			return nil
		}
		return func(w *warp, m uint32) { w.fenceBarriers(m) }
	})
	extend("fence", "proxy", func(o *operands) op {
		switch {
		case o.has("async"):
			space := o.one("shared::cta", "shared::cluster", "global")
			o.want(0, 0)
			return func(w *warp, m uint32) { w.fenceProxy(m, space != "global", space == "global" || space == "") }
		case o.has("tensormap::generic"), o.has("alias"):
			o.one("acquire", "release")
			o.one("cta", "cluster", "gpu", "sys")
			return func(*warp, uint32) {}
		}
		return nil
	})
	extend("prefetch", "tensormap", func(o *operands) op {
		o.one("const", "param")
		if !o.want(1, 1) {
			return nil
		}
		base, off := o.addr(o.arg[0])
		return func(w *warp, m uint32) {
			each(m, func(l int) {
				b := box{mapBase: base, mapOff: off}
				b.check(w, l)
			})
		}
	})
	families["setmaxnreg"] = translateSetRegisters
}

// later queues what happens when no warp can move without it. A fault then names the instruction that issued it.
func (w *warp) later(l int, f func()) {
	pc := w.pc
	w.u.queue = append(w.u.queue, func() {
		defer func() {
			switch r := recover().(type) {
			case nil:
			case fault:
				panic(fault{-1, fmt.Sprintf("%s (asynchronously, for line %d: %s: block %v thread %d)", r.msg, w.run.k.code[pc].line,
					clip(w.run.k.code[pc].text), w.b.ctaid, w.thread(l))})
			default:
				panic(r)
			}
		}()
		f()
	})
}

// ended tells whether all warps of the block have.
func (b *block) ended() bool {
	for _, w := range b.warps {
		if w.state != done {
			return false
		}
	}
	return true
}

// finish is called when the last lane of a warp has ended.
func (w *warp) finish() {
	w.flushStores()
	if n := len(w.ext.products.flying); n > 0 {
		faultf(-1, "the warp ends with %d wgmma under way: the wgmma of line %d was never waited for", n, w.run.k.code[w.ext.products.flying[0].p.pc].line)
	}
	if w.ext.cluster.passed != 0 {
		faultf(lowest(w.ext.cluster.passed), "the thread has arrived at the cluster's barrier and ends without waiting")
	}
	w.endRegisters()
	w.u.clusterPhase()
	w.endOrder()
}

// registerFile is the register file of a block, for setmaxnreg.
type registerFile struct {
	perThread int // at launch
	free      int // registers that nobody has
}

// registersAtLaunch is what ptxas gives each thread of a kernel with launch bounds: an equal share of 64 K, a multiple of 8.
func (b *block) registersAtLaunch() int {
	k := b.run.k
	if k.maxRegs > 0 {
		return min(k.maxRegs, 256) &^ 7
	}
	return min(65536/((k.Threads+31)&^31*max(k.perSM, 1))&^7, 256)
}

// translateSetRegisters: setmaxnreg.inc/.dec.sync.aligned.u32 n.
func translateSetRegisters(o *operands) op {
	grow, shrink := o.has("inc"), o.has("dec")
	if grow == shrink || !o.has("sync.aligned") || o.typ != "u32" || !o.want(1, 1) {
		return nil
	}
	n := o.imm(0)
	if n < 24 || n > 256 || n%8 != 0 {
		o.fail("%d registers: a multiple of 8 from 24 to 256 expected", n)
	}
	if k := o.a.k; k.maxRegs == 0 && (k.Threads == 0 || k.perSM == 0) {
		o.fail("ptxas ignores setmaxnreg in a kernel without .maxnreg, or .maxntid and .minnctapersm")
	}
	o.in.kind = waits
	return func(w *warp, m uint32) {
		w.inWarpgroup(m)
		f := &w.b.ext.regs
		if f.perThread == 0 {
			f.perThread = w.b.registersAtLaunch()
		}
		if w.ext.regs == 0 {
			w.ext.regs = f.perThread
		}
		more := 32 * (n - w.ext.regs)
		switch {
		case grow && more < 0:
			faultf(-1, "setmaxnreg.inc to %d registers of a thread that has %d", n, w.ext.regs)
		case shrink && more > 0:
			faultf(-1, "setmaxnreg.dec to %d registers of a thread that has %d", n, w.ext.regs)
		case more > f.free:
			w.ext.waiting = waitingFor{text: " for " + itoa(uint64(more)) + " registers of which " + itoa(uint64(f.free)) + " are free"}
			w.yield, w.again = true, true
			return
		}
		f.free -= more
		w.ext.regs = n
		w.ext.moves++
		w.ext.waiting = waitingFor{}
		w.u.events++
	}
}

// endRegisters checks that a warp has executed the warpgroup's instructions as often as the others that have ended.
func (w *warp) endRegisters() {
	for _, x := range w.b.warps {
		if x.id/4 != w.id/4 || x == w || x.state != done {
			continue
		}
		if x.ext.moves != w.ext.moves {
			faultf(-1, "warps %d and %d of a warpgroup have executed %d and %d setmaxnreg", x.id, w.id, x.ext.moves, w.ext.moves)
		}
		if x.ext.products.serial != w.ext.products.serial {
			faultf(-1, "warps %d and %d of a warpgroup have executed %d and %d wgmma", x.id, w.id, x.ext.products.serial, w.ext.products.serial)
		}
	}
}

// check faults unless the address is that of a tensor map.
func (b *box) check(w *warp, l int) {
	addr := w.reg(b.mapBase)[l] + b.mapOff
	if addr%64 != 0 {
		faultf(l, "the tensor map at %s is not at a multiple of 64", w.where(addr))
	}
	var enc [128]byte
	copy(enc[:64], w.at(l, addr, 64))
	copy(enc[64:], w.at(l, addr+64, 64))
	if _, err := decodeTensorMap(&enc); err != nil {
		faultf(l, "tensor map at %s: %v", w.where(addr), err)
	}
}

// fenceBarriers makes the mbarriers that the lanes in m have initialised visible.
func (w *warp) fenceBarriers(m uint32) {
	for _, bar := range w.b.ext.bars {
		if bar.creator == w && m>>bar.lane&1 == 1 {
			bar.visible = true
		}
	}
}

// readGlobal is n bytes of global memory for a copy of lane l.
func (w *warp) readGlobal(l int, addr uint64, n int) []byte {
	b, err := w.run.h.Bytes(addr, n)
	if err != nil {
		faultf(l, "global access out of bounds: %v", err)
	}
	return b
}

// checkRead notes that a copy of lane l reads n bytes of global memory.
func (w *warp) checkRead(l int, addr uint64, n int) {
	w.readGlobal(l, addr, n)
	if w.b.check != nil && n > 0 {
		w.checkGlobal(l, addr, n, true, false, false)
	}
}

// checkBulkRead is checkRead for the asynchronous proxy: what this block or cluster has written needs a fence.
func (w *warp) checkBulkRead(l int, addr uint64, n int) {
	w.checkRead(l, addr, n)
	if w.b.check == nil || n == 0 {
		return
	}
	a := w.run.h.find(addr)
	off, shift := int(addr-a.addr), w.run.races.shift
	t := w.table(a)
	for i := off >> shift; i<<shift < off+n; i++ {
		p := t.pages[i>>pageShift].Load()
		p.mu.Lock()
		c := p.cells[i&(pageCells-1)]
		p.mu.Unlock()
		by := c.w
		if by.pc &^= atomicAccess; by.clock == 0 || c.wunit != uint32(w.u.id) || strings.HasPrefix(w.run.k.code[by.pc].name, "cp.") {
			continue
		}
		if !w.proxyFenced(&by, true) {
			faultf(l, "reads offset %d of %s asynchronously, which %s has written%s without a fence.proxy.async after it (and before the synchronisation)",
				i<<shift, a.name, w.u.thread(&by), w.run.line(&by))
		}
	}
}

// writeGlobal is n bytes of global memory that a copy of lane l writes, or adds to.
func (w *warp) writeGlobal(l int, addr uint64, n int, add bool) []byte {
	b := w.readGlobal(l, addr, n)
	if w.b.check != nil {
		w.checkGlobal(l, addr, n, add, true, add)
	}
	return b
}
