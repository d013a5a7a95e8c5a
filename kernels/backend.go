package kernels

// A Backend is one device: its memory, one stream, and the operations of a transformer.
// It is not safe for concurrent use: see [Device].
type Backend interface {
	Memory
	Elementwise
	Projections
	Norms
	Attentions
	Heads
	Optimizers
	Decoding
}

// A Recorder is a Backend that can keep a stretch of operations and repeat it with one call, which costs the host less
// than the operations one by one.
type Recorder interface {
	// BeginCapture makes the operations that follow be kept, not done, until EndCapture. Each must have been done before,
	// with tensors of the same shapes. Memory, transfers and Sync are errors meanwhile.
	BeginCapture() error
	// EndCapture returns the number of what was kept. Its operations use the tensors and scalars that they were given.
	EndCapture() (int, error)
	// Replay does again what was kept.
	Replay(recording int)
	// Forget frees it.
	Forget(recording int)
}

// Info describes a device.
type Info struct {
	Kind    string // cpu, cuda, sim
	Name    string // the processor's or card's own name
	Tier    string // instruction set or PTX target in use
	Threads int    // worker threads; 0 where it means nothing
	Memory  int    // bytes the device can give, 0 if unknown
}

// Usage counts the bytes of a device's allocations.
type Usage struct {
	Now, Peak int // allocated by Alloc
	Overhead  int // held by the backend itself since it was opened
}

// Memory is allocation, transfer and the stream.
type Memory interface {
	// Info describes the device.
	Info() Info

	// Alloc reserves bytes of device memory, aligned for every operation, with undefined content.
	// The error of a full device says how much was asked for and how much there is.
	Alloc(bytes int) (Buffer, error)

	// Free returns a buffer. It waits for the operations that use it.
	Free(Buffer)

	// Usage reports the bytes allocated now and at most.
	Usage() Usage

	// Upload copies dense host bytes of dst's dtype to dst. src may be reused when Upload returns.
	Upload(dst Tensor, src []byte)

	// Download copies src to dense host bytes. dst holds them after the next Sync.
	Download(dst []byte, src Tensor)

	// Sync waits for the stream and returns its first error since the last Sync.
	Sync() error

	// Close frees everything. Using the backend or its buffers afterwards is a bug.
	Close() error
}

// An Activation is an element-wise function fused into a projection or applied alone.
type Activation uint8

const (
	NoActivation Activation = iota
	GELU                    // x·½(1 + tanh(√(2/π)(x + 0.044715x³))): Hugging Face's gelu_new
	GELUErf                 // x·Φ(x): BERT's gelu
	SiLU                    // x·σ(x)
	Tanh
)

// Elementwise is copying, adding and activations.
type Elementwise interface {
	// Copy converts src to dst element by element, to nearest even. Same shape. Float to float, or equal dtypes.
	Copy(dst, src Tensor)

	// Fill sets every element of a float dst to v, or of an I32 dst to int32(v).
	Fill(dst Tensor, v float32)

	// Add is z = x + y. z may be x or y.
	Add(z, x, y Tensor)

	// Activate is y = f(x). y may be x.
	Activate(y, x Tensor, f Activation)

	// ActivateGrad is dx = dy·f'(x). dx may be dy or x.
	ActivateGrad(dx, dy, x Tensor, f Activation)

	// SwiGLU is y = SiLU(gate)·up (Shazeer 2020). gate and up are often column ranges of one projection.
	SwiGLU(y, gate, up Tensor)

	// SwiGLUGrad is dgate = dy·up·SiLU'(gate), dup = dy·SiLU(gate). dgate may be gate and dup may be up.
	SwiGLUGrad(dgate, dup, dy, gate, up Tensor)

	// Dropout is y = keep·x/(1-p) where each element is kept with probability 1-p. The random numbers are
	// Philox4x32-10 of key = rng.seed and counter = (sample low, sample high, site, element): sample is rng.sample plus
	// the row's index divided by rows, element counts within the sample, and an element is kept where word 0 is at least
	// p·2³². The gradient is the same call applied to dy. y may be x.
	// rng is a random block, I32 (4): see [RandomBlock].
	Dropout(y, x, rng Tensor, p float32, site uint32, rows int)

	// RoPE rotates the first heads·D columns of x in pairs (i, i+D/2) of each head by the angles of the row's position
	// (Su et al. 2021, in the half-split layout of Hugging Face) and copies the other columns. table is F32 (P,D), D/2
	// cosines then D/2 sines for each position; pos is I32 (M). inverse rotates back, which is the gradient. y may be x.
	RoPE(y, x, table, pos Tensor, heads int, inverse bool)

	// Softmax is y = exp(x - max x)/Σ over each row. y may be x.
	Softmax(y, x Tensor)

	// SoftmaxGrad is dx = y·(dy - Σ dy·y) over each row. dx may be dy.
	SoftmaxGrad(dx, dy, y Tensor)
}

