package data

import (
	"fmt"
	"io"
)

// A Loader deals out the tokens of a set in rows of a fixed length. It sees
// the set as a ring of tokens, cut into windows that overlap by one token: the
// last target of one window is the first token of the next. Every pair of
// neighbours belongs to exactly one window, so in one epoch every token that
// has a predecessor in its document is a target exactly once.
//
// A shuffled loader begins each epoch at another place of the ring, so that
// documents are cut elsewhere, and deals the windows in another order; it
// never ends. A sequential one deals them in order, once, for validation.
type Loader struct {
	set     *Set
	length  int
	windows uint64
	shuffle bool
	seed    uint64
}

// NewLoader makes a shuffled loader, for training.
func NewLoader(set *Set, length int, seed uint64) (*Loader, error) {
	l, err := NewSequential(set, length)
	if err == nil {
		l.shuffle, l.seed = true, seed
	}
	return l, err
}

// NewSequential makes a loader that goes through the set once, for validation.
func NewSequential(set *Set, length int) (*Loader, error) {
	if length < 1 {
		return nil, fmt.Errorf("rows of %d tokens; want at least 1", length)
	}
	return &Loader{set: set, length: length, windows: uint64((set.Tokens + int64(length) - 1) / int64(length))}, nil
}

// Samples is the number of rows of one epoch.
func (l *Loader) Samples() uint64 { return l.windows }

// Length is the tokens of a row.
func (l *Loader) Length() int { return l.length }

// Fill makes b hold the samples from first on; see [Source]. It may be called
// from several goroutines.
func (l *Loader) Fill(b *Batch, first uint64) error {
	if err := b.check(l.length); err != nil {
		return err
	}
	if !l.shuffle && first >= l.windows {
		return io.EOF
	}
	b.Count, b.Bytes = 0, 0
	f := filler{loader: l, ids: make([]int32, l.length+1)}
	for r := range b.Rows {
		row := b.Row(r)
		if err := f.fill(&row, first+uint64(r)); err != nil {
			return err
		}
		b.Count += row.Count
		b.Bytes += row.Bytes
	}
	return nil
}

// window finds the first token of a sample, and how many it has.
func (l *Loader) window(sample uint64) (first int64, count int) {
	total := l.set.Tokens
	if !l.shuffle && sample >= l.windows {
		return 0, 0
	}
	epoch, i := sample/l.windows, sample%l.windows
	start := uint64(0)
	if l.shuffle {
		i = Permute(l.windows, epochKey(l.seed, epoch, 0)).At(i)
		start = epochKey(l.seed, epoch, 1) % uint64(total)
	}
	offset := int64(i) * int64(l.length)
	return (int64(start) + offset) % total, int(min(int64(l.length), total-offset))
}

// A filler holds the memory that filling one row after the other needs.
type filler struct {
	loader *Loader
	ids    []int32
	raw    []byte
}

func (f *filler) fill(row *Batch, sample uint64) error {
	set := f.loader.set
	at, count := f.loader.window(sample)
	for t := 0; t < count; {
		shard, local := set.locate(at)
		n := int(min(int64(count-t), shard.tokens-local))
		// One token more, to be the last target. Where the shard ends, a document ends too.
		ids := f.ids[:min(int64(n+1), shard.tokens-local)]
		var err error
		if f.raw, err = shard.read(ids, local, f.raw); err != nil {
			return err
		}
		for doc, i := shard.document(local), 0; i < n; doc++ {
			i += shard.place(row, t+i, ids[i:], n-i, doc, local+int64(i))
		}
		t += n
		at = (at + int64(n)) % set.Tokens
	}
	row.Pad(count, max(set.End, 0))
	return nil
}

// place writes at most n tokens of a document into a row from index t on, and
// returns how many there were. ids are the shard's tokens from number at on.
func (s *shard) place(row *Batch, t int, ids []int32, n, document int, at int64) int {
	begin, end := s.index[document].first, s.end(document)
	n = int(min(int64(n), end-at))
	targets := n
	if at+int64(n) == end {
		targets-- // what follows the last token is another document
	}
	for i := range n {
		row.Tokens[t+i], row.Positions[t+i], row.Lo[t+i] = ids[i], int32(i), int32(t)
		row.Targets[t+i], row.Mask[t+i] = NoTarget, 0
		if i < targets {
			row.Targets[t+i], row.Mask[t+i] = ids[i+1], 1
		}
	}
	row.Count += targets
	// Begin is never a target, since it comes first; End is the last one.
	text := targets
	if s.End >= 0 && targets > 0 && at+int64(targets)+1 == end {
		text--
	}
	row.Bytes += float64(s.index[document].textBytes) * float64(text) / float64(end-begin-int64(s.around()))
	return n
}
