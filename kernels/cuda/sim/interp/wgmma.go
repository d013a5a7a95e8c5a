package interp

import (
	"fmt"
	"strconv"
	"strings"
)

func init() { families["wgmma"] = translateWgmma }

// wgmmaInstr is what a wgmma.mma_async says in its text.
type wgmmaInstr struct {
	d              []int // accumulators: 4 for each 8 columns
	a              []int // registers of the left operand, nil if it is in shared memory
	aDesc, bDesc   int
	scale          int // predicate: add to the accumulators
	scaleNeg       bool
	elem           element
	negA, negB     bool
	transA, transB bool
	columns        int
}

// product is one wgmma of a warpgroup. Its four warps issue it one after the other; it is computed when the first of them
// waits for it, and every warp's accumulators change when that warp waits: as late as the program allows.
type product struct {
	in           *wgmmaInstr
	pc           int
	serial       int
	aDesc, bDesc uint64
	scale        bool
	issued       uint8 // warps of the group that have issued it
	landed       uint8 // and that have its result
	am, bm       matrixDesc
	decoded      bool
	a            [4]fragA // if it is in shared memory
	b            []fragB
	needs        []access // for the checker: the asynchronous writes that it reads
	ordinary     bool     // and that there are others
}

// warpgroup is what four warps have in common.
type warpgroup struct {
	first int // serial number of the oldest product
	sound []soundDesc
	actor int // component of the clocks
	ops   []*product
	free  []*product
}

// soundDesc is what of a descriptor decides whether its layout is sound, and has been found to be.
type soundDesc struct {
	strides uint64
	majorMN bool
	rows    int
	plain   []uint32 // the places of its chunks
}

// check refuses descriptors whose layout makes no sense.
func (g *warpgroup) check(d uint64, m *matrixDesc, rows int) error {
	for i := range g.sound {
		if s := &g.sound[i]; s.strides == d>>16 && s.majorMN == m.majorMN && s.rows == rows {
			m.plain = s.plain
			return nil
		}
	}
	if err := m.check(rows); err != nil {
		return fmt.Errorf("matrix descriptor %#016x: %w", d, err)
	}
	m.plain = m.offsets(rows)
	g.sound = append(g.sound, soundDesc{d >> 16, m.majorMN, rows, m.plain})
	return nil
}

// products are the wgmma of a warp that are under way.
type products struct {
	serial    int // of the next one
	committed int // groups
	flying    []flyingProduct
	fences    int
}

type flyingProduct struct {
	p     *product
	group int
}

// translateWgmma: wgmma.fence, commit_group, wait_group and mma_async, all .sync.aligned.
func translateWgmma(o *operands) op {
	if !o.has("sync.aligned") {
		o.fail(".sync.aligned expected")
		return nil
	}
	switch {
	case o.has("fence"):
		o.want(0, 0)
		return func(w *warp, m uint32) {
			w.inWarpgroup(m)
			w.ext.products.fences++
			w.fenceRegisters()
		}
	case o.has("commit_group"):
		o.want(0, 0)
		return func(w *warp, m uint32) {
			w.inWarpgroup(m)
			w.ext.products.committed++
		}
	case o.has("wait_group"):
		o.want(1, 1)
		n := o.imm(0)
		if n < 0 {
			o.fail("%d groups", n)
		}
		o.in.kind = waits
		return func(w *warp, m uint32) {
			w.inWarpgroup(m)
			w.landProducts(n)
		}
	case o.has("mma_async"):
		return translateProduct(o)
	}
	return nil
}