// An Epilogue is what a projection does to its result before storing it.
type Epilogue struct {
	Scale    float32    // multiplies the product; 0 means 1
	Bias     Tensor     // (N), added after scaling
	Act      Activation // applied after the bias
	Pre      Tensor     // (M,N): Linear stores the value before Act here; LinearDX reads it
	Residual Tensor     // (M,N), added last; may be exactly the destination, which changes no bit of the result
}

// Columns is the epilogue of the columns [lo, hi) of a product.
func (e Epilogue) Columns(lo, hi int) Epilogue {
	for _, t := range []*Tensor{&e.Bias, &e.Pre, &e.Residual} {
		if !t.Nil() {
			*t = t.Columns(lo, hi)
		}
	}
	return e
}

// Projections are matrix products and table look-ups, and their gradients.
type Projections interface {
	// Linear is y(M,N) = f(s·x(M,K)·w(N,K)ᵀ + bias) + residual.
	Linear(y, x, w Tensor, e Epilogue)

	// LinearDX is dx(M,K) = s·dy(M,N)·w(N,K)·f'(pre) + residual, with pre (M,K) the input of the activation
	// that produced Linear's x. Bias is absent.
	LinearDX(dx, dy, w Tensor, e Epilogue)

	// LinearDW is dw(N,K) = s·dy(M,N)ᵀ·x(M,K). A scale of 0 means 1.
	LinearDW(dw, dy, x Tensor, scale float32, accumulate bool)

	// LinearQuant is Linear with quantised weights: w is U8 (N,q.Width(K)) and scales F32 (N,K/q.Block()). A weight is
	// code·scale, computed in f32 and rounded to x's dtype.
	LinearQuant(y, x, w, scales Tensor, q Quant, e Epilogue)

	// LinearQuantDX is LinearDX with quantised weights, rounded to dy's dtype.
	LinearQuantDX(dx, dy, w, scales Tensor, q Quant, e Epilogue)

	// BiasGrad is db(N) = Σ over rows of dy(M,N).
	BiasGrad(db, dy Tensor, accumulate bool)

	// Embed is y[i] = table[idx[i]]; a negative index gives zeros. accumulate adds to y.
	Embed(y, table, idx Tensor, accumulate bool)

	// EmbedGrad is dtable[r] = Σ of dy[i] over idx[i] = r, in order of i. Negative indices are skipped.
	// Without accumulate every row of dtable is written.
	EmbedGrad(dtable, dy, idx Tensor, accumulate bool)
}

