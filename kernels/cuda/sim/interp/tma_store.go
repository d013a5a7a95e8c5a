package interp

import (
	"math"
	"math/bits"
	"sync"
)

// reductions makes those of all blocks atomic.
var reductions sync.Mutex

// stores are the bulk stores and reductions of the threads of a warp.
type stores struct {
	flying []*bulkStore
	group  [32]int // groups that a lane has committed
}

// bulkStore is one store or reduction from shared to global memory.
type bulkStore struct {
	w     *warp
	lane  int
	group int
	line  int
	pc    uint32
	from  uint32
	bytes int
	t     TensorMap // Rank 0: not a tensor copy, to global address to
	at    [5]int32
	to    uint64
	merge func(old, new []byte) // nil: a store
	size  int                   // bytes of an element of a reduction
	data  []byte                // what has been read, nil before
	freed bool                  // the thread knows that it has been read
	done  bool                  // written
}

// translateBulkStore: cp{.reduce}.async.bulk{.tensor.Nd}.global.shared::cta{.op}{.tile}.bulk_group{.L2::cache_hint}{.op}{.noftz}
// {.type} [map, {..}] | [dst], [src]{, size}{, policy}.
func translateBulkStore(o *operands, reduce, tensor bool) op {
	o.has("tile")
	o.policy()
	n := 3
	if tensor {
		n = 2
	}
	if !o.has("bulk_group") || !o.want(n, n) {
		return nil
	}
	operation, typ := "", ""
	if reduce {
		operation = o.one("add", "min", "max", "inc", "dec", "and", "or", "xor")
		if !tensor {
			typ = o.typ
			if o.has("noftz") != (typ == "f16" || typ == "bf16") && !(typ == "f32") {
				o.fail(".noftz belongs to additions of f16 and bf16")
			}
			if mergers(operation, typ) == nil {
				o.fail("no reduction .%s of .%s", operation, typ)
			}
		}
	}
	var b box
	var dst, size int
	var dstOff uint64
	if tensor {
		b = o.box(0)
	} else {
		dst, dstOff = o.addr(o.arg[0])
		size = o.slotOf(2, "u32")
	}
	src, srcOff := o.addr(o.arg[1])
	o.access(16)
	return func(w *warp, m uint32) {
		S := w.reg(src)
		x := &w.ext.stores
		each(m, func(l int) {
			c := &bulkStore{w: w, lane: l, group: x.group[l], line: w.run.k.code[w.pc].line, pc: uint32(w.pc)}
			align := uint32(16)
			if tensor {
				c.t, c.at = b.resolve(w, l)
				c.bytes, align = c.t.boxBytes(), 128
				for i, v := range c.at {
					if v < 0 {
						faultf(l, "coordinate %d is %d: a store must begin inside the tensor or after it", i, v)
					}
				}
				if reduce {
					if c.merge, c.size = mergers(operation, tensorMergeType(c.t.Type, operation)), c.t.Type.Size(); c.merge == nil {
						faultf(l, "no reduction .%s of the tensor's type %d", operation, c.t.Type)
					}
				}
			} else {
				c.bytes, c.to = int(w.reg(size)[l]), w.reg(dst)[l]+dstOff
				w.bulkSize(l, c.bytes)
				if c.to%16 != 0 {
					faultf(l, "destination %#x is not a multiple of 16", c.to)
				}
				if reduce {
					c.merge, c.size = mergers(operation, typ), typeBits(typ)/8
				}
			}
			_, c.from = w.resolve(l, S[l]+srcOff, c.bytes, windowBlock)
			if c.from%align != 0 {
				faultf(l, "source %#x is not a multiple of %d", c.from, align)
			}
			w.launchStore(c)
			x.flying = append(x.flying, c)
			if w.u.rng != nil { // it may also happen early
				w.later(l, func() { c.write() })
			}
		})
		w.u.events++
	}
}

// landStores waits for all stores of the lanes in m but those of their last n groups, or only until they have read.
func (w *warp) landStores(m uint32, n int, read bool) {
	x := &w.ext.stores
	keep := x.flying[:0]
	for _, c := range x.flying {
		if m>>c.lane&1 == 1 && c.group < x.group[c.lane]-n {
			c.read()
			if !c.freed {
				c.freed = true
				w.landStore(c)
			}
			if read {
				keep = append(keep, c)
				continue
			}
			c.write()
		}
		if !c.freed || !c.done {
			keep = append(keep, c)
		}
	}
	clear(x.flying[len(keep):])
	x.flying = keep
}

// flushStores writes what the stores of an ended warp have read.
func (w *warp) flushStores() {
	x := &w.ext.stores
	for _, c := range x.flying {
		if c.group >= x.group[c.lane] {
			faultf(c.lane, "the thread ends without having committed its bulk store of line %d", c.line)
		}
		if !c.freed {
			faultf(c.lane, "the thread ends while its bulk store of line %d may still read shared memory: cp.async.bulk.wait_group.read is missing", c.line)
		}
		c.write()
	}
	x.flying = nil
}

