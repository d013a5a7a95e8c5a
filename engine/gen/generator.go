package gen

import (
	"context"
	"fmt"
	"time"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels"
)

// Size is what a Generator is built for.
type Size struct {
	Context int // most positions of a sequence; 0 is the model's
	Chunk   int // tokens of a prompt that go through the model at once; 0 means 128
	Page    int // positions of a cache page; 0 means 64
}

// A Generator continues one sequence at a time. It is used where its Backend is: inside Device.Do.
type Generator struct {
	m        *model.Model
	s        *graph.Session
	size     Size
	one      *pass
	chunk    *pass
	seen     *graph.Var
	seenHost []byte
	cached   []int32 // tokens whose keys and values are in the cache
	own      []*graph.Var
}

// A pass is the plan of one forward step over a fixed number of tokens, and its inputs.
type pass struct {
	n                                  int
	tokens, positions, seq, slot, last *graph.Var
	params, next, logp                 *graph.Var
	plan                               *graph.Plan
	step                               *graph.Step
	host                               struct{ tokens, positions, seq, slot []int32 }
}

// A Plan is a model's generation, compiled: its memory is exact and none is allocated yet.
type Plan struct {
	m          *model.Model
	size       Size
	one, chunk *pass
	table      *graph.Var
	seen       *graph.Var
	own        []*graph.Var // caches and inputs; parameters belong to the model
}

// Compile records a model's generation.
func Compile(m *model.Model, size Size) (*Plan, error) {
	if size.Context == 0 || size.Context > m.Context {
		size.Context = m.Context
	}
	if size.Chunk == 0 {
		size.Chunk = min(128, size.Context)
	}
	if size.Page == 0 {
		size.Page = 64
	}
	pages := (size.Context + size.Page - 1) / size.Page
	caches := m.NewCaches(pages, size.Page, m.Params()[0].DType)
	p := &Plan{m: m, size: size, table: graph.NewVar("cache.table", kernels.I32, 1, pages)}
	p.seen = graph.NewVar("seen", kernels.U8, 1, m.PaddedVocab())
	p.own = []*graph.Var{p.table, p.seen}
	for _, c := range caches {
		p.own = append(p.own, c.K, c.V)
	}
	var err error
	if p.one, err = p.record(1, caches); err != nil {
		return nil, err
	}
	p.chunk, err = p.record(size.Chunk, caches)
	return p, err
}

// VarBytes is the storage of caches and inputs, Arena the working memory, in bytes.
func (p *Plan) VarBytes() (n int) {
	for _, v := range p.own {
		n += v.Bytes()
	}
	return n
}

// Arena is the working memory, in bytes: it shares the session's.
func (p *Plan) Arena() int { return max(p.one.plan.Arena, p.chunk.plan.Arena) }

// record compiles a pass over n tokens, of which the last valid one gets logits and a sample.
func (p *Plan) record(n int, caches []graph.Cache) (*pass, error) {
	i32 := func(name string, shape ...int) *graph.Var {
		v := graph.NewVar(fmt.Sprintf("%s.%d", name, n), kernels.I32, shape...)
		p.own = append(p.own, v)
		return v
	}
	f32 := func(name string, shape ...int) *graph.Var {
		v := i32(name, shape...)
		v.DType = kernels.F32
		return v
	}
	s := &pass{n: n, tokens: i32("tokens", n), positions: i32("positions", n), seq: i32("seq", n), slot: i32("slot", n),
		next: i32("next", 1), logp: f32("logp", 1), params: f32("params", 1, kernels.SampleParams)}
	r := graph.New()
	x := p.m.Decode(r, model.DecodeInputs{Tokens: r.Leaf(s.tokens), Positions: r.Leaf(s.positions), Seq: r.Leaf(s.seq),
		Slot: r.Leaf(s.slot), Table: r.Leaf(p.table)}, caches)
	if n > 1 {
		s.last = i32("last", 1)
		x = r.Embed(x, r.Leaf(s.last))
	}
	r.Sample(p.m.Logits(r, x), s.next, s.logp, s.params, p.seen, p.m.Vocab)
	var err error
	s.plan, err = r.Compile(graph.Options{})
	for _, h := range []*[]int32{&s.host.tokens, &s.host.positions, &s.host.seq, &s.host.slot} {
		*h = make([]int32, n)
	}
	return s, err
}

