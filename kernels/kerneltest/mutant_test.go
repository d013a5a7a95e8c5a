package kerneltest

import (
	"encoding/binary"
	"errors"
	"slices"

	"forja/kernels"
)

// A mutant is a good backend with one bug, named in planted.
type mutant struct {
	kernels.Backend
	bug  string
	held []kernels.Buffer // freed by Sync
}

var absent kernels.Tensor

// is reports whether the mutant has the bug.
func (b *mutant) is(bug string) bool { return b.bug == bug }

// but is a if the mutant has the bug, and else what is right.
func but[T any](b *mutant, bug string, a, right T) T {
	if b.is(bug) {
		return a
	}
	return right
}

// room is a tensor of the mutant's own.
func (b *mutant) room(d kernels.DType, shape kernels.Shape) kernels.Tensor {
	buf, err := b.Backend.Alloc(max(shape.Size()*d.Size(), 1))
	if err != nil {
		panic(err)
	}
	b.held = append(b.held, buf)
	return kernels.New(buf, d, shape...)
}

func (b *mutant) read(t kernels.Tensor) []byte {
	x := make([]byte, t.Size()*t.DType.Size())
	b.Backend.Download(x, t)
	if err := b.Backend.Sync(); err != nil {
		panic(err)
	}
	return x
}

// edited is a copy of a tensor with f done to its values. An absent one stays absent.
func (b *mutant) edited(t kernels.Tensor, f func(i int, v float64) float64) kernels.Tensor {
	if t.Nil() {
		return t
	}
	x, size := b.read(t), t.DType.Size()
	for i := range t.Size() {
		encode(x[i*size:], t.DType, f(i, decode(x[i*size:], t.DType)))
	}
	c := b.room(t.DType, t.Shape)
	b.Backend.Upload(c, x)
	return c
}

// editedIf is edited if the mutant has the bug.
func (b *mutant) editedIf(bug string, t kernels.Tensor, f func(i int, v float64) float64) kernels.Tensor {
	if b.is(bug) {
		return b.edited(t, f)
	}
	return t
}

// spared is the tensor without its last row, if that leaves one.
func spared(t kernels.Tensor) kernels.Tensor {
	if t.Nil() || t.Rows() < 2 {
		return t
	}
	return t.RowRange(0, t.Rows()-1)
}

// narrowed is the tensor without its last column.
func narrowed(t kernels.Tensor) kernels.Tensor {
	if t.Nil() || t.Cols() < 2 {
		return t
	}
	return t.Columns(0, t.Cols()-1)
}

// truncated makes f compute a BF16 output in F32 and cuts the rest off.
func (b *mutant) truncated(y kernels.Tensor, f func(y kernels.Tensor)) {
	if y.DType != kernels.BF16 || y.Size() == 0 {
		f(y)
		return
	}
	wide := b.room(kernels.F32, y.Shape)
	f(wide)
	x, h := b.read(wide), make([]byte, 2*y.Size())
	for i := range y.Size() {
		binary.NativeEndian.PutUint16(h[2*i:], uint16(binary.NativeEndian.Uint32(x[4*i:])>>16))
	}
	b.Backend.Upload(y, h)
}

func (b *mutant) Info() kernels.Info {
	i := b.Backend.Info()
	i.Kind = but(b, "no kind", "", i.Kind)
	return i
}

func (b *mutant) Alloc(n int) (kernels.Buffer, error) {
	switch {
	case b.is("a byte more"):
		n++
	case b.is("what there is") && n > 1<<40:
		n = 1
	}
	buf, err := b.Backend.Alloc(n)
	if err != nil && b.is("silent about the size") {
		err = errors.New("out of memory")
	}
	return buf, err
}

func (b *mutant) Free(buf kernels.Buffer) {
	if !b.is("never") {
		b.Backend.Free(buf)
	}
}

func (b *mutant) Usage() kernels.Usage {
	u := b.Backend.Usage()
	u.Peak = but(b, "no peak", u.Now, u.Peak)
	return u
}

func (b *mutant) Upload(t kernels.Tensor, src []byte) {
	if b.is("rows together") {
		t.Stride = t.Cols()
	}
	b.Backend.Upload(t, src)
}

func (b *mutant) Download(dst []byte, t kernels.Tensor) {
	if b.is("rows together") {
		t.Stride = t.Cols()
	}
	b.Backend.Download(dst, t)
}