// read takes the source from shared memory.
func (c *bulkStore) read() {
	if c.data != nil {
		return
	}
	c.data = make([]byte, c.bytes)
	if c.t.Rank == 0 {
		copy(c.data, c.w.b.shared[c.from:])
	} else {
		s, row := swizzle(c.t.Swizzle), int(c.t.Box[0])*c.t.Type.Size()
		for i := 0; i < c.bytes; i += row {
			s.gather(c.data[i:i+row], c.w.b.shared, c.from+uint32(i))
		}
	}
}

// write carries the store out.
func (c *bulkStore) write() {
	if c.done {
		return
	}
	c.read()
	c.done = true
	if c.t.Rank == 0 {
		c.put(c.to, c.data)
		return
	}
	size := c.t.Type.Size()
	err := c.t.rows(c.at, func(r boxRow) error {
		if r.hi > r.lo {
			c.put(r.at, c.data[r.offset+r.lo*size:r.offset+r.hi*size])
		}
		return nil
	})
	if err != nil {
		faultf(c.lane, "%v", err)
	}
}

// put writes or adds consecutive bytes of global memory. To the checker this is what the instruction that issued the store does.
func (c *bulkStore) put(to uint64, data []byte) {
	pc := c.w.pc
	c.w.pc = int(c.pc)
	defer func() { c.w.pc = pc }()
	c.w.u.countBulk(to, len(data), false)
	if c.merge == nil {
		copy(c.w.writeGlobal(c.lane, to, len(data), false), data)
		return
	}
	reductions.Lock()
	defer reductions.Unlock()
	dst := c.w.writeGlobal(c.lane, to, len(data), true)
	for i := 0; i < len(data); i += c.size {
		c.merge(dst[i:i+c.size], data[i:i+c.size])
	}
}

// tensorMergeType is the type suffix of the reductions of a tensor.
func tensorMergeType(t TensorType, operation string) string {
	switch operation {
	case "and", "or", "xor":
		return map[int]string{4: "b32", 8: "b64"}[t.Size()]
	}
	return map[TensorType]string{
		TensorU32: "u32", TensorI32: "s32", TensorU64: "u64", TensorI64: "s64", TensorF16: "f16", TensorBF16: "bf16",
		TensorF32: "f32", TensorF32FTZ: "f32",
	}[t]
}

// mergers gives the reduction of old and new into old, nil if there is none.
func mergers(operation, typ string) func(old, new []byte) {
	switch typ {
	case "u32", "s32", "b32":
		f := mergeInt(operation, typ, 32)
		if f == nil {
			return nil
		}
		return func(old, new []byte) { le.PutUint32(old, uint32(f(uint64(le.Uint32(old)), uint64(le.Uint32(new))))) }
	case "u64", "s64", "b64":
		f := mergeInt(operation, typ, 64)
		if f == nil {
			return nil
		}
		return func(old, new []byte) { le.PutUint64(old, f(le.Uint64(old), le.Uint64(new))) }
	case "f32":
		if operation == "add" {
			return func(old, new []byte) {
				le.PutUint32(old, math.Float32bits(math.Float32frombits(le.Uint32(old))+math.Float32frombits(le.Uint32(new))))
			}
		}
	case "f64":
		if operation == "add" {
			return func(old, new []byte) {
				le.PutUint64(old, math.Float64bits(math.Float64frombits(le.Uint64(old))+math.Float64frombits(le.Uint64(new))))
			}
		}
	case "bf16":
		return mergeSmall(operation, elemBF16, roundBF16)
	case "f16":
		return mergeSmall(operation, elemF16, roundF16)
	}
	return nil
}

// mergeInt is a reduction of integers of n bits, in the combinations that the manual lists.
func mergeInt(operation, typ string, n int) func(a, b uint64) uint64 {
	signed := func(v uint64) int64 { return int64(v<<(64-n)) >> (64 - n) }
	less := func(a, b uint64) bool { return a < b }
	if typ[0] == 's' {
		less = func(a, b uint64) bool { return signed(a) < signed(b) }
	}
	switch operation + "." + typ {
	case "add.u32", "add.s32", "add.u64":
		return func(a, b uint64) uint64 { return a + b }
	case "min.u32", "min.s32", "min.u64", "min.s64":
		return func(a, b uint64) uint64 {
			if less(b, a) {
				return b
			}
			return a
		}
	case "max.u32", "max.s32", "max.u64", "max.s64":
		return func(a, b uint64) uint64 {
			if less(a, b) {
				return b
			}
			return a
		}
	case "inc.u32":
		return func(a, b uint64) uint64 {
			if a >= b {
				return 0
			}
			return a + 1
		}
	case "dec.u32":
		return func(a, b uint64) uint64 {
			if a == 0 || a > b {
				return b
			}
			return a - 1
		}
	case "and.b32", "and.b64":
		return func(a, b uint64) uint64 { return a & b }
	case "or.b32", "or.b64":
		return func(a, b uint64) uint64 { return a | b }
	case "xor.b32", "xor.b64":
		return func(a, b uint64) uint64 { return a ^ b }
	}
	return nil
}

