package unigram

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"forja/tokenizer/internal/trie"
)

// A Word is a stretch of text that no piece crosses the borders of, with how
// often it occurs.
type Word struct {
	Text  string
	Count int64
}

// TrainOptions say what pieces to train. The zero value of every field but
// Size is a good choice, that of SentencePiece.
type TrainOptions struct {
	Size int // number of pieces wanted; at least all characters become pieces

	MaxPiece   int     // characters of a piece at most; 0: 16
	MaxSeeds   int     // candidates to start from at most; 0: 1,000,000
	Iterations int     // of expectation and maximization before each pruning; 0: 2
	Shrink     float64 // share of the pieces that a pruning keeps; 0: 0.75

	// Workers is the number of goroutines; 0 is GOMAXPROCS. It does not change
	// the result.
	Workers int

	// Progress, if not nil, is called with the number of pieces that are left.
	Progress func(pieces int)
}

// Train learns pieces and their log probabilities from words, as the trainer of
// SentencePiece does (Kudo 2018; unigram_model_trainer.cc). Substrings of the
// words that repeat are the candidates. Expectation maximization, Bayesian in
// its second step, gives them probabilities; those without which the words
// would lose least are given up; and so on until few enough are left.
//
// It differs in what it need not do. It looks for substrings in different words
// and not in all text, and a substring that only ever occurs inside the same
// longer one is no candidate, for it would end with no use.
//
// Every character of the words becomes a piece. The result is sorted by score,
// and depends neither on the order of the words nor on Workers. It has fewer
// pieces than wanted if the words do not have so many. Words must be different,
// not empty, and valid UTF-8.
func Train(ctx context.Context, words []Word, o TrainOptions) ([]Piece, error) {
	if o.MaxPiece == 0 {
		o.MaxPiece = 16
	}
	if o.MaxSeeds == 0 {
		o.MaxSeeds = 1_000_000
	}
	if o.Iterations == 0 {
		o.Iterations = 2
	}
	if o.Shrink == 0 {
		o.Shrink = 0.75
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	switch {
	case o.Size <= 0 || o.MaxPiece < 0 || o.MaxPiece > 1<<10 || o.MaxSeeds < 0 || o.Iterations < 0 || !(o.Shrink > 0 && o.Shrink < 1):
		return nil, fmt.Errorf("train unigram: options out of range: %d pieces of at most %d characters, from %d candidates, %d iterations, shrink %v",
			o.Size, o.MaxPiece, o.MaxSeeds, o.Iterations, o.Shrink)
	case len(words) == 0:
		return nil, errors.New("train unigram: there are no words")
	}
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b Word) int { return strings.Compare(a.Text, b.Text) })
	total := 0
	for i, w := range words {
		if w.Text == "" || w.Count <= 0 || !utf8.ValidString(w.Text) || i > 0 && words[i-1].Text == w.Text {
			return nil, fmt.Errorf("train unigram: word %q with count %d: words are different, valid UTF-8, not empty, and occur", w.Text, w.Count)
		}
		if total += len(w.Text) + 1; total > math.MaxInt32/2 {
			return nil, fmt.Errorf("train unigram: the different words have more than %d MiB", math.MaxInt32/2>>20)
		}
	}
	t := trainer{options: o, words: words, pieces: seeds(words, o)}
	if err := t.run(ctx); err != nil {
		return nil, fmt.Errorf("train unigram: %w", err)
	}
	return t.final(), nil
}

// A trainer is a training at work.
type trainer struct {
	options TrainOptions
	words   []Word
	pieces  []candidate
	trie    *trie.Trie
	scores  []float64 // log probabilities by piece; -Inf: given up
}

// A candidate is a piece that training may give up.
type candidate struct {
	text     string
	score    float64
	required bool // a character
}

// spare is how many more pieces than wanted stay until the scores decide.
const spare = 1.1

