package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// An attentionTrial is operands of attention and of its gradient in BF16, aligned, and the geometry.
type attentionTrial struct {
	kernels.Attn
	batch, time                int
	q, k, v, o, do, dq, dk, dv *sheet
	lse, delta                 *sheet
	lo, hi                     kernels.Tensor
	from, to                   []int // what each query sees, without causality
}

// An attentionShape is a case. Documents are of that many tokens, and less at the end; 0 is one document. With documents,
// bounds lie outside of the sequence too.
type attentionShape struct {
	batch, time, heads, kv, depth int
	causal                        bool
	document                      int
}

func newAttentionTrial(t *testing.T, b *Backend, c attentionShape) *attentionTrial {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(c.time), uint64(c.depth)))
	sequences := func(columns int) *sheet {
		s := newSheet(t, b, r, kernels.BF16, 16, c.batch*c.time, columns)
		s.t.Shape = kernels.Shape{c.batch, c.time, columns}
		return s
	}
	dense := func() *sheet {
		s := newSheet(t, b, r, kernels.F32, 4, 1, c.batch*c.heads*c.time)
		s.t.Shape = kernels.Shape{c.batch, c.heads, c.time}
		s.t.Stride = c.time
		return s
	}
	tr := &attentionTrial{Attn: kernels.Attn{Heads: c.heads, KVHeads: c.kv, HeadDim: c.depth, Causal: c.causal}, batch: c.batch, time: c.time}
	for _, s := range []**sheet{&tr.q, &tr.o, &tr.do, &tr.dq} {
		*s = sequences(c.heads * c.depth)
	}
	for _, s := range []**sheet{&tr.k, &tr.v, &tr.dk, &tr.dv} {
		*s = sequences(c.kv * c.depth)
	}
	tr.lse, tr.delta = dense(), dense()
	var lo, hi []int32
	for i := range c.batch * c.time {
		from, to := 0, c.time
		if c.document > 0 {
			const beyond = 9
			from, to = i%c.time/c.document*c.document, (i%c.time/c.document+1)*c.document
			if from == 0 {
				from = -beyond
			}
			if i%c.time >= c.time-3 { // the last see nothing
				from, to = c.time+1, c.time+beyond
			}
		}
		lo, hi = append(lo, int32(from)), append(hi, int32(to))
		tr.from, tr.to = append(tr.from, min(max(from, 0), c.time)), append(tr.to, min(to, c.time))
	}
	if c.document > 0 {
		tr.lo, tr.hi = newIndices(t, b, lo...), newIndices(t, b, hi...)
	}
	return tr
}

func (tr *attentionTrial) forward(b *Backend) {
	b.Attention(tr.o.t, tr.lse.t, tr.q.t, tr.k.t, tr.v.t, tr.lo, tr.hi, tr.Attn)
}

func (tr *attentionTrial) gradient(b *Backend) {
	b.AttentionGrad(tr.dq.t, tr.dk.t, tr.dv.t, tr.delta.t, tr.do.t, tr.o.t, tr.lse.t, tr.q.t, tr.k.t, tr.v.t, tr.lo, tr.hi, tr.Attn)
}

// A bounded is a sum, the sum of the absolute values of its terms, and what f32 loses in them.
type bounded struct{ v, terms, loss float64 }

// add adds a term whose factors f32 loses so much of.
func (s *bounded) add(x, loss float64) {
	s.v, s.terms, s.loss = s.v+x, s.terms+math.Abs(x), s.loss+0x1p-20*math.Abs(loss)
}

// near checks BF16 results whose terms were rounded to BF16 once, and that are rounded once.
func near(t *testing.T, name string, want []bounded, got []float64, scale float64) {
	t.Helper()
	for i, w := range want {
		limit := scale*(w.terms*(0x1p-8+0x1p-16)+w.loss) + math.Abs(scale*w.v)*0x1p-8
		require.InDelta(t, scale*w.v, got[i], limit, "%s %d", name, i)
	}
}

// verify compares all results with whole matrices of scores in float64; the gradient, given what the forward pass stored.
func (tr *attentionTrial) verify(t *testing.T, b *Backend) {
	t.Helper()
	n, d, group := tr.Heads*tr.HeadDim, tr.HeadDim, tr.Heads/tr.KVHeads
	kn := tr.KVHeads * d
	scale := 1 / math.Sqrt(float64(d))
	stored, lses := tr.o.fetch(t, b), tr.lse.fetch(t, b)
	o, dq := make([]bounded, len(stored)), make([]bounded, len(stored))
	dk, dv := make([]bounded, len(tr.k.v)), make([]bounded, len(tr.k.v))
	dot := func(x, y []float64) (s, size float64) {
		for i := range x {
			s, size = s+x[i]*y[i], size+math.Abs(x[i]*y[i])
		}
		return s, size
	}
	for s := range tr.batch {
		for h := range tr.Heads {
			for q := range tr.time {
				row := s*tr.time + q
				from, to := tr.from[row], tr.to[row]
				if tr.Causal {
					to = min(to, q+1)
				}
				if from >= to {
					require.Equal(t, math.Inf(-1), lses[(s*tr.Heads+h)*tr.time+q])
					continue
				}
				at := row*n + h*d
				query, grad := tr.q.v[at:at+d], tr.do.v[at:at+d]
				sum, lse := 0.0, lses[(s*tr.Heads+h)*tr.time+q]
				delta, deltaSize := dot(grad, stored[at:at+d])
				for u := from; u < to; u++ {
					kv := (s*tr.time+u)*kn + h/group*d
					score, _ := dot(query, tr.k.v[kv:kv+d])
					dp, dpSize := dot(grad, tr.v.v[kv:kv+d])
					p := math.Exp(scale*score - lse)
					ds, loss := p*(dp-delta), p*(dpSize+deltaSize)
					sum += p
					for j := range d {
						o[at+j].add(p*tr.v.v[kv+j], p*tr.v.v[kv+j])
						dq[at+j].add(ds*tr.k.v[kv+j], loss*tr.k.v[kv+j])
						dk[kv+j].add(ds*query[j], loss*query[j])
						dv[kv+j].add(p*grad[j], p*grad[j])
					}
				}
				require.InDelta(t, 1, sum, 1e-5, "probabilities of query %d of head %d", row, h)
			}
		}
	}
	near(t, "o", o, stored, 1)
	near(t, "dq", dq, tr.dq.fetch(t, b), scale)
	near(t, "dk", dk, tr.dk.fetch(t, b), scale)
	near(t, "dv", dv, tr.dv.fetch(t, b), 1)
}