// New compiles a model's generation and gives it storage in a session that holds, or will hold, its parameters.
func New(s *graph.Session, m *model.Model, size Size) (*Generator, error) {
	p, err := Compile(m, size)
	if err != nil {
		return nil, err
	}
	return Bind(s, p)
}

// Bind gives a compiled generation its storage.
func Bind(s *graph.Session, p *Plan) (*Generator, error) {
	g := &Generator{m: p.m, s: s, size: p.size, one: p.one, chunk: p.chunk, seen: p.seen, own: p.own, seenHost: make([]byte, p.m.PaddedVocab())}
	if err := s.Add(append(append([]*graph.Var{}, p.own...), p.m.Params()...)...); err != nil {
		return nil, err
	}
	identity := make([]int32, p.table.Shape.Size())
	for i := range identity {
		identity[i] = int32(i)
	}
	graph.Set(s, p.table, identity)
	for v, x := range p.m.Constants() {
		if err := s.Add(v); err != nil {
			return nil, err
		}
		graph.Set(s, v, x)
	}
	for _, x := range []*pass{p.one, p.chunk} {
		var err error
		if x.step, err = s.Bind(x.plan); err != nil {
			return nil, err
		}
	}
	return g, s.Backend().Sync()
}

// Close frees the caches and inputs; the parameters stay in the session.
func (g *Generator) Close() { g.s.Remove(g.own...) }

// Forget drops the cache: the parameters have changed.
func (g *Generator) Forget() { g.cached = g.cached[:0] }

// Context is the longest sequence, prompt included.
func (g *Generator) Context() int { return g.size.Context }

// Sampling says how the next token is chosen.
type Sampling struct {
	Temperature float64 // 0 takes the likeliest
	TopK        int     // 0 keeps all
	TopP        float64 // 0 or 1 keeps all
	MinP        float64 // relative to the likeliest; 0 keeps all
	Repetition  float64 // penalty of tokens already in the sequence; 0 or 1 changes nothing
	Exempt      []int32 // ids that the penalty leaves alone: a model must be free to end every turn
	Seed        uint64
}