func (t *trainer) run(ctx context.Context) error {
	required := 0
	for _, p := range t.pieces {
		if p.required {
			required++
		}
	}
	enough := max(required, int(spare*float64(t.options.Size)))
	for {
		t.index()
		for range t.options.Iterations {
			if err := ctx.Err(); err != nil {
				return err
			}
			t.maximize(t.expect())
		}
		t.pieces = slices.DeleteFunc(t.pieces, func(p candidate) bool { return math.IsInf(p.score, -1) })
		if t.options.Progress != nil {
			t.options.Progress(len(t.pieces))
		}
		if len(t.pieces) <= enough {
			return nil
		}
		t.index()
		t.prune(max(enough, int(t.options.Shrink*float64(len(t.pieces)))))
	}
}

// index makes the trie and the scores of the pieces.
func (t *trainer) index() {
	keys := make([]string, len(t.pieces))
	values := make([]int32, len(t.pieces))
	t.scores = make([]float64, len(t.pieces))
	for i, p := range t.pieces {
		keys[i], values[i], t.scores[i] = p.text, int32(i), p.score
	}
	t.trie = trie.Build(keys, values)
}

// batch is how many words or pieces a worker takes at once.
const batch = 512

// parallel calls do for parts of [0, n), each worker with its own memory.
func parallel[T any](workers, n, part int, memory func() T, do func(m T, from, to int)) []T {
	var next atomic.Int64
	var group sync.WaitGroup
	all := make([]T, workers)
	for w := range all {
		all[w] = memory()
		group.Go(func() {
			for {
				from := int(next.Add(int64(part))) - part
				if from >= n {
					return
				}
				do(all[w], from, min(from+part, n))
			}
		})
	}
	group.Wait()
	return all
}

// Expected counts are summed as integers, in units of 1/unit, so that their
// sums do not depend on the order. There is room for 1<<39 occurrences.
const unit = 1 << 24

// expect returns how often each piece is to be expected in the words.
func (t *trainer) expect() []float64 {
	all := parallel(t.options.Workers, len(t.words), batch, t.newLattice, func(l *trainLattice, from, to int) {
		for _, w := range t.words[from:to] {
			l.addExpected(w.Text, float64(w.Count)*unit)
		}
	})
	expected := make([]float64, len(t.pieces))
	for _, l := range all[1:] {
		for i, n := range l.counts {
			all[0].counts[i] += n
		}
	}
	for i, n := range all[0].counts {
		expected[i] = float64(n) / unit
	}
	return expected
}

// leastExpected is how often a piece must be expected to stay.
const leastExpected = 0.5

// maximize turns expected counts into log probabilities, with the digamma
// function: the mean of log probabilities under a sparse Dirichlet prior, which
// makes rare pieces rarer.
func (t *trainer) maximize(expected []float64) {
	sum := 0.0
	for _, n := range expected {
		if n >= leastExpected {
			sum += n
		}
	}
	logSum := digamma(sum)
	least := 0.0
	for i, n := range expected {
		t.scores[i] = math.Inf(-1)
		if n >= leastExpected {
			t.scores[i] = digamma(n) - logSum
			least = min(least, t.scores[i])
		}
	}
	for i := range t.pieces {
		if t.pieces[i].required && math.IsInf(t.scores[i], -1) {
			t.scores[i] = least - penalty // as an unknown character
		}
		t.pieces[i].score = t.scores[i]
	}
}

// digamma is the logarithmic derivative of the gamma function, for x > 0: the
// recurrence to where the asymptotic series holds.
func digamma(x float64) float64 {
	y := 0.0
	for ; x < 7; x++ {
		y -= 1 / x
	}
	x -= 0.5
	xx := 1 / (x * x)
	return y + math.Log(x) + xx*(1.0/24-xx*(7.0/960-xx*(31.0/8064-xx*(127.0/30720))))
}

// final is the result: all characters, and of the others the best.
func (t *trainer) final() []Piece {
	slices.SortFunc(t.pieces, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	room := t.options.Size
	for _, p := range t.pieces {
		if p.required {
			room--
		}
	}
	var out []Piece
	for _, p := range t.pieces {
		if !p.required {
			if room <= 0 {
				continue
			}
			room--
		}
		out = append(out, Piece{Text: p.text, Score: p.score})
	}
	return out
}