// translateProduct: wgmma.mma_async.sync.aligned.m64nNk16.f32.TYPE.TYPE d, a-desc | {a}, b-desc, scale-d, imm-scale-a,
// imm-scale-b{, imm-trans-a}, imm-trans-b with TYPE bf16 or f16.
func translateProduct(o *operands) op {
	in := &wgmmaInstr{}
	for i, part := range o.part {
		if n, ok := strings.CutPrefix(part, "m64n"); ok {
			n, _ = strings.CutSuffix(n, "k16")
			in.columns, _ = strconv.Atoi(n)
			o.used[i] = true
			if part != "m64n"+strconv.Itoa(in.columns)+"k16" || in.columns%8 != 0 || in.columns < 8 || in.columns > 256 {
				o.fail("shape %s: m64nNk16 with N a multiple of 8 up to 256 expected", part)
			}
		}
	}
	switch {
	case o.has("f32.bf16.bf16"):
		in.elem = elemBF16
	case o.has("f32.f16.f16"):
		in.elem = elemF16
	default:
		return nil
	}
	fromRegisters := len(o.arg) > 1 && strings.HasPrefix(o.arg[1], "{")
	n := 8
	if fromRegisters {
		n = 7
	}
	if !o.want(n, n) {
		return nil
	}
	in.d = o.list(o.arg[0], "f32")
	if fromRegisters {
		in.a = o.list(o.arg[1], "b32")
		if len(in.a) != 4 {
			o.fail("%d registers of the left operand: 4 expected", len(in.a))
		}
	} else {
		in.aDesc = o.slotOf(1, "b64")
	}
	in.bDesc = o.slotOf(2, "b64")
	in.scale, in.scaleNeg = o.pred(o.arg[3])
	flag := func(i, no, yes int) bool {
		v := o.imm(i)
		if v != no && v != yes {
			o.fail("operand %d is %d: %d or %d expected", i+1, v, no, yes)
		}
		return v == yes
	}
	in.negA, in.negB = flag(4, 1, -1), flag(5, 1, -1)
	if fromRegisters {
		in.transB = flag(6, 0, 1)
	} else {
		in.transA, in.transB = flag(6, 0, 1), flag(7, 0, 1)
	}
	if o.err == nil && len(in.d) != in.columns/2 {
		o.fail("%d accumulators for %d columns: %d expected", len(in.d), in.columns, in.columns/2)
	}
	seen := map[int]bool{}
	for _, s := range in.d {
		if seen[s] {
			o.fail("an accumulator appears twice")
		}
		seen[s] = true
	}
	for _, s := range in.a {
		if seen[s] {
			o.fail("a register is both an accumulator and the left operand")
		}
	}
	return func(w *warp, m uint32) { w.issueProduct(in, m) }
}

// inWarpgroup faults unless all lanes of a warp of a whole warpgroup take part.
func (w *warp) inWarpgroup(m uint32) {
	if m != full {
		faultf(-1, "executed by lanes %#08x: all threads of the warpgroup must take part", m)
	}
	if w.id|3 >= len(w.b.warps) || w.b.threads < (w.id|3)*32+32 {
		faultf(-1, "warp %d does not belong to a whole warpgroup: the block has %d threads", w.id, w.b.threads)
	}
}

// group is the warp's warpgroup.
func (w *warp) group() *warpgroup {
	if w.b.ext.groups == nil {
		w.b.ext.groups = make([]warpgroup, len(w.b.warps)/4+1)
	}
	return &w.b.ext.groups[w.id/4]
}

// uniform is the value of a register that must be the same in all lanes.
func (w *warp) uniform(slot int, what string) uint64 {
	r := w.reg(slot)
	for l, v := range r {
		if v != r[0] {
			faultf(l, "the %s differs between lanes: %#x and %#x", what, r[0], v)
		}
	}
	return r[0]
}