func (b *mutant) Sync() error {
	for _, buf := range b.held {
		b.Backend.Free(buf)
	}
	b.held = nil
	return but(b, "an error from nowhere", errors.New("launch failed"), b.Backend.Sync())
}

func (b *mutant) Close() error {
	return but(b, "an error from nowhere", errors.New("launch failed"), b.Backend.Close())
}

func (b *mutant) Copy(dst, src kernels.Tensor) {
	switch {
	case b.is("truncates") && src.DType == kernels.F32:
		b.truncated(dst, func(y kernels.Tensor) { b.Backend.Copy(y, src) })
	case b.is("a row less"):
		b.Backend.Copy(spared(dst), spared(src))
	case b.is("denormals of f16 are zero") && src.DType == kernels.F16 && dst.DType != kernels.F16:
		b.Backend.Copy(dst, src)
		b.Backend.Copy(dst, b.edited(dst, func(_ int, v float64) float64 { return v * nonzero(v*v >= 0x1p-28) }))
	default:
		b.Backend.Copy(dst, src)
	}
}

// nonzero is 1 for true.
func nonzero(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (b *mutant) Fill(dst kernels.Tensor, v float32) {
	if b.is("rounds integers") && dst.DType == kernels.I32 && v < 0 {
		v--
	}
	if b.is("a row more") && dst.Size() > 0 {
		dst = kernels.Tensor{Buf: dst.Buf, Off: dst.Off, Shape: kernels.Shape{dst.Rows() + 1, dst.Cols()}, Stride: dst.Stride, DType: dst.DType}
		if _, hi := dst.Off, dst.Off+dst.Rows()*dst.Stride; hi*dst.DType.Size() > dst.Buf.Size() {
			dst = spared(dst)
		}
	}
	b.Backend.Fill(dst, v)
}

func (b *mutant) Add(z, x, y kernels.Tensor) {
	switch {
	case b.is("truncates") && z.Buf != x.Buf && z.Buf != y.Buf:
		b.truncated(z, func(z kernels.Tensor) { b.Backend.Add(z, x, y) })
	case b.is("a row less"):
		b.Backend.Add(spared(z), spared(x), spared(y))
	default:
		b.Backend.Add(z, x, but(b, "twice the first", x, y))
	}
}

func (b *mutant) Activate(y, x kernels.Tensor, f kernels.Activation) {
	if f == kernels.GELU {
		f = but(b, "one gelu for the other", kernels.GELUErf, f)
	}
	b.Backend.Activate(narrowedIf(b, y), narrowedIf(b, x), f)
}

// narrowedIf is the tensor without its last column, if the bug is "a column less".
func narrowedIf(b *mutant, t kernels.Tensor) kernels.Tensor {
	return but(b, "a column less", narrowed(t), t)
}

func (b *mutant) ActivateGrad(dx, dy, x kernels.Tensor, f kernels.Activation) {
	if f == kernels.GELU {
		f = but(b, "one gelu for the other", kernels.GELUErf, f)
	}
	b.Backend.ActivateGrad(narrowedIf(b, dx), narrowedIf(b, dy), narrowedIf(b, x), f)
}

func (b *mutant) SwiGLU(y, gate, up kernels.Tensor) {
	if b.is("gate and up swapped") {
		gate, up = up, gate
	}
	b.Backend.SwiGLU(narrowedIf(b, y), narrowedIf(b, gate), narrowedIf(b, up))
}

func (b *mutant) SwiGLUGrad(dgate, dup, dy, gate, up kernels.Tensor) {
	if b.is("gradients swapped") {
		dgate, dup = dup, dgate
	}
	b.Backend.SwiGLUGrad(dgate, dup, dy, b.editedIf("gate off by 1e-4", gate, func(_ int, v float64) float64 { return v * 1.0001 }), up)
}

func (b *mutant) Dropout(y, x, rng kernels.Tensor, p float32, site uint32, rows int) {
	rng = b.editedIf("seed swapped", rng, func(i int, v float64) float64 { return v + float64(i%2) })
	b.Backend.Dropout(y, x, rng, but(b, "keeps more", p*0.999, p), but(b, "no site", 0, site), but(b, "one sample", y.Rows(), rows))
}

func (b *mutant) RoPE(y, x, table, pos kernels.Tensor, heads int, inverse bool) {
	inverse = inverse && !b.is("never back")
	if turned := heads * table.Cols(); b.is("only the heads") && turned > 0 {
		y, x = y.Columns(0, turned), x.Columns(0, turned)
	}
	pos = b.editedIf("position of the next", pos, func(_ int, v float64) float64 { return max(0, v-1) })
	b.Backend.RoPE(y, x, table, pos, heads, inverse)
}

func (b *mutant) Softmax(y, x kernels.Tensor) {
	b.Backend.Softmax(narrowedIf(b, y), narrowedIf(b, x))
}

func (b *mutant) SoftmaxGrad(dx, dy, y kernels.Tensor) {
	b.Backend.SoftmaxGrad(narrowedIf(b, dx), narrowedIf(b, dy), narrowedIf(b, y))
}

func (b *mutant) Linear(y, x, w kernels.Tensor, e kernels.Epilogue) {
	e.Scale = but(b, "no scale", 0, e.Scale)
	e.Bias = but(b, "no bias", absent, e.Bias)
	e.Act = but(b, "no activation", kernels.NoActivation, e.Act)
	e.Pre = but(b, "no pre", absent, e.Pre)
	e.Residual = but(b, "no residual", absent, e.Residual)
	if b.is("a product less") {
		x, w = narrowed(x), narrowed(w)
	}
	if b.is("truncates") && e.Residual.Nil() {
		b.truncated(y, func(y kernels.Tensor) { b.Backend.Linear(y, x, w, e) })
		return
	}
	b.Backend.Linear(y, x, w, e)
}

func (b *mutant) LinearDX(dx, dy, w kernels.Tensor, e kernels.Epilogue) {
	e.Scale = but(b, "no scale", 0, e.Scale)
	e.Residual = but(b, "no residual", absent, e.Residual)
	if b.is("no activation") {
		e.Act, e.Pre = kernels.NoActivation, absent
	}
	b.Backend.LinearDX(dx, dy, w, e)
}

func (b *mutant) LinearDW(dw, dy, x kernels.Tensor, scale float32, accumulate bool) {
	if b.is("a product less") {
		dy, x = spared(dy), spared(x)
	}
	b.Backend.LinearDW(dw, dy, x, but(b, "no scale", 0, scale), but(b, "always from zero", false, accumulate))
}

// misread is quantised weights read in a wrong way.
func (b *mutant) misread(w, scales kernels.Tensor, q kernels.Quant) (kernels.Tensor, kernels.Tensor) {
	if q == kernels.NF4 {
		w = b.editedIf("halves swapped", w, func(_ int, v float64) float64 { return float64(int(v)>>4 | int(v)&15<<4) })
	}
	if b.is("scales of the row before") {
		old, n := b.read(scales), scales.Cols()
		scales = b.edited(scales, func(i int, v float64) float64 {
			if i < n {
				return v
			}
			return decode(old[(i-n)*4:], kernels.F32)
		})
	}
	return w, scales
}

func (b *mutant) LinearQuant(y, x, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	e.Scale = but(b, "no scale", 0, e.Scale)
	e.Bias = but(b, "no bias", absent, e.Bias)
	e.Act = but(b, "no activation", kernels.NoActivation, e.Act)
	w, scales = b.misread(w, scales, q)
	if n := x.Cols() - q.Block(); b.is("a product less") && n > 0 {
		x, w, scales = x.Columns(0, n), w.Columns(0, q.Width(n)), scales.Columns(0, n/q.Block())
	}
	b.Backend.LinearQuant(y, x, w, scales, q, e)
}

func (b *mutant) LinearQuantDX(dx, dy, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	e.Scale = but(b, "no scale", 0, e.Scale)
	e.Residual = but(b, "no residual", absent, e.Residual)
	if b.is("no activation") {
		e.Act, e.Pre = kernels.NoActivation, absent
	}
	w, scales = b.misread(w, scales, q)
	b.Backend.LinearQuantDX(dx, dy, w, scales, q, e)
}

func (b *mutant) BiasGrad(db, dy kernels.Tensor, accumulate bool) {
	b.Backend.BiasGrad(db, but(b, "a row less", spared(dy), dy), but(b, "never from zero", true, accumulate))
}

func (b *mutant) Embed(y, table, idx kernels.Tensor, accumulate bool) {
	idx = b.editedIf("negative is the first", idx, func(_ int, v float64) float64 { return max(v, 0) })
	b.Backend.Embed(y, table, idx, but(b, "never from zero", true, accumulate))
}

func (b *mutant) EmbedGrad(dtable, dy, idx kernels.Tensor, accumulate bool) {
	idx = b.editedIf("negative is the first", idx, func(_ int, v float64) float64 { return max(v, 0) })
	b.Backend.EmbedGrad(dtable, dy, idx, but(b, "always from zero", false, accumulate))
}

func (b *mutant) LayerNorm(y, sum, stats, x, r, w, bias kernels.Tensor, eps float32) {
	if b.is("of the sum as stored") && !r.Nil() {
		b.Backend.Add(sum, x, r)
		x, r, sum = sum, absent, absent
		if sum.Buf == y.Buf {
			return
		}
	}
	bias = b.editedIf("no bias", bias, func(int, float64) float64 { return 0 })
	b.Backend.LayerNorm(y, sum, stats, x, r, w, bias, but(b, "eps of 1e-5 always", 1e-5, eps))
}

func (b *mutant) LayerNormGrad(dx, dw, db, dy, h, w, stats, residual kernels.Tensor, accumulate bool) {
	stats = b.editedIf("no mean", stats, func(i int, v float64) float64 { return v * float64(i%2) })
	b.Backend.LayerNormGrad(dx, dw, db, dy, h, w, stats, but(b, "no residual", absent, residual), but(b, "always from zero", false, accumulate))
}

func (b *mutant) RMSNorm(y, sum, rstd, x, r, w kernels.Tensor, eps float32) {
	b.Backend.RMSNorm(y, sum, rstd, x, r, w, but(b, "eps of 1e-5 always", 1e-5, eps))
	if b.is("variance, not its root") {
		b.Backend.Copy(rstd, b.edited(rstd, func(_ int, v float64) float64 { return v * v }))
	}
}

func (b *mutant) RMSNormGrad(dx, dw, dy, h, w, rstd, residual kernels.Tensor, accumulate bool) {
	if b.is("rows of dw less") && !dw.Nil() {
		b.Backend.RMSNormGrad(dx, absent, dy, h, w, rstd, residual, accumulate)
		dx, dy, h, rstd, residual = absent, spared(dy), spared(h), rstd.Reshape(rstd.Size(), 1), absent
		rstd = rstd.RowRange(0, dy.Rows()).Reshape(dy.Rows())
	}
	b.Backend.RMSNormGrad(dx, dw, dy, h, w, rstd, but(b, "no residual", absent, residual), but(b, "always from zero", false, accumulate))
}

// geometry applies the bugs that both directions of attention may have.
func (b *mutant) geometry(q, lo, hi *kernels.Tensor, a *kernels.Attn) {
	a.Causal = a.Causal && !b.is("never causal")
	a.Scale = but(b, "no scale", 0, a.Scale)
	*lo = but(b, "from the start", absent, *lo)
	time := float64(q.Shape[1])
	*hi = b.editedIf("a key more", *hi, func(_ int, v float64) float64 { return min(v+1, time) })
	*lo = b.editedIf("a key less", *lo, func(_ int, v float64) float64 { return min(v+1, time) })
}

func (b *mutant) Attention(o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	b.geometry(&q, &lo, &hi, &a)
	b.Backend.Attention(o, lse, q, k, v, lo, hi, a)
	if b.is("lse of nothing is 0") {
		b.Backend.Copy(lse, b.edited(lse, func(_ int, v float64) float64 { return max(v, -1e30) }))
	}
}

func (b *mutant) AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	b.geometry(&q, &lo, &hi, &a)
	if b.is("no delta") {
		o = b.edited(o, func(int, float64) float64 { return 0 })
	}
	b.Backend.AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi, a)
}

