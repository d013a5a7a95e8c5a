package kernels

func (c *checker) Copy(dst, src Tensor) {
	c.begin("Copy")
	c.present("dst", dst)
	c.present("src", src)
	c.that(dst.Rows() == src.Rows() && dst.Cols() == src.Cols(), "shapes %v and %v differ", dst.Shape, src.Shape)
	c.that(dst.DType == src.DType || dst.DType.Float() && (src.DType.Float() || src.DType == F16),
		"cannot convert %v to %v", src.DType, dst.DType)
	c.sole([]Tensor{dst}, nil, src)
}

func (c *checker) Fill(dst Tensor, v float32) {
	c.begin("Fill")
	c.arg("dst", dst, -1, -1, F32, BF16, I32)
}

func (c *checker) Add(z, x, y Tensor) {
	c.begin("Add")
	m, n := z.Rows(), z.Cols()
	c.float("z", z, m, n)
	c.float("x", x, m, n)
	c.float("y", y, m, n)
	c.sole([]Tensor{z}, []Tensor{x, y})
}

func (c *checker) Activate(y, x Tensor, f Activation) {
	c.begin("Activate")
	c.float("y", y, -1, -1)
	c.float("x", x, y.Rows(), y.Cols())
	c.that(f <= Tanh, "unknown activation %d", f)
	c.sole([]Tensor{y}, []Tensor{x})
}

func (c *checker) ActivateGrad(dx, dy, x Tensor, f Activation) {
	c.begin("ActivateGrad")
	m, n := dx.Rows(), dx.Cols()
	c.float("dx", dx, m, n)
	c.float("dy", dy, m, n)
	c.float("x", x, m, n)
	c.that(f <= Tanh, "unknown activation %d", f)
	c.sole([]Tensor{dx}, []Tensor{dy, x})
}

func (c *checker) SwiGLU(y, gate, up Tensor) {
	c.begin("SwiGLU")
	m, n := y.Rows(), y.Cols()
	c.float("y", y, m, n)
	c.float("gate", gate, m, n)
	c.float("up", up, m, n)
	c.sole([]Tensor{y}, []Tensor{gate, up})
}

func (c *checker) SwiGLUGrad(dgate, dup, dy, gate, up Tensor) {
	c.begin("SwiGLUGrad")
	m, n := dy.Rows(), dy.Cols()
	c.float("dgate", dgate, m, n)
	c.float("dup", dup, m, n)
	c.float("dy", dy, m, n)
	c.float("gate", gate, m, n)
	c.float("up", up, m, n)
	c.sole([]Tensor{dgate, dup}, []Tensor{dy, gate, up})
}

func (c *checker) Dropout(y, x, rng Tensor, p float32, site uint32, rows int) {
	c.begin("Dropout")
	c.float("y", y, -1, -1)
	c.float("x", x, y.Rows(), y.Cols())
	c.vec("rng", rng, RandomBlock, I32)
	c.that(p >= 0 && p < 1, "probability %g is not in [0,1)", p)
	c.that(rows > 0 && y.Rows()%max(rows, 1) == 0, "%d rows are not whole samples of %d", y.Rows(), rows)
	c.sole([]Tensor{y}, []Tensor{x}, rng)
}

func (c *checker) RoPE(y, x, table, pos Tensor, heads int, inverse bool) {
	c.begin("RoPE")
	m, d := y.Rows(), table.Cols()
	c.float("y", y, m, -1)
	c.float("x", x, m, y.Cols())
	c.f32("table", table, -1, -1)
	c.vec("pos", pos, m, I32)
	c.that(d%2 == 0 && heads >= 0 && heads*d <= y.Cols(), "%d heads of %d do not fit %d columns", heads, d, y.Cols())
	c.sole([]Tensor{y}, []Tensor{x}, table, pos)
}

func (c *checker) Softmax(y, x Tensor) {
	c.begin("Softmax")
	c.float("y", y, -1, -1)
	c.float("x", x, y.Rows(), y.Cols())
	c.sole([]Tensor{y}, []Tensor{x})
}

