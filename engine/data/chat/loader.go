package chat

import (
	"fmt"
	"io"

	"forja/engine/data"
)

// A Loader deals out the rows of a data set; it is a [data.Source]. Each
// conversation in a row sees only itself.
type Loader struct {
	set     *Dataset
	shuffle bool
	seed    uint64
}

// Loader deals the rows in another order each epoch, without end.
func (d *Dataset) Loader(seed uint64) *Loader { return &Loader{set: d, shuffle: true, seed: seed} }

// Sequential deals the rows in order, once, for validation.
func (d *Dataset) Sequential() *Loader { return &Loader{set: d} }

// Samples is the number of rows of one epoch.
func (l *Loader) Samples() uint64 { return uint64(len(l.set.rows)) }

// Length is the tokens of a row.
func (l *Loader) Length() int { return l.set.length }

// Fill makes b hold the rows from first on; see [data.Source].
func (l *Loader) Fill(b *data.Batch, first uint64) error {
	if b.Length != l.set.length || b.Rows < 1 || len(b.Tokens) != b.Rows*b.Length {
		return fmt.Errorf("batch of %d rows of %d tokens does not fit rows of %d", b.Rows, b.Length, l.set.length)
	}
	if !l.shuffle && first >= l.Samples() {
		return io.EOF
	}
	b.Count, b.Bytes = 0, 0
	for r := range b.Rows {
		row := b.Row(r)
		n := first + uint64(r)
		if l.shuffle {
			epoch := n / l.Samples()
			n = data.Permute(l.Samples(), l.seed^(epoch*0x9e3779b97f4a7c15)).At(n % l.Samples())
		}
		t := 0
		if n < l.Samples() {
			for _, i := range l.set.rows[n] {
				s := l.set.samples[i]
				t += place(&row, t, s)
				b.Count += s.count
				b.Bytes += s.bytes
			}
		}
		row.Pad(t, l.set.pad)
	}
	return nil
}

// place writes a sample into a row from index t on and returns its length
// there, one less than its tokens.
func place(row *data.Batch, t int, s sample) int {
	n := len(s.ids) - 1
	for i := range n {
		at := t + i
		row.Tokens[at], row.Targets[at], row.Positions[at], row.Lo[at], row.Mask[at] = s.ids[i], data.NoTarget, int32(i), int32(t), 0
		if s.mask[i+1] {
			row.Targets[at], row.Mask[at] = s.ids[i+1], 1
		}
	}
	return n
}