func (b *mutant) LinearLogProb(logp, lse, entropy, logits, x, w, bias, target kernels.Tensor, vocab int) {
	vocab = but(b, "padding counts", w.Rows(), vocab)
	bias = but(b, "no bias", absent, bias)
	if b.is("entropy of nothing") && !entropy.Nil() {
		b.Backend.Fill(entropy, 0)
		entropy = absent
	}
	b.Backend.LinearLogProb(logp, lse, entropy, logits, x, w, bias, target, vocab)
}

func (b *mutant) LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse kernels.Tensor, vocab int, accumulate bool) {
	vocab = but(b, "padding counts", w.Rows(), vocab)
	dlse = but(b, "no dlse", absent, dlse)
	b.Backend.LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse, vocab, but(b, "always from zero", false, accumulate))
}

func (b *mutant) LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target kernels.Tensor, vocab int,
	accumulate bool) {
	dlse = but(b, "no dlse", absent, dlse)
	target = b.editedIf("negative target is the first", target, func(_ int, v float64) float64 { return max(v, 0) })
	b.Backend.LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, vocab,
		but(b, "always from zero", false, accumulate))
}

func (b *mutant) GradNorm(control, g kernels.Tensor, limit float32) {
	b.Backend.GradNorm(control, but(b, "a row less", spared(g), g), but(b, "never clips", 0, limit))
	if b.is("clears the block") {
		b.Backend.Copy(control, b.edited(control, func(i int, v float64) float64 {
			return v * nonzero(i == kernels.ControlNorm || i == kernels.ControlScale)
		}))
	}
}