func (c *checker) SoftmaxGrad(dx, dy, y Tensor) {
	c.begin("SoftmaxGrad")
	m, n := dx.Rows(), dx.Cols()
	c.float("dx", dx, m, n)
	c.float("dy", dy, m, n)
	c.float("y", y, m, n)
	c.sole([]Tensor{dx}, []Tensor{dy}, y)
}

// finished checks the epilogue of a projection y of operands.
func (c *checker) finished(y Tensor, e Epilogue, operands ...Tensor) {
	m, n := y.Rows(), y.Cols()
	c.that(e.Act <= Tanh, "unknown activation %d", e.Act)
	if !e.Bias.Nil() {
		c.vec("bias", e.Bias, n, F32, BF16)
	}
	if !e.Pre.Nil() {
		c.float("pre", e.Pre, m, n)
	}
	if !e.Residual.Nil() {
		c.float("residual", e.Residual, m, n)
	}
	c.sole([]Tensor{y}, []Tensor{e.Residual})
	c.sole([]Tensor{y, e.Pre}, nil, append(operands, e.Bias)...)
	c.sole([]Tensor{e.Pre}, nil, e.Residual)
}

// finishedDX checks the epilogue of a projection's gradient dx.
func (c *checker) finishedDX(dx Tensor, e Epilogue, operands ...Tensor) {
	m, k := dx.Rows(), dx.Cols()
	c.that(e.Bias.Nil(), "bias must be absent")
	c.that((e.Act == NoActivation) == e.Pre.Nil() && e.Act <= Tanh, "activation and pre go together")
	if !e.Pre.Nil() {
		c.float("pre", e.Pre, m, k)
	}
	if !e.Residual.Nil() {
		c.float("residual", e.Residual, m, k)
	}
	c.sole([]Tensor{dx}, []Tensor{e.Pre, e.Residual}, operands...)
}

func (c *checker) Linear(y, x, w Tensor, e Epilogue) {
	c.begin("Linear")
	m, n, k := y.Rows(), y.Cols(), x.Cols()
	c.float("y", y, m, n)
	c.float("x", x, m, k)
	c.float("w", w, n, k)
	c.finished(y, e, x, w)
}

func (c *checker) LinearDX(dx, dy, w Tensor, e Epilogue) {
	c.begin("LinearDX")
	m, n, k := dx.Rows(), dy.Cols(), dx.Cols()
	c.float("dx", dx, m, k)
	c.float("dy", dy, m, n)
	c.float("w", w, n, k)
	c.finishedDX(dx, e, dy, w)
}

// quantised checks packed weights of (n,k).
func (c *checker) quantised(w, scales Tensor, q Quant, n, k int) {
	c.that(q <= Q8, "unknown quantisation %d", q)
	if q > Q8 {
		return
	}
	c.that(k%q.Block() == 0, "%d columns are not a multiple of the %d that share a scale in %v", k, q.Block(), q)
	c.arg("w", w, n, q.Width(k), U8)
	c.f32("scales", scales, n, k/q.Block())
}

func (c *checker) LinearQuant(y, x, w, scales Tensor, q Quant, e Epilogue) {
	c.begin("LinearQuant")
	m, n, k := y.Rows(), y.Cols(), x.Cols()
	c.float("y", y, m, n)
	c.float("x", x, m, k)
	c.quantised(w, scales, q, n, k)
	c.finished(y, e, x, w, scales)
}

func (c *checker) LinearQuantDX(dx, dy, w, scales Tensor, q Quant, e Epilogue) {
	c.begin("LinearQuantDX")
	m, n, k := dx.Rows(), dy.Cols(), dx.Cols()
	c.float("dx", dx, m, k)
	c.float("dy", dy, m, n)
	c.quantised(w, scales, q, n, k)
	c.finishedDX(dx, e, dy, w, scales)
}

func (c *checker) LinearDW(dw, dy, x Tensor, scale float32, accumulate bool) {
	c.begin("LinearDW")
	m, n, k := dy.Rows(), dy.Cols(), x.Cols()
	c.f32("dw", dw, n, k)
	c.float("dy", dy, m, n)
	c.float("x", x, m, k)
	c.sole([]Tensor{dw}, nil, dy, x)
}

