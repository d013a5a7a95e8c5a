package bench

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"forja/engine/gen"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/train"
	"forja/kernels"
)

// DecodeFigures describe decoding. Every token reads every weight once, but for the table of positions.
type DecodeFigures struct {
	DecodeModel  string  `json:"decode_model"`
	WeightBytes  int     `json:"weight_bytes"`   // read for a token
	BandwidthGBS float64 `json:"bandwidth_gb_s"` // measured: see reading; on a card by copying; 0 if it was not
	Tokens       int     `json:"tokens"`         // of one completion
	Prompt       int     `json:"prompt"`
}

// decodes generates greedily from a model with random weights and compares with what the memory allows.
func decodes(ctx context.Context, r *rig) error {
	c, err := model.Preset(r.Step.Model)
	if err != nil {
		return err
	}
	prompt, tokens := r.prompt, r.generated
	if r.sizes.tiny {
		c = tiny(c)
	}
	return r.perDType(func(t *tensors, d kernels.DType) error {
		r.Say("decode %v", d)
		return r.decode(ctx, t, c, d, prompt, tokens)
	})
}

func (r *rig) decode(ctx context.Context, t *tensors, c model.Config, d kernels.DType, prompt, tokens int) error {
	m, err := model.New(c)
	if err != nil {
		return err
	}
	m.SetDType(d)
	s := graph.NewSession(r.b)
	defer s.Close()
	f := &DecodeFigures{DecodeModel: r.Step.Model, Tokens: tokens, Prompt: prompt}
	for _, v := range m.Params() {
		if err := s.Add(v); err != nil {
			return err
		}
		if err := train.SetFloats(s, v, m.Init(v, 1)); err != nil {
			return err
		}
		if v.Name != "wpe" {
			f.WeightBytes += v.Shape.Size() * d.Size()
		}
	}
	g, err := gen.New(s, m, gen.Size{Context: 2 * (prompt + tokens), Chunk: prompt})
	if err != nil {
		return err
	}
	defer g.Close()
	ids := make([]int32, prompt)
	for i := range ids {
		ids[i] = int32((i*7919 + 1) % c.Vocab)
	}
	host := r.b.Info().Kind == "cpu"
	var read *reading
	if host {
		if read, err = r.newReading(t, f.WeightBytes); err != nil {
			return err
		}
		defer read.close()
	}
	took := timing{processor: math.Inf(1)}
	for range r.Rounds {
		if host {
			if err := read.turn(); err != nil {
				return err
			}
		}
		g.Forget()
		var last time.Time
		before := processorTime()
		_, err := g.Generate(ctx, ids, gen.Sampling{}, tokens, func(gen.Token) bool {
			now := time.Now()
			if !last.IsZero() {
				took.calls = append(took.calls, now.Sub(last))
			}
			last = now
			return true
		})
		if err != nil {
			return err
		}
		took.processor = min(took.processor, (processorTime()-before).Seconds()/float64(tokens))
	}
	res := took.result(fmt.Sprintf("decode/%v", d), d, 1, "tok/s")
	if host {
		f.BandwidthGBS = read.best / 1e9
	} else {
		f.BandwidthGBS = r.copied
	}
	if f.BandwidthGBS > 0 {
		res = res.over("bound", f.BandwidthGBS*1e9/float64(f.WeightBytes))
	}
	res.DecodeFigures = f
	r.Result(res)
	return nil
}

// A reading measures how fast all threads together can read as many bytes as the weights take, again and again as
// decoding does, so that the same part of them may stay in a cache. It reads in two ways, of which the faster counts:
// one word of every cache line in plain Go, and GradNorm.
type reading struct {
	r       *rig
	lines   []uint64
	grad    kernels.Tensor
	control kernels.Tensor
	sums    [][8]uint64 // of each thread, a cache line apart
	best    float64     // bytes a second
}

func (r *rig) newReading(t *tensors, bytes int) (*reading, error) {
	lines, err := pages[uint64](bytes / 8)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		lines[i] = uint64(i) // pages that nobody wrote would all be the same one
	}
	return &reading{r: r, lines: lines, grad: t.empty(kernels.F32, 1, bytes/4), control: t.empty(kernels.F32, kernels.ControlSize),
		sums: make([][8]uint64, r.b.Info().Threads)}, t.err
}

func (d *reading) close() { release(d.lines) }

// turn reads a few times in both ways.
func (d *reading) turn() error {
	const times = 16 // in both ways together about as often as tokens are generated
	for range times {
		start := time.Now()
		var wait sync.WaitGroup
		n := len(d.sums)
		for i := range n {
			part := d.lines[i*len(d.lines)/n : (i+1)*len(d.lines)/n]
			wait.Go(func() { d.sums[i][0] = readLines(part) })
		}
		wait.Wait()
		d.note(8*len(d.lines), start)
	}
	for range times {
		start := time.Now()
		d.r.b.GradNorm(d.control, d.grad, 0)
		if err := d.r.b.Sync(); err != nil {
			return err
		}
		d.note(4*d.grad.Size(), start)
	}
	return nil
}

func (d *reading) note(bytes int, start time.Time) {
	d.best = max(d.best, float64(bytes)/time.Since(start).Seconds())
}

// readLines adds the first word of every cache line.
//
//go:noinline
func readLines(x []uint64) (sum uint64) {
	const line = 8
	var a, b, c, d uint64
	i := 0
	for ; i+4*line <= len(x); i += 4 * line {
		a += x[i]
		b += x[i+line]
		c += x[i+2*line]
		d += x[i+3*line]
	}
	for ; i < len(x); i += line {
		a += x[i]
	}
	return a + b + c + d
}