// issueProduct begins a wgmma.
func (w *warp) issueProduct(in *wgmmaInstr, m uint32) {
	w.inWarpgroup(m)
	x := &w.ext.products
	if x.fences == 0 {
		faultf(-1, "the first wgmma.mma_async of a warp needs a wgmma.fence before it")
	}
	scale := w.pred(in.scale, in.scaleNeg)
	if scale != 0 && scale != full {
		faultf(-1, "the predicate scale-d differs between lanes: %#08x", scale)
	}
	p := product{in: in, pc: w.pc, bDesc: w.uniform(in.bDesc, "descriptor of B"), scale: scale != 0}
	g := w.group()
	var err error
	if p.bm, err = decodeMatrix(p.bDesc, in.transB); err == nil {
		err = g.check(p.bDesc, &p.bm, in.columns)
	}
	if err != nil {
		faultf(-1, "B: %v", err)
	}
	if in.a == nil {
		p.aDesc = w.uniform(in.aDesc, "descriptor of A")
		if p.am, err = decodeMatrix(p.aDesc, in.transA); err == nil {
			err = g.check(p.aDesc, &p.am, 64)
		}
		if err != nil {
			faultf(-1, "A: %v", err)
		}
	}
	serial := x.serial
	i := serial - g.first
	x.serial++
	if i == len(g.ops) {
		g.ops = append(g.ops, g.take())
		q := g.ops[i]
		q.in, q.pc, q.aDesc, q.bDesc, q.scale, q.am, q.bm = p.in, p.pc, p.aDesc, p.bDesc, p.scale, p.am, p.bm
		q.serial, q.issued, q.landed, q.decoded = serial, 0, 0, false
	}
	q := g.ops[i]
	switch {
	case q.pc != p.pc:
		faultf(-1, "the warps of a warpgroup execute different instructions: another one's wgmma is at line %d", w.run.k.code[q.pc].line)
	case q.aDesc != p.aDesc || q.bDesc != p.bDesc:
		faultf(-1, "descriptors differ between the warps of a warpgroup: A %#x and %#x, B %#x and %#x", p.aDesc, q.aDesc, p.bDesc, q.bDesc)
	case q.scale != p.scale:
		faultf(-1, "the predicate scale-d differs between the warps of a warpgroup")
	}
	q.issued |= 1 << (w.id & 3)
	x.flying = append(x.flying, flyingProduct{q, x.committed})
	w.u.events++
	w.issueReads(q)
	w.holdRegisters(q)
}

func (g *warpgroup) take() *product {
	if n := len(g.free); n > 0 {
		p := g.free[n-1]
		g.free = g.free[:n-1]
		return p
	}
	return &product{}
}

// landProducts waits for all groups of products but the last n. A product is complete only when all warps have issued it.
func (w *warp) landProducts(n int) {
	x := &w.ext.products
	count := 0
	for _, f := range x.flying {
		if f.group >= x.committed-n {
			break
		}
		if f.p.issued != 15 {
			w.ext.waiting = waitingFor{text: " until all warps of the warpgroup have issued the wgmma" + w.run.lineOf(uint32(f.p.pc))}
			w.yield, w.again = true, true
			return
		}
		count++
	}
	w.ext.waiting = waitingFor{}
	for _, f := range x.flying[:count] {
		w.releaseRegisters(f.p)
		w.landProduct(f.p)
	}
	if count > 0 {
		w.u.events++
		x.flying = append(x.flying[:0], x.flying[count:]...)
	}
}

// landProduct adds a product to the warp's accumulators.
func (w *warp) landProduct(p *product) {
	in := p.in
	if !p.decoded {
		p.decode(w)
	}
	a := &p.a[w.id&3]
	if in.a != nil {
		a = new(fragA)
		var regs [4]*lanes
		for i, s := range in.a {
			regs[i] = w.reg(s)
		}
		a.registers(in.elem, regs[:])
		if in.negA {
			a.negate()
		}
	}
	block := mmaBlock{a: a, groups: 2, zero: !p.scale}
	for i := range p.b {
		for j := range 4 {
			r := w.reg(in.d[4*i+j])
			block.d[j], block.c[j] = r, r
		}
		block.b = &p.b[i]
		block.run()
	}
	p.landed |= 1 << (w.id & 3)
	g := w.group()
	w.learn(g.actor, uint32(p.serial+1))
	for len(g.ops) > 0 && g.ops[0].landed == 15 {
		g.free = append(g.free, g.ops[0])
		g.ops = append(g.ops[:0], g.ops[1:]...)
		g.first++
	}
}

// decode reads the operands from shared memory.
func (p *product) decode(w *warp) {
	in := p.in
	if cap(p.b) < in.columns/8 {
		p.b = make([]fragB, in.columns/8)
	}
	p.b = p.b[:in.columns/8]
	if err := p.bm.fragmentsB(w.b.shared, in.elem, in.columns, in.negB, p.b); err != nil {
		faultf(-1, "B: %v", err)
	}
	if in.a == nil {
		if err := p.am.fragmentsA(w.b.shared, in.elem, in.negA, &p.a); err != nil {
			faultf(-1, "A: %v", err)
		}
	}
	p.decoded = true
	w.finishReads(p)
}

// negate changes the sign of all elements.
func (a *fragA) negate() {
	for i := range a {
		for h := range a[i] {
			for l, v := range a[i][h] {
				a[i][h][l] = -v
			}
		}
	}
}