func (c *checker) BiasGrad(db, dy Tensor, accumulate bool) {
	c.begin("BiasGrad")
	c.vec("db", db, dy.Cols(), F32)
	c.float("dy", dy, -1, -1)
	c.sole([]Tensor{db}, nil, dy)
}

func (c *checker) Embed(y, table, idx Tensor, accumulate bool) {
	c.begin("Embed")
	c.float("y", y, -1, -1)
	c.float("table", table, -1, y.Cols())
	c.vec("idx", idx, y.Rows(), I32)
	c.sole([]Tensor{y}, nil, table, idx)
}

func (c *checker) EmbedGrad(dtable, dy, idx Tensor, accumulate bool) {
	c.begin("EmbedGrad")
	c.f32("dtable", dtable, -1, dy.Cols())
	c.float("dy", dy, -1, -1)
	c.vec("idx", idx, dy.Rows(), I32)
	c.sole([]Tensor{dtable}, nil, dy, idx)
}

// norm checks what both normalisations share; b is absent in one.
func (c *checker) norm(y, sum, stats, x, r, w, b Tensor) (m, n int) {
	m, n = y.Rows(), y.Cols()
	c.float("y", y, m, n)
	c.float("x", x, m, n)
	c.vec("w", w, n, F32, BF16)
	c.that(r.Nil() == sum.Nil(), "r and sum go together")
	if !r.Nil() {
		c.float("r", r, m, n)
		c.float("sum", sum, m, n)
	}
	c.sole([]Tensor{y, sum, stats}, nil, w, b)
	c.sole([]Tensor{sum}, []Tensor{x, r})
	c.sole([]Tensor{y}, []Tensor{x}, r)
	c.sole([]Tensor{stats}, nil, x, r)
	return m, n
}

func (c *checker) LayerNorm(y, sum, stats, x, r, w, b Tensor, eps float32) {
	c.begin("LayerNorm")
	m, n := c.norm(y, sum, stats, x, r, w, b)
	c.vec("stats", stats, 2*m, F32)
	c.vec("b", b, n, F32, BF16)
}

func (c *checker) normGrad(dx, dw, db, dy, h, w, stats, residual Tensor) (m, n int) {
	m, n = dy.Rows(), dy.Cols()
	c.float("dy", dy, m, n)
	c.float("h", h, m, n)
	c.vec("w", w, n, F32, BF16)
	if !dx.Nil() {
		c.float("dx", dx, m, n)
	}
	if !residual.Nil() {
		c.float("residual", residual, m, n)
	}
	if !dw.Nil() {
		c.vec("dw", dw, n, F32)
	}
	if !db.Nil() {
		c.vec("db", db, n, F32)
	}
	c.sole([]Tensor{dx, dw, db}, nil, h, w, stats)
	c.sole([]Tensor{dx}, []Tensor{dy, residual})
	c.sole([]Tensor{dw, db}, nil, dy, residual)
	return m, n
}

func (c *checker) LayerNormGrad(dx, dw, db, dy, h, w, stats, residual Tensor, accumulate bool) {
	c.begin("LayerNormGrad")
	m, _ := c.normGrad(dx, dw, db, dy, h, w, stats, residual)
	c.vec("stats", stats, 2*m, F32)
}

func (c *checker) RMSNorm(y, sum, rstd, x, r, w Tensor, eps float32) {
	c.begin("RMSNorm")
	m, _ := c.norm(y, sum, rstd, x, r, w, Tensor{})
	c.vec("rstd", rstd, m, F32)
}

func (c *checker) RMSNormGrad(dx, dw, dy, h, w, rstd, residual Tensor, accumulate bool) {
	c.begin("RMSNormGrad")
	m, _ := c.normGrad(dx, dw, Tensor{}, dy, h, w, rstd, residual)
	c.vec("rstd", rstd, m, F32)
}