// Norms are layer normalisations, with the residual addition that precedes them.
type Norms interface {
	// LayerNorm is h = x + r; y = (h - mean)·rstd·w + b over each row, rstd = 1/√(var + eps), var biased (Ba et al. 2016).
	// r and sum are both absent or both present; sum (M,N) receives h. stats is F32 (M,2): mean, rstd of h. sum may be x or r.
	LayerNorm(y, sum, stats, x, r, w, b Tensor, eps float32)

	// LayerNormGrad is the gradient of LayerNorm at h, plus residual: dx(M,N), dw(N), db(N). dx may be residual or dy.
	// dw and db may be absent (frozen), and dx too.
	LayerNormGrad(dx, dw, db, dy, h, w, stats, residual Tensor, accumulate bool)

	// RMSNorm is h = x + r; y = h·rstd·w, rstd = 1/√(mean h² + eps) (Zhang and Sennrich 2019).
	// r, sum as in LayerNorm. rstd is F32 (M).
	RMSNorm(y, sum, rstd, x, r, w Tensor, eps float32)

	// RMSNormGrad is the gradient of RMSNorm at h, plus residual. Absent outputs as in LayerNormGrad.
	RMSNormGrad(dx, dw, dy, h, w, rstd, residual Tensor, accumulate bool)
}

// Attn is the geometry of an attention.
type Attn struct {
	Heads, KVHeads int     // Heads is a multiple of KVHeads (Ainslie et al. 2023)
	HeadDim        int     // D
	Scale          float32 // of the scores; 0 means 1/√D
	Causal         bool    // query t sees no key after t
}

// Attentions are softmax attention over whole sequences. No T×T matrix is ever in memory (Dao et al. 2022).
type Attentions interface {
	// Attention is o = softmax(s·q·kᵀ)·v for each head. q and o are (B,T,H·D), k and v (B,T,Hkv·D), often column
	// ranges of one projection. lse is F32 (B,H,T): log Σ exp of the scaled scores of each query.
	// Query t of a sequence sees keys [lo[t], hi[t]), and none after t if causal. lo and hi are I32 (B,T), not
	// decreasing within a sequence; absent, they are 0 and T. A query that sees no key has o = 0 and lse = -Inf.
	Attention(o, lse, q, k, v, lo, hi Tensor, a Attn)

	// AttentionGrad is the gradient of Attention. delta is F32 (B,H,T) of working memory.
	AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi Tensor, a Attn)
}

// Heads are the language-model head and its log-probabilities, with logits that never exist whole.
type Heads interface {
	// LinearLogProb computes, for logits z = x(M,C)·w(V',C)ᵀ + bias(V'), restricted to the first vocab columns:
	// lse[i] = log Σ exp z[i], logp[i] = z[i,target[i]] - lse[i], entropy[i] = lse[i] - Σ softmax(z[i])·z[i].
	// A target below 0 gives logp 0. bias and entropy may be absent. logits is F32 (R,V') of working memory: rows are
	// processed R at a time. logp, lse and entropy are F32 (M).
	LinearLogProb(logp, lse, entropy, logits, x, w, bias, target Tensor, vocab int)

	// LinearLogProbGrad is the gradient of LinearLogProb for dlogp and dlse, F32 (M); dlse may be absent. It recomputes
	// the logits: dz = dlogp·(onehot(target) - softmax z) + dlse·softmax z, dx = dz·w, dw = dzᵀ·x, dbias = Σ dz.
	// dx, dw and dbias may be absent. Rows whose dlogp and dlse are 0 contribute nothing, and dlogp counts as 0 where the
	// target is below 0.
	LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse Tensor, vocab int, accumulate bool)

	// LinearLogProbBoth is LinearLogProb followed by LinearLogProbGrad without computing the logits twice, for
	// cotangents that are known beforehand.
	LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target Tensor, vocab int,
		accumulate bool)
}

// Control block: F32 (ControlSize) scalars that change every step, read by the optimizers.
const (
	ControlLR     = iota // learning rate
	ControlC1            // 1 - β₁ᵗ
	ControlC2            // 1 - β₂ᵗ
	ControlNorm          // written by GradNorm: ‖g‖
	ControlScale         // written by GradNorm: the factor that clips g
	ControlBound         // the largest ‖g‖ that is applied; 0 allows any finite one
	ControlSkip          // written by GradNorm: 1 where ‖g‖ is not finite or above the bound, else 0
	ControlSize   = 8    // room for what comes
	RandomBlock   = 4    // I32: seed low, seed high, sample low, sample high
	SampleParams  = 8    // F32 per row of Sample
	MuonIteration = 5    // Newton–Schulz steps
)

