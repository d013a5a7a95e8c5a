package bench

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
	"unsafe"

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
	BandwidthGBS float64 `json:"bandwidth_gb_s"` // measured: one word of every cache line, all threads
	Tokens       int     `json:"tokens"`         // of one completion
	Prompt       int     `json:"prompt"`
}

// decodes generates greedily from a model with random weights and compares with what the memory allows.
func decodes(ctx context.Context, r *rig) error {
	c, err := model.Preset(r.Step.Model)
	if err != nil {
		return err
	}
	prompt, tokens, words := 16, 48, 1<<26
	if r.small {
		c, prompt, tokens, words = tiny(c), 3, 4, 1<<16
	}
	r.Say("decode: read bandwidth")
	bandwidth, err := r.bandwidth(ctx, words)
	if err != nil {
		return err
	}
	return r.perDType(func(_ *tensors, d kernels.DType) error {
		r.Say("decode %v", d)
		res, err := r.decode(ctx, c, d, prompt, tokens)
		if err != nil {
			return err
		}
		res.BandwidthGBS = bandwidth / 1e9
		r.Result(res.over("bound", bandwidth/float64(res.WeightBytes)))
		return nil
	})
}

func (r *rig) decode(ctx context.Context, c model.Config, d kernels.DType, prompt, tokens int) (Result, error) {
	m, err := model.New(c)
	if err != nil {
		return Result{}, err
	}
	m.SetDType(d)
	s := graph.NewSession(r.b)
	defer s.Close()
	f := &DecodeFigures{DecodeModel: r.Step.Model, Tokens: tokens, Prompt: prompt}
	for _, v := range m.Params() {
		if err := s.Add(v); err != nil {
			return Result{}, err
		}
		if err := train.SetFloats(s, v, m.Init(v, 1)); err != nil {
			return Result{}, err
		}
		if v.Name != "wpe" {
			f.WeightBytes += v.Shape.Size() * d.Size()
		}
	}
	g, err := gen.New(s, m, gen.Size{Context: 2 * (prompt + tokens), Chunk: prompt})
	if err != nil {
		return Result{}, err
	}
	defer g.Close()
	ids := make([]int32, prompt)
	for i := range ids {
		ids[i] = int32((i*7919 + 1) % c.Vocab)
	}
	t := timing{processor: math.Inf(1)}
	for range r.Rounds {
		g.Forget()
		var last time.Time
		before := processorTime()
		_, err := g.Generate(ctx, ids, gen.Sampling{}, tokens, func(gen.Token) bool {
			now := time.Now()
			if !last.IsZero() {
				t.calls = append(t.calls, now.Sub(last))
			}
			last = now
			return true
		})
		if err != nil {
			return Result{}, err
		}
		t.processor = min(t.processor, (processorTime()-before).Seconds()/float64(tokens))
	}
	res := t.result(fmt.Sprintf("decode/%v", d), d, 1, "tok/s")
	res.DecodeFigures = f
	return res, nil
}

// bandwidth is the bytes a second at which all threads together read a buffer that no cache holds: each takes a
// consecutive part and reads one word of every 64 bytes, which is what the memory moves.
func (r *rig) bandwidth(ctx context.Context, words int) (float64, error) {
	buffer, err := pages[uint64](words)
	if err != nil {
		return 0, err
	}
	defer release(buffer)
	for i := range buffer {
		buffer[i] = uint64(i) // untouched pages would all be the same one
	}
	threads := r.b.Info().Threads
	sums := make([][8]uint64, threads)
	ts, err := r.race(ctx, func() {
		var wait sync.WaitGroup
		for i := range threads {
			part := buffer[i*words/threads : (i+1)*words/threads]
			wait.Go(func() { sums[i][0] = readLines(part) })
		}
		wait.Wait()
	})
	if err != nil {
		return 0, err
	}
	return float64(words) * float64(unsafe.Sizeof(buffer[0])) / ts[0].best(), nil
}

// readLines adds the first word of every cache line.
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
