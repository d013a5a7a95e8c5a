package tokenizer

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"forja/tokenizer/split"
)

// A wordTable counts words. It is an open-addressing hash table; the bytes of
// the words lie in one slice, so that the garbage collector has nothing to do.
type wordTable struct {
	slots []wordCount // a power of two
	n     int
	words []byte
	full  bool // a word was lost: more than maxWordBytes in all
}

type wordCount struct {
	hash   uint64
	count  int64 // 0: empty
	start  uint32
	length uint32
}

// maxWordBytes bounds the bytes of all different words, so that positions in
// them, and a border after each, fit in an int32.
const maxWordBytes = math.MaxInt32 / 2

func newWordTable() *wordTable { return &wordTable{slots: make([]wordCount, 1<<12)} }

func (t *wordTable) word(s *wordCount) []byte { return t.words[s.start:][:s.length] }

// add counts a word, which must not be empty.
func (t *wordTable) add(hash uint64, word string, count int64) {
	mask := uint64(len(t.slots) - 1)
	at := hash >> 24 & mask
	for ; t.slots[at].count > 0; at = (at + 1) & mask {
		if s := &t.slots[at]; s.hash == hash && string(t.word(s)) == word {
			s.count += count
			return
		}
	}
	if len(t.words)+len(word) > maxWordBytes {
		t.full = true
		return
	}
	t.slots[at] = wordCount{hash, count, uint32(len(t.words)), uint32(len(word))}
	t.words = append(t.words, word...)
	if t.n++; t.n > len(t.slots)/2 {
		t.grow()
	}
}

func (t *wordTable) grow() {
	old := t.slots
	t.slots = make([]wordCount, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.count == 0 {
			continue
		}
		at := s.hash >> 24 & mask
		for t.slots[at].count > 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = s
	}
}

// addAll counts the words of another table.
func (t *wordTable) addAll(other *wordTable) {
	for i := range other.slots {
		if s := &other.slots[i]; s.count > 0 {
			t.add(s.hash, string(other.word(s)), s.count)
		}
	}
	t.full = t.full || other.full
}

// addPieces counts the pre-tokens of a text.
func (t *wordTable) addPieces(pattern *split.Pattern, text string) {
	for len(text) > 0 {
		n := min(pattern.Next(text), maxWord)
		t.add(hashWord(text[:n]), text[:n], 1)
		text = text[n:]
	}
}

// batchBytes is about how much text goes to a worker at once.
const batchBytes = 256 << 10

// A counter adds the words of a text to a table; it may keep what it likes
// beside it. Each worker has its own.
type counter func(t *wordTable, text string)

// countWords counts the words of documents, in parallel.
func countWords(ctx context.Context, documents iter.Seq[string], count int, newCounter func() counter, progress *reporter) (*wordTable, error) {
	batches := make(chan []string, count)
	tables := make([]*wordTable, count)
	var workers sync.WaitGroup
	for i := range tables {
		tables[i] = newWordTable()
		add := newCounter()
		workers.Go(func() {
			for batch := range batches {
				for _, text := range batch {
					add(tables[i], text)
				}
			}
		})
	}
	err := sendBatches(ctx, documents, batches, progress)
	close(batches)
	workers.Wait()
	if err != nil {
		return nil, err
	}
	// Into the largest table go the others.
	slices.SortFunc(tables, func(a, b *wordTable) int { return b.n - a.n })
	for i, other := range tables[1:] {
		tables[0].addAll(other)
		tables[i+1] = nil
	}
	switch words := tables[0]; {
	case words.n == 0:
		return nil, errNoText
	case words.full:
		return nil, fmt.Errorf("more than %d MiB of different pre-tokens; train on less text, or on text with spaces", maxWordBytes>>20)
	default:
		return words, nil
	}
}

// sendBatches groups short documents and cuts long ones.
func sendBatches(ctx context.Context, documents iter.Seq[string], batches chan<- []string, progress *reporter) error {
	var batch []string
	size := 0
	send := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		batches <- batch
		progress.Bytes += int64(size)
		progress.report(false)
		batch, size = nil, 0
		return nil
	}
	for document := range documents {
		for len(document) > 0 {
			n := split.Boundary(document, batchBytes)
			batch = append(batch, document[:n])
			document = document[n:]
			if size += n; size >= batchBytes {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
}