// AdamW holds the constants of an AdamW group.
type AdamW struct {
	Beta1, Beta2, Eps float32
	Decay             float32 // decoupled weight decay
	LRScale           float32 // multiplies the learning rate; 0 means 1
}

// Muon holds the constants of a Muon group.
type Muon struct {
	Momentum float32
	Decay    float32
	LRScale  float32 // multiplies the learning rate; 0 means 1
}

// Optimizers update parameters in place. w is F32 with master absent, or BF16 with an F32 master.
type Optimizers interface {
	// GradNorm stores ‖g‖₂, the factor min(1, limit/(‖g‖ + 1e-6)) and whether to skip in the control block; a limit of 0
	// never clips. Where the control block says to skip, AdamW and Muon change nothing but scratch: so a step needs no
	// decision of the host.
	GradNorm(control, g Tensor, limit float32)

	// AdamW is one step of Loshchilov and Hutter 2019 on a flat range, in PyTorch's order, with g scaled by the
	// control block: w -= lr·λ·w; m = β₁m + (1-β₁)g; v = β₂v + (1-β₂)g²; w -= lr·(m/c₁)/(√(v/c₂) + ε).
	AdamW(w, master, m, v, g, control Tensor, p AdamW)

	// Muon is one step on a matrix (Jordan et al. 2024), with g scaled by the control block: mom = μ·mom + g;
	// u = g + μ·mom; u /= ‖u‖ + 1e-7; five Newton–Schulz iterations u = a·u + (b·uuᵀ + c·(uuᵀ)²)·u with a = 3.4445,
	// b = -4.7750, c = 2.0315; w -= lr·λ·w; w -= lr·√max(1, rows/cols)·u. scratch is F32 with [MuonScratch] elements.
	Muon(w, master, mom, g, scratch, control Tensor, p Muon)
}

// MuonScratch is the number of F32 elements of working memory that Muon needs for a matrix.
func MuonScratch(rows, cols int) int {
	r := min(rows, cols)
	return 2*rows*cols + 2*r*r
}

// Columns of the parameters of Sample, one row for each sequence.
const (
	SampleTemperature = iota // 0 is greedy
	SampleTopK               // 0 keeps all
	SampleTopP               // 0 or 1 keeps all
	SampleMinP               // relative to the largest probability; 0 keeps all
	SampleRepetition         // divides positive and multiplies negative logits of seen tokens; 0 or 1 changes nothing
	SampleUniform            // the random number in [0,1) that picks the token
)

// Decoding is generation with a paged key-value cache.
type Decoding interface {
	// KVAppend stores row i of k and v (M,Hkv·D) in row slot[i] of the caches (S,Hkv·D). A negative slot is skipped.
	KVAppend(kcache, vcache, k, v, slot Tensor)

	// PagedAttention is causal attention of single queries against the cache: query i, q (M,H·D), belongs to sequence
	// seq[i] and sees its positions 0..pos[i]. Position p of sequence s is in cache row table[s, p/page]·page + p%page;
	// table is I32 (S,pages). Queries with a negative seq are padding: o = 0.
	PagedAttention(o, q, kcache, vcache, table, seq, pos Tensor, page int, a Attn)

	// Sample draws one token a row from logits (B,V'), restricted to the first vocab columns. params is F32
	// (B,SampleParams), seen U8 (B,V') marks tokens already in the sequence (absent: none). In this order: repetition
	// penalty, temperature, top-k, top-p over what is left, min-p; then the smallest token, in order of falling
	// probability and rising id, whose cumulated probability exceeds the uniform number. next is I32 (B); logp, F32 (B), is
	// the log-probability of the token under the distribution drawn from: 0 where it is greedy.
	Sample(next, logp, logits, params, seen Tensor, vocab int)
}