// Validate reports an impossible value, naming the recipe's key.
func (s Sampling) Validate() error {
	switch {
	case !(s.Temperature >= 0):
		return fmt.Errorf("sample.temperature: %g is negative", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("sample.top_k: %d is negative", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("sample.top_p: %g is not between 0 and 1", s.TopP)
	case !(s.MinP >= 0 && s.MinP <= 1):
		return fmt.Errorf("sample.min_p: %g is not between 0 and 1", s.MinP)
	case !(s.Repetition >= 0):
		return fmt.Errorf("sample.repetition: %g is negative", s.Repetition)
	}
	return nil
}

// Usage counts what a completion cost.
type Usage struct {
	Prompt, Cached, Tokens int           // tokens of the prompt, of those already in the cache, and generated
	First                  time.Duration // until the first token
	Total                  time.Duration
}

// Rate is the tokens a second after the first.
func (u Usage) Rate() float64 {
	if u.Tokens < 2 {
		return 0
	}
	return float64(u.Tokens-1) / (u.Total - u.First).Seconds()
}

// A Token is a generated id and its log-probability under the distribution it was drawn from.
type Token struct {
	ID      int32
	LogProb float32
}

// Generate continues prompt until emit returns false, most tokens have come, or the context is full. Ids that end a
// text are emitted like others. It forgets nothing: the next prompt that begins with the same tokens reuses the cache.
func (g *Generator) Generate(ctx context.Context, prompt []int32, s Sampling, most int, emit func(Token) bool) (Usage, error) {
	u := Usage{Prompt: len(prompt)}
	start := time.Now()
	if err := s.Validate(); err != nil {
		return u, err
	}
	if len(prompt) == 0 {
		return u, fmt.Errorf("the prompt has no tokens")
	}
	if len(prompt) >= g.size.Context {
		return u, fmt.Errorf("the prompt has %d tokens and the context is %d: nothing can be generated", len(prompt), g.size.Context)
	}
	for _, id := range prompt {
		if id < 0 || int(id) >= g.m.Vocab {
			return u, fmt.Errorf("the prompt has id %d and the vocabulary is %d: this is another model's tokenizer", id, g.m.Vocab)
		}
	}
	keep := 0 // the last token must go through the model again, for its logits
	for keep < len(g.cached) && keep < len(prompt)-1 && g.cached[keep] == prompt[keep] {
		keep++
	}
	g.cached, u.Cached = g.cached[:keep], keep
	clear(g.seenHost)
	for _, id := range prompt {
		g.seenHost[id] = 1
	}
	g.exempt(s)
	next, err := g.feed(ctx, prompt[keep:], s)
	for ; err == nil && most > 0; most-- {
		if u.Tokens == 0 {
			u.First = time.Since(start)
		}
		u.Tokens++
		if !emit(next) || most == 1 || len(g.cached) >= g.size.Context {
			break
		}
		g.seenHost[next.ID] = 1
		g.exempt(s)
		next, err = g.feed(ctx, []int32{next.ID}, s)
	}
	u.Total = time.Since(start)
	return u, err
}

func (g *Generator) exempt(s Sampling) {
	for _, id := range s.Exempt {
		if id >= 0 && int(id) < len(g.seenHost) {
			g.seenHost[id] = 0
		}
	}
}

// feed runs tokens through the model and samples what follows the last.
func (g *Generator) feed(ctx context.Context, tokens []int32, s Sampling) (Token, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Token{}, context.Cause(ctx)
		}
		p := g.chunk
		if len(tokens) == 1 {
			p = g.one
		}
		n := min(len(tokens), p.n)
		if err := g.pass(p, tokens[:n], s, n == len(tokens)); err != nil {
			return Token{}, err
		}
		if tokens = tokens[n:]; len(tokens) == 0 {
			return g.sampled(p)
		}
	}
}

// pass runs one plan.
func (g *Generator) pass(p *pass, tokens []int32, s Sampling, sample bool) error {
	at := len(g.cached)
	for i := range p.n {
		if i < len(tokens) {
			p.host.tokens[i], p.host.positions[i], p.host.seq[i], p.host.slot[i] = tokens[i], int32(at+i), 0, int32(at+i)
		} else {
			p.host.tokens[i], p.host.positions[i], p.host.seq[i], p.host.slot[i] = 0, 0, -1, -1
		}
	}
	graph.Set(g.s, p.tokens, p.host.tokens)
	graph.Set(g.s, p.positions, p.host.positions)
	graph.Set(g.s, p.seq, p.host.seq)
	graph.Set(g.s, p.slot, p.host.slot)
	if p.n > 1 {
		graph.Set(g.s, p.last, []int32{int32(len(tokens) - 1)})
	}
	if sample {
		params := [kernels.SampleParams]float32{
			kernels.SampleTemperature: float32(s.Temperature), kernels.SampleTopK: float32(s.TopK), kernels.SampleTopP: float32(s.TopP),
			kernels.SampleMinP: float32(s.MinP), kernels.SampleRepetition: float32(s.Repetition),
			kernels.SampleUniform: uniform(s.Seed, uint64(at+len(tokens)))}
		graph.Set(g.s, p.params, params[:])
		if s.Repetition != 0 && s.Repetition != 1 {
			graph.Set(g.s, g.seen, g.seenHost)
		}
	}
	p.step.Run()
	g.cached = append(g.cached, tokens...)
	return nil
}

func (g *Generator) sampled(p *pass) (Token, error) {
	var id [1]int32
	var logp [1]float32
	graph.Get(g.s, p.next, id[:])
	graph.Get(g.s, p.logp, logp[:])
	err := g.s.Backend().Sync()
	return Token{id[0], logp[0]}, err
}

// uniform is a number in [0,1) from the seed and a position alone (splitmix64).
func uniform(seed, position uint64) float32 {
	z := seed*0x9e3779b97f4a7c15 + position + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float32(z>>40) / (1 << 24)
}