func (b *mutant) AdamW(w, master, m, v, g, control kernels.Tensor, p kernels.AdamW) {
	p.Decay = but(b, "no decay", 0, p.Decay)
	p.LRScale = but(b, "no factor", 0, p.LRScale)
	p.Eps = but(b, "eps of 1e-8 always", 1e-8, p.Eps)
	control = b.editedIf("unclipped", control, func(i int, v float64) float64 { return v + nonzero(i == kernels.ControlScale)*(1-v) })
	if b.is("truncates") && !master.Nil() {
		b.truncated(w, func(wide kernels.Tensor) {
			b.Backend.AdamW(w, master, m, v, g, control, p)
			b.Backend.Copy(wide, master)
		})
		return
	}
	b.Backend.AdamW(w, master, m, v, g, control, p)
}

func (b *mutant) Muon(w, master, mom, g, scratch, control kernels.Tensor, p kernels.Muon) {
	p.Decay = but(b, "no decay", 0, p.Decay)
	p.LRScale = but(b, "no factor", 0, p.LRScale)
	p.Momentum = but(b, "momentum off by a thousandth", p.Momentum*0.999, p.Momentum)
	if b.is("a row less") {
		w, master, mom, g = spared(w), spared(master), spared(mom), spared(g)
	}
	b.Backend.Muon(w, master, mom, g, scratch, control, p)
}

