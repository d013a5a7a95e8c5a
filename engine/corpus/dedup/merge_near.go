package dedup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/ordered"
	"forja/engine/corpus/store"
)

// nearly finds near duplicates.
func (m *merger) nearly(ctx context.Context) (err error) {
	index := NewIndex(m.Temp, m.Memory)
	defer func() { err = errors.Join(err, index.Close()) }()
	err = m.keys(ctx, func(_ uint64, e entry) error {
		if n := len(e.numbers); n != 0 && n != m.Config.Bands {
			return fmt.Errorf("%d keys of a document, not %d", n, m.Config.Bands)
		}
		return index.Add(e.numbers)
	})
	if err != nil {
		return err
	}
	first, err := m.clusters(ctx, index)
	if err != nil {
		return err
	}
	var stay []uint64
	for doc, f := range first {
		if uint32(doc) != f {
			stay = append(stay, uint64(f))
		}
	}
	return m.write(ctx, func(yield func(repeat, error) bool) {
		for doc, f := range first {
			if uint32(doc) != f && !yield(repeat{uint64(doc), uint64(f)}, nil) {
				return
			}
		}
	}, stay)
}

// clusters verifies by the n-grams of documents that share a key, which are read once more.
func (m *merger) clusters(ctx context.Context, index *Index) (first []uint32, err error) {
	if m.Config.Verify == 0 {
		return index.Clusters(nil)
	}
	candidates, err := index.candidates()
	if err != nil {
		return nil, err
	}
	grams, err := m.shingles(ctx, candidates)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, grams.close()) }()
	return index.Clusters(verified(ctx, m.Config.Verify, func(doc uint32) (shingles []uint64, err error) {
		b, err := grams.of(uint64(doc))
		for ; len(b) > 0; b = b[8:] {
			shingles = append(shingles, binary.LittleEndian.Uint64(b))
		}
		return shingles, err
	}))
}

// shingles spools those of some documents, sorted by number.
func (m *merger) shingles(ctx context.Context, docs []uint64) (grams *some, err error) {
	if grams, err = newSome(m.Temp, "ngrams", docs); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, grams.close())
		}
	}()
	for k, f := range m.files {
		n := 0
		for n < len(docs) && docs[n] < m.starts[k+1] {
			n++
		}
		if n > 0 {
			if err := m.shinglesOf(ctx, f, m.starts[k], docs[:n], grams); err != nil {
				return nil, fmt.Errorf("%s: %w", m.In.Path(f.Name), err)
			}
			docs = docs[n:]
		}
	}
	return grams, grams.read()
}

// shinglesOf spools those of documents of one file, whose first one has the number start.
func (m *merger) shinglesOf(ctx context.Context, f store.File, start uint64, docs []uint64, grams *some) error {
	r, err := m.In.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	work := func() func(corpus.Document) ([]byte, error) {
		s := NewSigner(m.Config)
		var shingles []uint64
		return func(d corpus.Document) (b []byte, err error) {
			shingles = s.Shingles(shingles[:0], d.Text)
			b = make([]byte, 0, 8*len(shingles))
			for _, x := range shingles {
				b = binary.LittleEndian.AppendUint64(b, x)
			}
			return b, nil
		}
	}
	found := 0
	for b, err := range ordered.Map(ctx, m.Workers, selected(documents.Read(f.Name, r), start, docs), textSize, work) {
		if err == nil {
			err = grams.add(b)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		found++
	}
	if found < len(docs) {
		err = errors.New("has fewer documents than when it was signed")
	}
	return errors.Join(err, r.Close())
}

// selected passes over documents that are not listed.
func selected(docs iter.Seq2[corpus.Document, error], number uint64, list []uint64) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for d, err := range docs {
			if err == nil && number != list[0] {
				number++
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
			number++
			if list = list[1:]; len(list) == 0 {
				return
			}
		}
	}
}
