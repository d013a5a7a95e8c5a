package filter

import "fmt"

// Config holds the threshold of every rule. Zero turns a rule off.
type Config struct {
	Lists      *Lists   // of URLs; nil blocks none
	Languages  []string // that are kept; none keeps all
	MinScore   float64  // of the language's classifier
	Language   string   // assumed of documents that name none, for their stop words
	Repetition Repetition
	Quality    Quality
	C4         C4
	FineWeb    FineWeb
}

// Repetition is table A1 of Gopher: shares of a document that are repeated.
type Repetition struct {
	DupParaFrac, DupParaCharFrac float64
	DupLineFrac, DupLineCharFrac float64
	Top                          [3]float64 // characters in the most frequent 2, 3, 4-gram of words
	Dup                          [6]float64 // characters in 5, 6, ... 10-grams that have occurred before
}

// Quality is Gopher's other rules.
type Quality struct {
	MinWords, MaxWords           int // punctuation does not count
	MinWordLength, MaxWordLength float64
	MaxSymbols                   float64 // # or ellipses per word
	MaxBullets                   float64 // share of lines that begin with one
	MaxEllipses                  float64 // share of lines that end with one
	MinAlpha                     float64 // share of words with a letter
	MinStopWords                 int     // different ones
}

// C4 drops lines, and documents by what is left.
type C4 struct {
	MinSentences, MinLineWords, MaxWordLength                   int
	TerminalPunctuation                                         bool // FineWeb leaves this rule out
	Citations, LoremIpsum, JavaScript, CurlyBracket, PolicyRule bool
}

// FineWeb is that recipe's own rules about lines.
type FineWeb struct {
	MinPunctuated float64 // share of lines that end in terminal punctuation
	MaxShort      float64 // share of lines of at most ShortLine characters
	ShortLine     int
	MaxDupChars   float64 // share of characters in lines that have occurred before
	MaxNewlines   float64 // per word
}

// Default is FineWeb's recipe.
func Default() Config {
	return Config{
		MinScore: 0.65, Language: "en",
		Repetition: Repetition{DupParaFrac: 0.3, DupParaCharFrac: 0.2, DupLineFrac: 0.3, DupLineCharFrac: 0.2,
			Top: [3]float64{0.2, 0.18, 0.16}, Dup: [6]float64{0.15, 0.14, 0.13, 0.12, 0.11, 0.10}},
		Quality: Quality{MinWords: 50, MaxWords: 100_000, MinWordLength: 3, MaxWordLength: 10, MaxSymbols: 0.1, MaxBullets: 0.9,
			MaxEllipses: 0.3, MinAlpha: 0.8, MinStopWords: 2},
		C4: C4{MinSentences: 5, MinLineWords: 3, MaxWordLength: 1000, Citations: true, LoremIpsum: true, JavaScript: true,
			CurlyBracket: true, PolicyRule: true},
		FineWeb: FineWeb{MinPunctuated: 0.12, MaxShort: 0.67, ShortLine: 30, MaxDupChars: 0.01, MaxNewlines: 0.3},
	}
}

// A Key is one threshold by name.
type Key struct {
	Name, Help string
	Value      any // *float64, *int or *bool, into the Config
}

// Keys lists the thresholds in the order in which the rules are applied.
func (c *Config) Keys() []Key {
	r, q, f, w := &c.Repetition, &c.Quality, &c.C4, &c.FineWeb
	keys := []Key{
		{"language.min_score", "least score of a document's language", &c.MinScore},
		{"gopher_repetition.dup_para_frac", "most repeated paragraphs", &r.DupParaFrac},
		{"gopher_repetition.dup_para_char_frac", "most characters in repeated paragraphs", &r.DupParaCharFrac},
		{"gopher_repetition.dup_line_frac", "most repeated lines", &r.DupLineFrac},
		{"gopher_repetition.dup_line_char_frac", "most characters in repeated lines", &r.DupLineCharFrac},
	}
	for i := range r.Top {
		keys = append(keys, Key{"gopher_repetition." + topRules[i], fmt.Sprintf("most characters in the most frequent %d-gram", i+2), &r.Top[i]})
	}
	for i := range r.Dup {
		keys = append(keys, Key{"gopher_repetition." + dupRules[i], fmt.Sprintf("most characters in repeated %d-grams", i+5), &r.Dup[i]})
	}
	return append(keys,
		Key{"gopher_quality.min_words", "fewest words", &q.MinWords},
		Key{"gopher_quality.max_words", "most words", &q.MaxWords},
		Key{"gopher_quality.min_word_length", "least mean length of words", &q.MinWordLength},
		Key{"gopher_quality.max_word_length", "greatest mean length of words", &q.MaxWordLength},
		Key{"gopher_quality.max_symbols", "most # or ellipses per word", &q.MaxSymbols},
		Key{"gopher_quality.max_bullets", "most lines that begin with a bullet", &q.MaxBullets},
		Key{"gopher_quality.max_ellipses", "most lines that end with an ellipsis", &q.MaxEllipses},
		Key{"gopher_quality.min_alpha", "fewest words with a letter", &q.MinAlpha},
		Key{"gopher_quality.min_stop_words", "fewest different stop words", &q.MinStopWords},
		Key{"c4.min_sentences", "fewest sentences", &f.MinSentences},
		Key{"c4.min_line_words", "fewest words of a line", &f.MinLineWords},
		Key{"c4.max_word_length", "longest word of a line", &f.MaxWordLength},
		Key{"c4.terminal_punctuation", "drop lines without terminal punctuation", &f.TerminalPunctuation},
		Key{"c4.citations", "remove [1], [edit] and [citation needed]", &f.Citations},
		Key{"c4.lorem_ipsum", "drop documents with lorem ipsum", &f.LoremIpsum},
		Key{"c4.javascript", "drop lines about JavaScript", &f.JavaScript},
		Key{"c4.curly_bracket", "drop documents with {", &f.CurlyBracket},
		Key{"c4.policy", "drop lines about cookies and policies", &f.PolicyRule},
		Key{"fineweb.line_punct_ratio", "fewest lines that end in terminal punctuation", &w.MinPunctuated},
		Key{"fineweb.short_line_ratio", "most short lines", &w.MaxShort},
		Key{"fineweb.short_line_length", "what is a short line, in characters", &w.ShortLine},
		Key{"fineweb.char_dup_ratio", "most characters in repeated lines", &w.MaxDupChars},
		Key{"fineweb.list_ratio", "most line ends per word", &w.MaxNewlines},
	)
}