func (b *mutant) KVAppend(kcache, vcache, k, v, slot kernels.Tensor) {
	if b.is("keys for values") {
		v = k
	}
	rows := float64(kcache.Rows())
	slot = b.editedIf("negative from the end", slot, func(_ int, s float64) float64 {
		if s < 0 {
			s += rows
		}
		return s
	})
	b.Backend.KVAppend(kcache, vcache, k, v, slot)
}

func (b *mutant) PagedAttention(o, q, kcache, vcache, table, seq, pos kernels.Tensor, page int, a kernels.Attn) {
	a.Scale = but(b, "no scale", 0, a.Scale)
	pos = b.editedIf("all but itself", pos, func(_ int, v float64) float64 { return max(v-1, 0) })
	pos = b.editedIf("one too many", pos, func(_ int, v float64) float64 { return min(v+1, float64(page*table.Cols()-1)) })
	table = b.editedIf("pages in order", table, func(i int, _ float64) float64 { return float64(i) })
	b.Backend.PagedAttention(o, q, kcache, vcache, table, seq, pos, page, a)
}

func (b *mutant) Sample(next, logp, logits, params, seen kernels.Tensor, vocab int) {
	off := slices.Index([]string{"", "no top-k", "no top-p", "no min-p", "no repetition", "no number"}, b.bug)
	if off > 0 {
		params = b.edited(params, func(i int, v float64) float64 { return v * nonzero(i%kernels.SampleParams != off) })
	}
	b.Backend.Sample(next, logp, logits, params, seen, but(b, "padding counts", logits.Cols(), vocab))
	if b.is("last of the largest") {
		b.lastGreedy(next, logits, params, seen, vocab)
	}
}

// lastGreedy takes the last of equal logits where the temperature is 0.
func (b *mutant) lastGreedy(next, logits, params, seen kernels.Tensor, vocab int) {
	x, p := b.read(logits), b.read(params)
	at := func(x []byte, i int) float64 { return decode(x[4*i:], kernels.F32) }
	b.Backend.Copy(next, b.edited(next, func(i int, v float64) float64 {
		for j := range vocab {
			if row := i * logits.Cols(); at(p, i*kernels.SampleParams) == 0 && seen.Nil() && at(x, row+j) >= at(x, row+int(v)) {
				v = float64(j)
			}
		}
		return v
	}))
}
