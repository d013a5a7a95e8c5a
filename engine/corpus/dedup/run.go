package dedup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"forja/engine/corpus"
	"forja/engine/vfs"
)

// Options say how [Run] works; its result depends on Config alone.
type Options struct {
	Config  Config
	Dir     vfs.FS // for files that are gone when the Result is closed
	Memory  int64  // for keys, in bytes; 0 is 256 MiB
	Workers int    // 0 is one for each processor
}

// A Result is the clusters of a stream of documents.
type Result struct {
	First []uint32 // of each document's cluster, by number from 0; a document that is its own first is kept
	spool *spool
}

// Run reads documents, one a line of JSON with "text", and finds those that are nearly the same. The lines are kept in a
// file, for [Result.Line] and to verify candidates.
func Run(ctx context.Context, lines iter.Seq2[corpus.Line, error], o Options) (r *Result, err error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	spool, err := newSpool(o.Dir)
	if err != nil {
		return nil, err
	}
	index := NewIndex(o.Dir, o.Memory)
	defer func() {
		if err != nil {
			err = errors.Join(err, index.Close(), spool.close())
		}
	}()
	for b := range signed(ctx, lines, o) {
		if b.err != nil {
			return nil, b.err
		}
		for i, line := range b.lines {
			if err := spool.add(line); err != nil {
				return nil, err
			}
			if err := index.Add(b.keys[b.ends[i]:b.ends[i+1]]); err != nil {
				return nil, err
			}
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := spool.read(); err != nil {
		return nil, err
	}
	var same func(a, b uint32) (bool, error)
	if o.Config.Verify > 0 {
		v := &verifier{spool: spool, signer: NewSigner(o.Config), least: o.Config.Verify}
		same = func(a, b uint32) (bool, error) {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			return v.same(a, b)
		}
	}
	first, err := index.Clusters(same)
	if err != nil {
		return nil, err
	}
	return &Result{first, spool}, nil
}

// Line gives a document as it was read.
func (r *Result) Line(doc uint32) ([]byte, error) { return r.spool.line(doc) }

// Close removes the file of lines.
func (r *Result) Close() error { return r.spool.close() }

// A batch is lines on their way through a worker.
type batch struct {
	number int // of the first line, for messages
	lines  [][]byte
	keys   []uint64
	ends   []int // of each line's keys, after a 0
	err    error
	done   chan struct{}
}

// signed makes the keys of lines on all workers and yields them in order; the last batch may be an error.
func signed(ctx context.Context, lines iter.Seq2[corpus.Line, error], o Options) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		workers := o.Workers
		if workers <= 0 {
			workers = runtime.GOMAXPROCS(0)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		work, order := make(chan *batch), make(chan *batch, 2*workers)
		for range workers {
			go func() {
				s := NewSigner(o.Config)
				for b := range work {
					b.sign(s)
					close(b.done)
				}
			}()
		}
		go func() {
			defer close(order)
			defer close(work)
			b, size := &batch{done: make(chan struct{})}, 0
			send := func() bool {
				if len(b.lines) == 0 {
					return true
				}
				select {
				case order <- b:
				case <-ctx.Done():
					return false
				}
				work <- b
				b, size = &batch{done: make(chan struct{})}, 0
				return true
			}
			for line, err := range lines {
				if err != nil {
					if send() {
						b.err = err
						close(b.done)
						select {
						case order <- b:
						case <-ctx.Done():
						}
					}
					return
				}
				if len(b.lines) == 0 {
					b.number = line.Number
				}
				b.lines = append(b.lines, slices.Clone(line.JSON))
				if size += len(line.JSON) + 64; size > 1<<18 && !send() {
					return
				}
			}
			send()
		}()
		for b := range order {
			<-b.done
			if !yield(b) {
				return
			}
		}
	}
}

func (b *batch) sign(s *Signer) {
	b.ends = append(b.ends, 0)
	for i, line := range b.lines {
		text, err := textOf(line)
		if err != nil {
			b.err = fmt.Errorf("document %d of those from line %d: %w", i+1, b.number, err)
			return
		}
		b.keys = s.Keys(b.keys, text)
		b.ends = append(b.ends, len(b.keys))
	}
}

func textOf(line []byte) (string, error) {
	var d struct{ Text *string }
	if err := json.Unmarshal(line, &d); err != nil {
		return "", fmt.Errorf("not a document: %w", err)
	}
	if d.Text == nil {
		return "", errors.New(`not a document: no "text"`)
	}
	return *d.Text, nil
}

// A verifier compares documents, and remembers the n-grams of some: one is often compared with many.
type verifier struct {
	spool  *spool
	signer *Signer
	least  float64
	cache  [64]struct {
		known    bool
		doc      uint32
		shingles []uint64
	}
}

func (v *verifier) same(a, b uint32) (bool, error) {
	x, err := v.shingles(a)
	if err != nil {
		return false, err
	}
	// The second may replace the first in the cache, but not what has been taken from it: it gets memory of its own.
	y, err := v.shingles(b)
	if err != nil {
		return false, err
	}
	if v.least*float64(max(len(x), len(y))) > float64(min(len(x), len(y))) {
		return false, nil
	}
	return Jaccard(x, y) >= v.least, nil
}

func (v *verifier) shingles(doc uint32) ([]uint64, error) {
	c := &v.cache[doc%uint32(len(v.cache))]
	if c.known && c.doc == doc {
		return c.shingles, nil
	}
	line, err := v.spool.line(doc)
	if err != nil {
		return nil, err
	}
	text, err := textOf(line)
	if err != nil {
		return nil, err
	}
	c.known, c.doc, c.shingles = true, doc, v.signer.Shingles(nil, text)
	return c.shingles, nil
}

// A spool keeps lines in a file.
type spool struct {
	dir    vfs.FS
	file   vfs.File
	out    *bufio.Writer
	in     vfs.Reader
	ends   []int64
	buffer []byte
}

const spoolName = "documents.jsonl"

func newSpool(dir vfs.FS) (*spool, error) {
	f, err := dir.Create(spoolName)
	if err != nil {
		return nil, err
	}
	return &spool{dir: dir, file: f, out: bufio.NewWriterSize(f, 1<<20), ends: []int64{0}}, nil
}

func (s *spool) add(line []byte) error {
	s.ends = append(s.ends, s.ends[len(s.ends)-1]+int64(len(line)))
	_, err := s.out.Write(line)
	return err
}

// read ends writing.
func (s *spool) read() (err error) {
	if err := s.out.Flush(); err != nil {
		return err
	}
	file := s.file
	s.file = nil
	if err := file.Close(); err != nil {
		return err
	}
	s.in, err = s.dir.Open(spoolName)
	return err
}

// line is valid until the next call.
func (s *spool) line(doc uint32) ([]byte, error) {
	size := int(s.ends[doc+1] - s.ends[doc])
	s.buffer = slices.Grow(s.buffer[:0], size)[:size]
	if _, err := s.in.ReadAt(s.buffer, s.ends[doc]); err != nil {
		return nil, fmt.Errorf("document %d in %s: %w", doc, s.dir.Path(spoolName), err)
	}
	return s.buffer, nil
}

func (s *spool) close() (err error) {
	if s.file != nil {
		err = s.file.Close()
	}
	if s.in != nil {
		err = errors.Join(err, s.in.Close())
	}
	return errors.Join(err, s.dir.Remove(spoolName))
}
