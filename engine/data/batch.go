package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// NoTarget is the target of a position that is not trained.
const NoTarget int32 = -1

// A Batch is Rows rows of Length tokens, row after row in each slice.
// Documents are packed: a query at index t of its row may attend to the keys
// Lo[t]..t of that row, and to nothing else.
type Batch struct {
	Rows, Length int

	Tokens    []int32
	Targets   []int32   // the token that follows in the same document, or NoTarget
	Positions []int32   // from 0 in each document, and at the start of each row
	Lo        []int32   // index within the row where the document begins
	Mask      []float32 // 1 where the target counts, else 0

	// Targets that count, and the UTF-8 bytes of text they stand for. A
	// document's bytes are spread evenly over its tokens; tokens put around
	// documents stand for none. Bits per byte are nats / ln 2 / Bytes.
	Count int
	Bytes float64
}

// NewBatch returns an empty batch.
func NewBatch(rows, length int) *Batch {
	n := rows * length
	return &Batch{Rows: rows, Length: length,
		Tokens: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Lo: make([]int32, n), Mask: make([]float32, n)}
}

// check says whether b has the shape it claims, with rows of the given length.
func (b *Batch) check(length int) error {
	n := b.Rows * b.Length
	if b.Rows < 1 || b.Length != length || len(b.Tokens) != n || len(b.Targets) != n || len(b.Positions) != n || len(b.Lo) != n || len(b.Mask) != n {
		return fmt.Errorf("batch of %d rows of %d tokens does not fit a loader of rows of %d", b.Rows, b.Length, length)
	}
	return nil
}

// Row is row r as a batch of one row that shares b's memory. Its Count and
// Bytes are not set.
func (b *Batch) Row(r int) Batch {
	lo, hi := r*b.Length, (r+1)*b.Length
	return Batch{Rows: 1, Length: b.Length,
		Tokens: b.Tokens[lo:hi], Targets: b.Targets[lo:hi], Positions: b.Positions[lo:hi], Lo: b.Lo[lo:hi], Mask: b.Mask[lo:hi]}
}

// Pad fills the positions of a one-row batch from t on with a token that
// attends to itself alone and has no target.
func (b *Batch) Pad(t int, token int32) {
	for ; t < b.Length; t++ {
		b.Tokens[t], b.Targets[t], b.Positions[t], b.Lo[t], b.Mask[t] = token, NoTarget, 0, int32(t), 0
	}
}

// Source deals out samples, one row each, by number.
type Source interface {
	// Fill makes b hold samples first, first+1, … It is a pure function of
	// first. A source that ends pads the rows past its end; if there is none
	// before it, the error is io.EOF.
	Fill(b *Batch, first uint64) error
	// Samples is the number of rows of one epoch.
	Samples() uint64
	// Length is the tokens of a row.
	Length() int
}

// Prefetch yields the batches of samples first, first+rows, … in order while
// another goroutine fills the next ones, at most ahead of them. It ends after
// io.EOF, an error, or the end of ctx, whose cause it yields. A batch is valid
// until the next one is asked for. The goroutine ends with the loop.
func Prefetch(ctx context.Context, source Source, first uint64, rows, ahead int) iter.Seq2[*Batch, error] {
	type filled struct {
		batch *Batch
		err   error
	}
	return func(yield func(*Batch, error) bool) {
		if rows < 1 {
			yield(nil, fmt.Errorf("batches of %d rows", rows))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		ahead = max(1, ahead)
		empty, full := make(chan *Batch, ahead+1), make(chan filled, ahead)
		for range ahead + 1 {
			empty <- NewBatch(rows, source.Length())
		}
		running.Go(func() {
			for sample := first; ; sample += uint64(rows) {
				select {
				case b := <-empty:
					err := source.Fill(b, sample)
					select {
					case full <- filled{b, err}:
					case <-ctx.Done():
						return
					}
					if err != nil {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		})
		for {
			// A cancelled context wins over a batch that is ready, so that the
			// caller stops at once and not at random.
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			select {
			case f := <-full:
				if errors.Is(f.err, io.EOF) {
					return
				}
				if f.err != nil {
					yield(nil, f.err)
					return
				}
				if !yield(f.batch, nil) {
					return
				}
				empty <- f.batch
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}
