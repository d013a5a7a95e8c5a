package chat

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ErrNothingTrainable is found in the error of a data set whose examples have
// no token to be learned.
var ErrNothingTrainable = errors.New("no trainable token")

// DatasetOptions say how conversations become samples.
type DatasetOptions struct {
	Length  int     // tokens of a row; a longer sample loses its end
	TrainOn TrainOn // "" is assistant
}

// Stats describe what became of the examples of a data set.
type Stats struct {
	Examples  int // read
	Samples   int // kept; more than Examples where conversations were split
	Split     int // examples that the template forces into one sample per turn
	Dropped   int // samples without a trainable token
	Truncated int // samples longer than a row
	Rows      int // packed rows of one epoch

	Tokens    int64 // of the samples kept
	Trainable int64 // of these, the tokens that are targets

	// Stops counts the samples whose last trained token is special, Stop is
	// the most frequent one of these, or -1.
	Stops int
	Stop  int32
}

// EOSTrained says whether a model can learn from the data to stop: every
// sample that was not cut ends with a special token that is trained.
func (s Stats) EOSTrained() bool { return s.Stops > 0 && s.Stops+s.Truncated >= s.Samples }

// TrainableShare is the part of the tokens that are targets.
func (s Stats) TrainableShare() float64 { return float64(s.Trainable) / float64(max(s.Tokens, 1)) }

// Fill is the part of the packed rows that holds tokens.
func (s Stats) Fill(length int) float64 {
	return float64(s.Tokens-int64(s.Samples)) / float64(max(int64(s.Rows)*int64(length), 1))
}

// A Dataset is a set of encoded conversations in memory, packed into rows.
type Dataset struct {
	Stats
	length  int
	samples []sample
	rows    [][]int // samples of each row
	pad     int32
}

type sample struct {
	ids   []int32
	mask  []bool
	count int     // targets that are trained
	bytes float64 // of text that they stand for
}

// Load encodes examples and packs them. name stands for the data set in
// errors. A set without a trainable token is an error that says why.
func Load(examples iter.Seq2[Example, error], name string, codec *Codec, o DatasetOptions) (*Dataset, error) {
	if o.TrainOn == "" {
		o.TrainOn = TrainAssistant
	}
	if o.Length < 1 {
		return nil, fmt.Errorf("rows of %d tokens; want at least 1", o.Length)
	}
	if err := o.TrainOn.check(); err != nil {
		return nil, err
	}
	d := &Dataset{length: o.Length}
	stops := map[int32]int{}
	var first Example
	for example, err := range examples {
		if err != nil {
			return nil, err
		}
		if d.Examples++; d.Examples == 1 {
			first = example
		}
		encoded, err := encodeAny(codec, example, o.TrainOn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", example.Place, err)
		}
		if len(encoded) > 1 {
			d.Split++
		}
		for _, e := range encoded {
			d.add(e, stops)
		}
		if len(encoded) == 0 {
			d.Dropped++
		}
	}
	if d.Samples == 0 {
		return nil, d.nothingTrainable(name, first, o)
	}
	d.Stop = -1
	for id, n := range stops {
		if best := stops[d.Stop]; n > best || n == best && id < d.Stop {
			d.Stop = id
		}
	}
	if id, ok := codec.o.Special[codec.o.EOS]; ok {
		d.pad = id
	}
	d.pack()
	return d, nil
}

// encodeAny encodes a conversation whole, or turn by turn if the template does
// not allow that.
func encodeAny(codec *Codec, example Example, on TrainOn) ([]Encoded, error) {
	whole, err := codec.Encode(example, on)
	var notPrefix *NotPrefixError
	if errors.As(err, &notPrefix) && on != TrainAll {
		return codec.EncodeTurns(example, on)
	}
	return []Encoded{whole}, err
}

// add keeps a sample, cut to one row, if it has a target to learn.
func (d *Dataset) add(e Encoded, stops map[int32]int) {
	targets := func(mask []bool) (n int) {
		for i, train := range mask {
			if train && i > 0 { // nothing predicts the first token
				n++
			}
		}
		return n
	}
	whole := targets(e.Mask)
	cut := len(e.IDs) > d.length+1
	if cut {
		e.IDs, e.Mask = e.IDs[:d.length+1], e.Mask[:d.length+1]
	}
	count := targets(e.Mask)
	if count == 0 {
		d.Dropped++
		return
	}
	if cut {
		d.Truncated++
	} else if e.Stop >= 0 {
		d.Stops++
		stops[e.Stop]++
	}
	d.Samples++
	d.Tokens += int64(len(e.IDs))
	d.Trainable += int64(count)
	d.samples = append(d.samples, sample{slices.Clip(e.IDs), slices.Clip(e.Mask), count, float64(e.TextBytes) * float64(count) / float64(whole)})
}

func (d *Dataset) pack() {
	lengths := make([]int, len(d.samples))
	for i, s := range d.samples {
		lengths[i] = len(s.ids) - 1 // the last token is a target only
	}
	d.rows = PackBFD(lengths, d.length)
	d.Rows = len(d.rows)
}

// nothingTrainable explains why no sample was kept.
func (d *Dataset) nothingTrainable(name string, first Example, o DatasetOptions) error {
	err := fmt.Errorf("%s: %w in any of %d examples", name, ErrNothingTrainable, d.Examples)
	if d.Examples == 0 {
		return fmt.Errorf("%s: it has no examples", name)
	}
	var others []string
	assistant := len(first.Messages) == 0
	for _, m := range first.Messages {
		assistant = assistant || m.Role == Assistant
		if m.Role != User && m.Role != System && !slices.Contains(others, m.Role) {
			others = append(others, m.Role)
		}
	}
	switch {
	case !assistant && len(others) > 0:
		return fmt.Errorf("%w: in %s the role is %q, and what is trained is %q; map it with the roles setting: %s=%s",
			err, first.Place, others[0], Assistant, others[0], Assistant)
	case !assistant:
		return fmt.Errorf("%w: %s has no answer, only the roles %s; what is trained is %q",
			err, first.Place, strings.Join(rolesOf(first.Messages), " and "), Assistant)
	}
	return fmt.Errorf("%w: the answers are empty, or begin after the %d tokens that a row holds; use longer rows", err, o.Length)
}

func rolesOf(messages []Message) (roles []string) {
	for _, m := range messages {
		if !slices.Contains(roles, m.Role) {
			roles = append(roles, m.Role)
		}
	}
	return roles
}