// Every kernel crosses several tiles of queries and keys, and ends in the middle of one. Few multiprocessors let
// blocks that stay on theirs take several tiles.
func TestAttentionOfSeveralTiles(t *testing.T) {
	ran := map[string]bool{}
	for _, capability := range []int{80, 90} {
		for _, c := range []attentionShape{
			{1, 200, 3, 1, 64, true, 0},
			{1, 270, 1, 1, 64, false, 0},
			{1, 230, 2, 1, 64, true, 90},
			{1, 200, 2, 1, 128, true, 0},
			{1, 150, 2, 2, 128, false, 70},
			{1, 140, 2, 1, 32, true, 0},
			{2, 70, 1, 1, 80, true, 0},
			{1, 100, 2, 1, 256, true, 0},
			{1, 70, 2, 1, 20, true, 0},
			{1, 66, 1, 1, 150, false, 30},
		} {
			t.Run(fmt.Sprintf("%d/%+v", capability, c), func(t *testing.T) {
				b := simulatedCard(t, capability)
				b.sms = 2
				tr := newAttentionTrial(t, b, c)
				tr.forward(b)
				tr.gradient(b)
				tr.verify(t, b)
				for _, s := range b.Machine().Stats() {
					ran[s.Kernel] = true
				}
			})
		}
	}
	for _, k := range kernelTable {
		if strings.HasPrefix(k.module, "attention") {
			require.True(t, ran[k.entry], "%s was never launched", k.entry)
		}
	}
}

// Results are the same bits in whatever order warps run, and on however many multiprocessors.
func TestAttentionIsDeterministic(t *testing.T) {
	var first [4][]float64
	for i, sms := range []int{1, 3} {
		b := simulate(t, Options{Capability: 90, Seed: uint64(i) * 7})
		b.sms = sms
		tr := newAttentionTrial(t, b, attentionShape{1, 210, 2, 1, 64, true, 0})
		tr.forward(b)
		tr.gradient(b)
		for j, s := range []*sheet{tr.o, tr.dq, tr.dk, tr.dv} {
			if got := s.fetch(t, b); i == 0 {
				first[j] = got
			} else {
				require.Equal(t, first[j], got)
			}
		}
	}
}

// No bank conflicts of shared memory, and whole sectors of global memory, in the kernels of common head sizes.
func TestAttentionHasNoBankConflicts(t *testing.T) {
	for _, capability := range []int{80, 90} {
		for _, depth := range []int{64, 128} {
			b := simulate(t, Options{Capability: capability, Count: true})
			tr := newAttentionTrial(t, b, attentionShape{1, 256, 1, 1, depth, true, 0})
			tr.forward(b)
			tr.gradient(b)
			require.NoError(t, b.Sync())
			for _, s := range b.Machine().Stats() {
				if c := &s.Counters; strings.HasPrefix(s.Kernel, "attention") {
					t.Logf("%s: ldmatrix %d+%d, shared %d of %d, loads %d in %d sectors, stores %d in %d sectors", s.Kernel, c.MatrixPhases,
						c.MatrixExtra, c.SharedWavefronts, c.SharedIdeal, c.GlobalLoads, c.GlobalLoadSectors, c.GlobalStores, c.GlobalStoreSectors)
					require.Zero(t, c.MatrixExtra, s.Kernel)
					require.Equal(t, c.SharedIdeal, c.SharedWavefronts, s.Kernel)
				}
			}
		}
	}
}

// Kernels fit the shared memory of every card that they are for: 99 KiB is that of a GeForce RTX 30 or 40, 227 KiB an H100's.
func TestAttentionFitsSharedMemory(t *testing.T) {
	for _, s := range attentionSizes {
		for _, n := range []int{s.shared(), s.keysShared(), s.queriesShared()} {
			require.LessOrEqual(t, n, 99<<10, "head size %d", s.depth)
		}
	}
	for _, f := range hopperForwards {
		require.LessOrEqual(t, f.shared(), 227<<10, "head size %d", f.depth)
	}
	for _, g := range hopperGrads {
		require.LessOrEqual(t, g.keysShared(), 227<<10, "head size %d", g.depth)
		require.LessOrEqual(t, g.queriesShared(), 227<<10, "head size %d", g.depth)
	}
}

// Short causal sequences get short tiles, long ones the tiles that keep the multiprocessor busiest.
func TestTilesOfQueriesFollowTheSequence(t *testing.T) {
	for time, want := range map[int]kernelID{128: attentionSM90D64Short, 1024: attentionSM90D64Short, 16384: attentionSM90D64} {
		p := attending{Attn: kernels.Attn{HeadDim: 64, Causal: true}, time: time}
		require.Equal(t, want, p.hopperForward().kernel, "%d tokens", time)
	}
	p := attending{Attn: kernels.Attn{HeadDim: 96}, time: 1000}
	require.Equal(t, attentionSM90D128, p.hopperForward().kernel)
}
