package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/vec"
)

// head is the language-model head: logits of a chunk of rows at a time, then row by row the statistics and, in place,
// the gradient of the logits.
type head struct {
	b                    *Backend
	logits, x, w, bias   matrix
	dx, dw, dbias        matrix
	dlogp, dlse          []float32
	logp, lse, entropy   []float32
	target               []int32
	vocab                int
	stats, grad, written bool // what the pass computes; whether dw and dbias hold a chunk already
	half                 bool // the gradient of the logits is BF16
	rows                 []int32
}

// set keeps the arguments that all three operations have.
func (p *head) set(logits, x, w, bias, target kernels.Tensor, vocab int) {
	p.logits, p.x, p.w, p.bias = view(logits), view(x), view(w), vector(bias)
	p.target, p.vocab = ints(target), vocab
	p.half = p.x.dtype == kernels.BF16 && p.w.dtype == kernels.BF16
}

// setGrad keeps the arguments of the gradient.
func (p *head) setGrad(dx, dw, dbias, dlogp, dlse kernels.Tensor, accumulate bool) {
	p.dx, p.dw, p.dbias, p.dlogp, p.dlse = view(dx), view(dw), vector(dbias), floats(dlogp), floats(dlse)
	p.written = accumulate
}

// cotangents of row i. That of a log-probability which is 0 by definition counts for nothing.
func (p *head) cotangents(i int) (dlogp, dlse float32) {
	if p.target[i] >= 0 {
		dlogp = p.dlogp[i]
	}
	if p.dlse != nil {
		dlse = p.dlse[i]
	}
	return dlogp, dlse
}

// Do computes the statistics and the gradient of row r of the chunk.
func (p *head) Do(worker, r int) {
	s := p.b.scratch[worker].reset()
	i := int(p.rows[r])
	z := p.logits.f32(r, 0, p.vocab)
	e := z // exp(z - shift)
	if p.half || p.stats && p.entropy != nil {
		e = s.floats(p.vocab)
	}
	var shift, sum, picked float32
	target := p.target[i]
	if target >= 0 {
		picked = z[target]
	}
	if p.stats {
		shift = vec.Max(z)
		sum = vec.ExpSum(e, z, shift)
		lse := shift + float32(math.Log(float64(sum)))
		p.lse[i], p.logp[i] = lse, 0
		if target >= 0 {
			p.logp[i] = picked - lse
		}
		if p.entropy != nil {
			p.entropy[i] = lse - vec.Dot(e, z)/sum
		}
	} else {
		shift, sum = p.lse[i], 1
		vec.ExpSum(e, z, shift)
	}
	if !p.grad {
		return
	}
	dlogp, dlse := p.cotangents(i)
	vec.Scale(e, (dlse-dlogp)/sum, e)
	if target >= 0 {
		e[target] += dlogp
	}
	if p.half {
		d := p.dlogits(r + 1)
		vec.Narrow(d.bf16(r, 0, p.vocab), e)
	} else if p.stats && p.entropy != nil {
		copy(z, e)
	}
}

// dlogits is the gradient of the logits of the first n rows. BF16 lies in the first half of each row of F32.
func (p *head) dlogits(n int) matrix {
	d := p.logits.block(0, n, 0, p.vocab)
	if p.half {
		d.dtype, d.stride = kernels.BF16, 2*d.stride
	}
	return d
}

// pass processes the rows listed, as many at a time as logits has.
func (p *head) pass(rows []int32) {
	for len(rows) > 0 {
		n := min(len(rows), p.logits.rows)
		p.rows, rows = rows[:n], rows[n:]
		p.chunk(n)
	}
}

