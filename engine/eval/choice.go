package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"forja/engine/data"
)

// An Answered question is what a model thinks of each choice.
type Answered struct {
	LogProbs  []float64 `json:"log_probs"` // of the choices given the prompt, nats
	Bytes     []int     `json:"bytes"`     // of the choices
	Answer    int       `json:"answer"`    // the right one
	Picked    int       `json:"picked"`    // the likeliest
	PerByte   int       `json:"picked_per_byte"`
	Truncated bool      `json:"truncated,omitempty"` // the prompt's beginning did not fit
}

// A Codec turns text into a model's tokens.
type Codec struct {
	Encode func(text string) []int32
	Start  int32 // stands before a text whose prompt has no token of its own; below 0 such a prompt is an error
}

// sequence is a prompt with one choice: the tokens from number from on are scored.
type sequence struct {
	question, choice int
	ids              []int32
	from             int
}

// sequences encodes a question's prompt with each choice. All are scored from the same token on: the first that
// encoding the prompt alone does not give, because a choice may change how the prompt's last characters are cut.
func (q Question) sequences(c Codec) ([]sequence, error) {
	prompt := c.Encode(q.Prompt)
	ss, from := make([]sequence, len(q.Choices)), len(prompt)
	for i, choice := range q.Choices {
		ids := c.Encode(q.Prompt + choice)
		ss[i] = sequence{choice: i, ids: ids}
		same := 0
		for same < min(len(prompt), len(ids)) && ids[same] == prompt[same] {
			same++
		}
		from = min(from, same)
	}
	if from == 0 && c.Start < 0 {
		return nil, errors.New("no token stands before the choices: the prompt is empty, and the tokenizer has no token for the beginning of a text")
	}
	for i := range ss {
		ss[i].from = from
		if from == 0 {
			ss[i].ids, ss[i].from = append([]int32{c.Start}, ss[i].ids...), 1
		}
	}
	return ss, nil
}

// fit leaves out the beginning of a prompt that is too long for a row.
func (s *sequence) fit(length int) (cut bool, err error) {
	over := len(s.ids) - 1 - length
	if over <= 0 {
		return false, nil
	}
	if over >= s.from {
		return true, fmt.Errorf("a choice of %d tokens does not fit rows of %d", len(s.ids)-s.from, length)
	}
	s.ids, s.from = s.ids[over:], s.from-over
	return true, nil
}

// Choose answers questions. Several prompts share a row, and none sees another.
func (s *Scorer) Choose(ctx context.Context, qs []Question, c Codec) ([]Answered, error) {
	out := make([]Answered, len(qs))
	p := &packer{scorer: s, batch: data.NewBatch(s.Rows, s.Length), out: out}
	p.clear()
	for i, q := range qs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		a := &out[i]
		a.Answer, a.LogProbs = q.Answer, make([]float64, len(q.Choices))
		for _, choice := range q.Choices {
			a.Bytes = append(a.Bytes, len(choice))
		}
		seqs, err := q.sequences(c)
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
		for _, seq := range seqs {
			cut, err := seq.fit(s.Length)
			if err != nil {
				return nil, fmt.Errorf("question %d: %w", i+1, err)
			}
			a.Truncated = a.Truncated || cut
			seq.question = i
			if err := p.add(seq); err != nil {
				return nil, err
			}
		}
	}
	if err := p.flush(); err != nil {
		return nil, err
	}
	for i := range out {
		a := &out[i]
		for k, x := range a.LogProbs {
			if math.IsNaN(x) {
				return nil, fmt.Errorf("question %d: the log-probability of choice %d is not a number: the model's weights are not finite", i+1, k)
			}
			if x > a.LogProbs[a.Picked] {
				a.Picked = k
			}
			if x/float64(a.Bytes[k]) > a.LogProbs[a.PerByte]/float64(a.Bytes[a.PerByte]) {
				a.PerByte = k
			}
		}
	}
	return out, nil
}

// A packer puts sequences side by side into a batch, in order, and scores it when it is full.
type packer struct {
	scorer *Scorer
	batch  *data.Batch
	out    []Answered
	row, t int
	placed []placed
}

// placed is where a sequence's scored targets are in the batch.
type placed struct{ question, choice, lo, hi int }

func (p *packer) clear() {
	p.row, p.t, p.placed = 0, 0, p.placed[:0]
	for r := range p.batch.Rows {
		row := p.batch.Row(r)
		row.Pad(0, 0)
	}
}

func (p *packer) add(s sequence) error {
	n := len(s.ids) - 1
	if p.t+n > p.batch.Length {
		p.row, p.t = p.row+1, 0
	}
	if p.row == p.batch.Rows {
		if err := p.flush(); err != nil {
			return err
		}
	}
	row := p.batch.Row(p.row)
	for i := range n {
		t := p.t + i
		row.Tokens[t], row.Positions[t], row.Lo[t] = s.ids[i], int32(i), int32(p.t)
		if i+1 >= s.from {
			row.Targets[t] = s.ids[i+1]
		}
	}
	at := p.row*p.batch.Length + p.t
	p.placed = append(p.placed, placed{s.question, s.choice, at + s.from - 1, at + n})
	p.t += n
	return nil
}

// flush scores what has been placed.
func (p *packer) flush() error {
	if len(p.placed) == 0 {
		return nil
	}
	logp, err := p.scorer.LogProbs(p.batch)
	if err != nil {
		return err
	}
	for _, x := range p.placed {
		for _, l := range logp[x.lo:x.hi] {
			p.out[x.question].LogProbs[x.choice] += float64(l)
		}
	}
	if f := p.scorer.Progress; f != nil {
		f(p.placed[len(p.placed)-1].question+1, len(p.out))
	}
	p.clear()
	return nil
}