// attn checks the geometry and returns the extents.
func (c *checker) attn(q, k, v Tensor, a Attn) (qcols, kcols int) {
	c.that(a.Heads > 0 && a.KVHeads > 0 && a.HeadDim > 0 && a.Heads%max(a.KVHeads, 1) == 0,
		"%d heads over %d key-value heads of %d", a.Heads, a.KVHeads, a.HeadDim)
	qcols, kcols = a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	c.float("q", q, -1, qcols)
	c.float("k", k, -1, kcols)
	c.float("v", v, k.Rows(), kcols)
	return qcols, kcols
}

func (c *checker) sequences(q, k, lse, lo, hi Tensor, a Attn) {
	c.that(len(q.Shape) == 3 && len(k.Shape) == 3 && q.Shape[:2].Equal(k.Shape[:2]),
		"q %v and k %v must be (B,T,columns)", q.Shape, k.Shape)
	c.vec("lse", lse, q.Rows()*a.Heads, F32)
	if !lo.Nil() {
		c.vec("lo", lo, q.Rows(), I32)
	}
	if !hi.Nil() {
		c.vec("hi", hi, q.Rows(), I32)
	}
}

func (c *checker) Attention(o, lse, q, k, v, lo, hi Tensor, a Attn) {
	c.begin("Attention")
	qcols, _ := c.attn(q, k, v, a)
	c.float("o", o, q.Rows(), qcols)
	c.sequences(q, k, lse, lo, hi, a)
	c.sole([]Tensor{o, lse}, nil, q, k, v, lo, hi)
}

func (c *checker) AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi Tensor, a Attn) {
	c.begin("AttentionGrad")
	qcols, kcols := c.attn(q, k, v, a)
	m := q.Rows()
	c.float("o", o, m, qcols)
	c.float("do", do, m, qcols)
	c.float("dq", dq, m, qcols)
	c.float("dk", dk, m, kcols)
	c.float("dv", dv, m, kcols)
	c.vec("delta", delta, m*a.Heads, F32)
	c.sequences(q, k, lse, lo, hi, a)
	c.sole([]Tensor{dq, dk, dv, delta}, nil, do, o, lse, q, k, v, lo, hi)
}

func (c *checker) head(logits, x, w, bias, target Tensor, vocab int) (m int) {
	m = x.Rows()
	c.float("x", x, m, -1)
	c.float("w", w, -1, x.Cols())
	c.f32("logits", logits, -1, w.Rows())
	c.that(logits.Rows() > 0, "logits has no rows")
	c.vec("target", target, m, I32)
	c.that(vocab > 0 && vocab <= w.Rows(), "vocabulary of %d with a head of %d rows", vocab, w.Rows())
	if !bias.Nil() {
		c.vec("bias", bias, w.Rows(), F32, BF16)
	}
	return m
}

func (c *checker) headOut(m int, logp, lse, entropy Tensor) {
	c.vec("logp", logp, m, F32)
	c.vec("lse", lse, m, F32)
	if !entropy.Nil() {
		c.vec("entropy", entropy, m, F32)
	}
}

func (c *checker) headGrad(m int, dx, dw, dbias, dlogp, dlse, x, w Tensor) {
	c.vec("dlogp", dlogp, m, F32)
	if !dlse.Nil() {
		c.vec("dlse", dlse, m, F32)
	}
	if !dx.Nil() {
		c.float("dx", dx, m, x.Cols())
	}
	if !dw.Nil() {
		c.f32("dw", dw, w.Rows(), w.Cols())
	}
	if !dbias.Nil() {
		c.vec("dbias", dbias, w.Rows(), F32)
	}
}

func (c *checker) LinearLogProb(logp, lse, entropy, logits, x, w, bias, target Tensor, vocab int) {
	c.begin("LinearLogProb")
	m := c.head(logits, x, w, bias, target, vocab)
	c.headOut(m, logp, lse, entropy)
	c.sole([]Tensor{logp, lse, entropy, logits}, nil, x, w, bias, target)
}

func (c *checker) LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse Tensor, vocab int, accumulate bool) {
	c.begin("LinearLogProbGrad")
	m := c.head(logits, x, w, bias, target, vocab)
	c.vec("lse", lse, m, F32)
	c.headGrad(m, dx, dw, dbias, dlogp, dlse, x, w)
	c.sole([]Tensor{dx, dw, dbias, logits}, nil, dlogp, dlse, x, w, bias, target, lse)
}

