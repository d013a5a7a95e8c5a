package eval

import (
	"errors"
	"math"

	"forja/engine/data"
)

// A Likelihood is how well a model predicts held-out text.
type Likelihood struct {
	Loss   float64 `json:"loss"`          // nats per counted target
	BPB    float64 `json:"bpb,omitempty"` // bits per byte of text; 0 where the bytes are not known
	Tokens int     `json:"tokens"`        // counted targets
	Bytes  float64 `json:"bytes,omitempty"`
}

// NewLikelihood makes one of a sum of nats over all counted targets, and the bytes of text they stand for.
func NewLikelihood(nats float64, tokens int, bytes float64) (Likelihood, error) {
	if tokens == 0 {
		return Likelihood{}, errors.New("nothing to predict: the text has no target that counts")
	}
	l := Likelihood{Loss: nats / float64(tokens), Tokens: tokens, Bytes: bytes}
	if bytes > 0 {
		l.BPB = nats / math.Ln2 / bytes
	}
	return l, nil
}

// Perplexity is e to the loss.
func (l Likelihood) Perplexity() float64 { return math.Exp(l.Loss) }

// Rows goes through one epoch of a source row by row, until a number of targets has come. What it deals out does not
// depend on how many rows a model takes at once, so that different models are measured on the same targets.
type Rows struct {
	Row    uint64  // number of the next row
	Tokens int     // counted targets so far
	Bytes  float64 // of text, so far

	src  data.Source
	most int
}

// NewRows starts at the first row. most is the number of targets after which no further row begins; 0 is no limit.
func NewRows(src data.Source, most int) *Rows { return &Rows{src: src, most: most} }

// More reports whether there is another row.
func (r *Rows) More() bool { return r.Row < r.src.Samples() && (r.most == 0 || r.Tokens < r.most) }

// Next fills a batch of one row; without another row it pads it.
func (r *Rows) Next(row *data.Batch) error {
	if !r.More() {
		row.Pad(0, 0)
		return nil
	}
	if err := r.src.Fill(row, r.Row); err != nil {
		return err
	}
	r.Row++
	r.Tokens += row.Count
	r.Bytes += row.Bytes
	return nil
}
