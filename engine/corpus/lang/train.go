package lang

import (
	"fmt"
	"math"
	"slices"
)

// A Trainer counts n-grams of texts of known languages: multinomial naive Bayes with equal priors.
type Trainer struct {
	languages []string
	counts    [][]float64 // by language, then row
	totals    []float64
	rows      []uint32
}

// NewTrainer trains for at most [maxLanguages] languages.
func NewTrainer(languages []string) (*Trainer, error) {
	languages = slices.Clone(languages)
	slices.Sort(languages)
	if n := len(slices.Compact(slices.Clone(languages))); n != len(languages) || n == 0 || n > maxLanguages {
		return nil, fmt.Errorf("%d languages, %d of them different: want 1 to %d, each once", len(languages), n, maxLanguages)
	}
	t := &Trainer{languages: languages, counts: make([][]float64, len(languages)), totals: make([]float64, len(languages))}
	for i := range t.counts {
		t.counts[i] = make([]float64, 1<<tableBits)
	}
	return t, nil
}

// Add counts a text.
func (t *Trainer) Add(language, text string) error {
	l, ok := slices.BinarySearch(t.languages, language)
	if !ok {
		return fmt.Errorf("text in %q, which is not among the languages to train", language)
	}
	t.rows = features(t.rows[:0], text)
	for _, row := range t.rows {
		t.counts[l][row]++
		t.totals[l]++
	}
	return nil
}

// Model quantises the logarithms of probabilities. In each row the likeliest language has the greatest weight, and
// weights less by 1 stand for probabilities less by a factor of e^step.
func (t *Trainer) Model() *Model {
	m := newModel(t.languages)
	for row := range 1 << tableBits {
		var logs [maxLanguages]float64
		best, seen := math.Inf(-1), 0.0
		for l := range t.languages {
			seen += t.counts[l][row]
			logs[l] = math.Log(t.counts[l][row]/max(1, t.totals[l]) + floor)
			best = max(best, logs[l])
		}
		if seen == 0 { // it says nothing
			continue
		}
		for l := range t.languages {
			weight := maxWeight - math.Round((best-logs[l])/step)
			m.set(row, l, uint8(max(0, weight)))
		}
	}
	return m
}

// floor is the probability of n-grams that were not seen. It is the same for all languages: were it less for those with more
// text, texts in none of them would be taken for the one with the least.
const floor = 2e-7

// Calibrate chooses the softness under which texts of known languages are likeliest, if one in a hundred of them is not in
// the language it is said to be in: it makes scores mean what they say.
func (m *Model) Calibrate(texts map[string][]string) {
	least := math.Inf(1)
	for _, softness := range []float64{1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64} {
		try := *m
		try.softness = softness
		loss := 0.0
		for l, language := range m.languages { // in order: sums of floats depend on it
			for _, text := range texts[language] {
				s := try.read(text)
				loss -= math.Log(0.99*s.probability(&try, l) + 0.01/float64(len(m.languages)))
			}
		}
		if loss < least {
			least, m.softness = loss, softness
		}
	}
}