func (c *checker) LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target Tensor,
	vocab int, accumulate bool) {
	c.begin("LinearLogProbBoth")
	m := c.head(logits, x, w, bias, target, vocab)
	c.headOut(m, logp, lse, entropy)
	c.headGrad(m, dx, dw, dbias, dlogp, dlse, x, w)
	c.sole([]Tensor{logp, lse, entropy, dx, dw, dbias, logits}, nil, dlogp, dlse, x, w, bias, target)
}

func (c *checker) GradNorm(control, g Tensor, limit float32) {
	c.begin("GradNorm")
	c.vec("control", control, ControlSize, F32)
	c.f32("g", g, -1, -1)
	c.that(limit >= 0, "limit %g is negative", limit)
	c.sole([]Tensor{control}, nil, g)
}

func (c *checker) weights(w, master Tensor) {
	c.float("w", w, -1, -1)
	c.that((w.DType == F32) == master.Nil(), "an F32 weight has no master, a BF16 weight has one")
	if !master.Nil() {
		c.f32("master", master, w.Rows(), w.Cols())
	}
}

func (c *checker) AdamW(w, master, m, v, g, control Tensor, p AdamW) {
	c.begin("AdamW")
	c.weights(w, master)
	for _, t := range []Tensor{m, v, g} {
		c.f32("a moment or gradient", t, w.Rows(), w.Cols())
	}
	c.vec("control", control, ControlSize, F32)
	c.sole([]Tensor{w, master, m, v}, nil, g, control)
}

func (c *checker) Muon(w, master, mom, g, scratch, control Tensor, p Muon) {
	c.begin("Muon")
	c.weights(w, master)
	c.f32("mom", mom, w.Rows(), w.Cols())
	c.f32("g", g, w.Rows(), w.Cols())
	c.f32("scratch", scratch, -1, -1)
	c.that(scratch.Size() >= MuonScratch(w.Rows(), w.Cols()), "scratch has %d elements, want %d", scratch.Size(),
		MuonScratch(w.Rows(), w.Cols()))
	c.vec("control", control, ControlSize, F32)
	c.sole([]Tensor{w, master, mom, scratch}, nil, g, control)
}

func (c *checker) KVAppend(kcache, vcache, k, v, slot Tensor) {
	c.begin("KVAppend")
	c.float("kcache", kcache, -1, k.Cols())
	c.float("vcache", vcache, kcache.Rows(), k.Cols())
	c.float("k", k, -1, -1)
	c.float("v", v, k.Rows(), k.Cols())
	c.vec("slot", slot, k.Rows(), I32)
	c.sole([]Tensor{kcache, vcache}, nil, k, v, slot)
}

func (c *checker) PagedAttention(o, q, kcache, vcache, table, seq, pos Tensor, page int, a Attn) {
	c.begin("PagedAttention")
	qcols, _ := c.attn(q, kcache, vcache, a)
	c.float("o", o, q.Rows(), qcols)
	c.i32("table", table, -1, -1)
	c.vec("seq", seq, q.Rows(), I32)
	c.vec("pos", pos, q.Rows(), I32)
	c.that(page > 0 && kcache.Rows()%max(page, 1) == 0, "%d cache rows are not whole pages of %d", kcache.Rows(), page)
	c.sole([]Tensor{o}, nil, q, kcache, vcache, table, seq, pos)
}

func (c *checker) Sample(next, logp, logits, params, seen Tensor, vocab int) {
	c.begin("Sample")
	b := logits.Rows()
	c.f32("logits", logits, b, -1)
	c.vec("next", next, b, I32)
	c.vec("logp", logp, b, F32)
	c.f32("params", params, b, SampleParams)
	c.that(vocab > 0 && vocab <= logits.Cols(), "vocabulary of %d with %d logits", vocab, logits.Cols())
	if !seen.Nil() {
		c.arg("seen", seen, b, logits.Cols(), U8)
	}
	c.sole([]Tensor{next, logp}, nil, logits, params, seen)
}

var _ Backend = (*checker)(nil)