// chunk processes the n rows of p.rows. Rows that do not follow each other are gathered.
func (p *head) chunk(n int) {
	g, s, c := p.b.gemm, p.b.shared.used, p.x.cols
	first := int(p.rows[0])
	together := int(p.rows[n-1]) == first+n-1
	x, dx := p.x.block(first, min(first+n, p.x.rows), 0, c), p.dx
	if !together {
		x = p.gather(n)
	}
	var bias gemm.Epilogue
	if !p.bias.absent() {
		p.b.product = product{b: p.b, bias: p.bias}
		bias = &p.b.product
	}
	g.Mul(gemm.NT, n, p.vocab, c, 1, x.operand(), p.w.operand(), p.logits.operand(), false, bias)
	p.b.run(n, 8*n*p.vocab, p)
	if p.grad {
		d := p.dlogits(n)
		if !dx.absent() {
			if together {
				dx = dx.block(first, first+n, 0, c)
			} else {
				dx = p.room(n, c, dx.dtype)
			}
			g.Mul(gemm.NN, n, c, p.vocab, 1, d.operand(), p.w.operand(), dx.operand(), false, nil)
			for r := 0; !together && r < n; r++ {
				copy(p.dx.bytes(int(p.rows[r])), dx.bytes(r))
			}
		}
		if !p.dw.absent() {
			g.Mul(gemm.TN, p.vocab, c, n, 1, d.operand(), x.operand(), p.dw.operand(), p.written, nil)
		}
		if !p.dbias.absent() {
			p.b.stripes.start(p.dbias.f32(0, 0, p.vocab), d, p.written)
		}
		p.written = true
	}
	p.b.shared.used = s
}

// room is shared scratch for a matrix.
func (p *head) room(rows, cols int, dtype kernels.DType) matrix {
	m := dense32(p.b.shared.floats(rows*cols), rows, cols)
	m.dtype = dtype
	return m
}

// gather copies the rows listed next to each other.
func (p *head) gather(n int) matrix {
	x := p.room(n, p.x.cols, p.x.dtype)
	for r, i := range p.rows {
		copy(x.bytes(r), p.x.bytes(int(i)))
	}
	return x
}

// split lists the rows whose cotangents are not all 0, and the others.
func (p *head) split() (active, idle []int32) {
	m := p.x.rows
	list := p.b.shared.reset().ints(m)
	a, z := 0, m
	for i := range m {
		if dlogp, dlse := p.cotangents(i); dlogp != 0 || dlse != 0 {
			list[a] = int32(i)
			a++
		}
	}
	for i := m - 1; i >= 0; i-- {
		if dlogp, dlse := p.cotangents(i); dlogp == 0 && dlse == 0 {
			z--
			list[z] = int32(i)
		}
	}
	return list[:a], list[a:]
}

// finish clears what no row contributed to.
func (p *head) finish(idle []int32, accumulate bool) {
	if !p.dx.absent() {
		for _, i := range idle {
			clear(p.dx.bytes(int(i)))
		}
	}
	if accumulate {
		return
	}
	from := p.vocab
	if !p.written {
		from = 0
	}
	if !p.dw.absent() {
		for i := from; i < p.dw.rows; i++ {
			clear(p.dw.bytes(i))
		}
	}
	if !p.dbias.absent() {
		clear(p.dbias.f32(0, from, p.dbias.cols))
	}
}

// LinearLogProb computes log-probabilities without keeping the logits.
func (b *Backend) LinearLogProb(logp, lse, entropy, logits, x, w, bias, target kernels.Tensor, vocab int) {
	p := &b.head
	p.set(logits, x, w, bias, target, vocab)
	p.logp, p.lse, p.entropy, p.stats, p.grad = floats(logp), floats(lse), floats(entropy), true, false
	list := b.shared.reset().ints(p.x.rows)
	for i := range list {
		list[i] = int32(i)
	}
	p.pass(list)
}

// LinearLogProbGrad is the gradient of LinearLogProb.
func (b *Backend) LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse kernels.Tensor, vocab int,
	accumulate bool) {
	p := &b.head
	p.set(logits, x, w, bias, target, vocab)
	p.setGrad(dx, dw, dbias, dlogp, dlse, accumulate)
	p.lse, p.stats, p.grad = floats(lse), false, true
	active, idle := p.split()
	p.pass(active)
	p.finish(idle, accumulate)
}

// LinearLogProbBoth is LinearLogProb and LinearLogProbGrad in one.
func (b *Backend) LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias,
	target kernels.Tensor, vocab int, accumulate bool) {
	p := &b.head
	p.set(logits, x, w, bias, target, vocab)
	p.setGrad(dx, dw, dbias, dlogp, dlse, accumulate)
	p.logp, p.lse, p.entropy, p.stats, p.grad = floats(logp), floats(lse), floats(entropy), true, true
	active, idle := p.split()
	p.pass(active)
	p.grad = false
	p.pass(idle)
	p.finish(idle, accumulate)
}