// mergeSmall is a reduction of 16-bit floats: rounded to nearest even, subnormals kept.
func mergeSmall(operation string, e element, round func(float32) uint16) func(old, new []byte) {
	var f func(a, b float32) float32
	switch operation {
	case "add":
		f = func(a, b float32) float32 { return a + b }
	case "min":
		f = func(a, b float32) float32 { return min(a, b) }
	case "max":
		f = func(a, b float32) float32 { return max(a, b) }
	default:
		return nil
	}
	return func(old, new []byte) {
		le.PutUint16(old, round(f(e.widen(uint32(le.Uint16(old))), e.widen(uint32(le.Uint16(new))))))
	}
}

// roundBF16 rounds to nearest even.
func roundBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return 0x7fff
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// roundF16 rounds to nearest even.
func roundF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	if x != x {
		return 0x7fff
	}
	exp, frac := int(b>>23&255)-127, b&0x7fffff|0x800000
	switch {
	case exp >= 16:
		return sign | 0x7c00
	case exp < -25:
		return sign
	}
	shift := 13
	if exp < -14 {
		shift += -14 - exp
		exp = -15
	}
	v := frac >> shift
	half, rest := uint32(1)<<(shift-1), frac&(1<<shift-1)
	if rest > half || rest == half && v&1 == 1 {
		v++
	}
	if exp == -15 {
		return sign | uint16(v)
	}
	return sign | uint16(uint32(exp+15)<<10+(v-1<<10))
}

// translateBulkPeer: cp{.reduce}.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes{.op.type} [dst], [src], size,
// [mbar]: from the block's own shared memory to that of another block of the cluster.
func translateBulkPeer(o *operands, reduce bool) op {
	if !o.has("mbarrier::complete_tx::bytes") || !o.want(4, 4) {
		return nil
	}
	var merge func(old, new []byte)
	element := 16
	if reduce {
		operation := o.one("add", "min", "max", "inc", "dec", "and", "or", "xor")
		if o.typ[0] == 'f' || o.typ == "bf16" || bits.Len(uint(typeBits(o.typ))) == 7 && operation+o.typ != "addu64" {
			o.fail("no reduction .%s of .%s in shared memory", operation, o.typ)
		}
		merge, element = mergers(operation, o.typ), typeBits(o.typ)/8
		if merge == nil {
			o.fail("no reduction .%s of .%s", operation, o.typ)
		}
	}
	dst, dstOff := o.addr(o.arg[0])
	src, srcOff := o.addr(o.arg[1])
	size := o.slotOf(2, "u32")
	bar, barOff := o.addr(o.arg[3])
	o.access(16)
	return func(w *warp, m uint32) {
		D, S, N, B := w.reg(dst), w.reg(src), w.reg(size), w.reg(bar)
		each(m, func(l int) {
			n := int(N[l])
			w.bulkSize(l, n)
			to, at := w.resolve(l, D[l]+dstOff, n, windowCluster)
			_, from := w.resolve(l, S[l]+srcOff, n, windowBlock)
			home, mb := w.barrierAt(l, B[l]+barOff, windowCluster)
			switch {
			case at%16 != 0 || from%16 != 0:
				faultf(l, "addresses %#x and %#x are not multiples of 16", at, from)
			case to == w.b:
				faultf(l, "the destination must be in the shared memory of another block")
			case home != to:
				faultf(l, "the mbarrier belongs to the block of rank %d, the destination to that of rank %d", home.rank, to.rank)
			}
			w.mustLive(l, to)
			w.useBarrier(l, to, mb)
			if !mb.visible {
				faultf(l, "%v of the block of rank %d was initialised without a fence.mbarrier_init or fence.proxy.async after it", mb, to.rank)
			}
			c := &bulkLoad{w: w, lane: l, line: w.run.k.code[w.pc].line, at: at, bytes: n, targets: []target{{to, mb, mb.phase}}}
			s := &bulkStore{w: w, lane: l, line: c.line, pc: uint32(w.pc), from: from, bytes: n}
			w.launchStore(s)
			w.launchBulk(c)
			w.later(l, func() {
				s.read()
				w.landStore(s)
				for i := 0; i < n; i += element {
					if d := to.shared[at+uint32(i):][:element]; merge != nil {
						merge(d, s.data[i:i+element])
					} else {
						copy(d, s.data[i:])
					}
				}
				c.finish()
			})
		})
		w.u.events++
	}
}
