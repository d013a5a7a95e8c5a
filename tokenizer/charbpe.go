package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"forja/tokenizer/internal/trie"
)

// CharBPE is the byte pair encoding that starts from characters: that of LLaMA
// 1 and 2, Mistral and Gemma. It is a Model: what precedes it is a pipeline's.
type CharBPE struct {
	config CharBPEConfig
	mergeTable

	ids     map[string]int32
	symbols map[rune]int32 // characters that start as a symbol
	ascii   [utf8.RuneSelf]int32
	bytes   [256]int32 // ids of byte tokens
	ways    []way      // to merge, of scores
	user    *trie.Trie
	cut     string // words that start with it merge on their own; "": unknown

	workspaces sync.Pool // of *workspace
}

// A way to make a token of two symbols.
type way struct {
	left, right, id int32
	rank            uint32
}

// CharBPEConfig says what a CharBPE is made of. It has either Merges or Scores.
type CharBPEConfig struct {
	Tokens []string // by id; "" is no token

	// Merges are pairs of ids in order of rank, as Hugging Face has them. The
	// second half without Prefix, joined to the first, must be a token.
	Merges [][2]int32

	// Scores, by id, are those of SentencePiece: any two neighbours merge that
	// together are a token, the highest score first.
	Scores []float32

	Hidden func(id int32) bool // tokens that text never produces; may be nil
	User   []int32             // ids of tokens that are taken wherever they occur; only with Scores

	Unknown      int32 // id for characters that are no token; -1: they vanish
	FuseUnknown  bool  // one id for several of them together
	ByteFallback bool  // spell them by the tokens <0x00> to <0xFF> instead
	WholeWords   bool  // a piece that is a token is that token

	Prefix string // of tokens that continue a word
	Suffix string // of tokens that end a word
}

// Symbols that are no tokens, counted from the number of tokens: the bytes, a
// character that takes no part in merges, and characters that do without being
// tokens themselves.
const (
	virtualBytes   = 256
	virtualUnknown = virtualBytes
	virtualRunes   = virtualBytes + 1
)

// maxPiece bounds the tokens of a CharBPE in bytes.
const maxPiece = 1 << 14

// NewCharBPE builds a CharBPE. The slices of the configuration must not change
// later. Errors name the first token or merge that is wrong.
func NewCharBPE(config CharBPEConfig) (*CharBPE, error) {
	b := &CharBPE{config: config, ids: make(map[string]int32, len(config.Tokens)), symbols: map[rune]int32{}}
	for _, step := range []func() error{b.checkConfig, b.indexTokens, b.indexBytes, b.indexMerges} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("build BPE over characters: %w", err)
		}
	}
	for c := range b.ascii {
		b.ascii[c] = b.symbol(rune(c))
	}
	b.findCut()
	b.workspaces.New = func() any { return newWorkspace() }
	return b, nil
}

func (b *CharBPE) checkConfig() error {
	switch c := &b.config; {
	case len(c.Tokens) > MaxVocab-virtualRunes:
		return fmt.Errorf("%d tokens, more than the limit of %d", len(c.Tokens), MaxVocab-virtualRunes)
	case len(c.Merges) > maxMerges:
		return fmt.Errorf("%d merges, more than the limit of %d", len(c.Merges), maxMerges)
	case c.Scores != nil && len(c.Merges) > 0:
		return errors.New("both merges and scores")
	case c.Scores != nil && len(c.Scores) != len(c.Tokens):
		return fmt.Errorf("%d scores for %d tokens", len(c.Scores), len(c.Tokens))
	case c.Scores != nil && c.Prefix+c.Suffix != "":
		return errors.New("scores with a prefix or suffix of tokens")
	case int(c.Unknown) >= len(c.Tokens):
		return fmt.Errorf("the unknown token has the id %d, of %d tokens", c.Unknown, len(c.Tokens))
	}
	return nil
}

func (b *CharBPE) hidden(id int32) bool { return b.config.Hidden != nil && b.config.Hidden(id) }

func (b *CharBPE) indexTokens() error {
	for id, token := range b.config.Tokens {
		switch {
		case token == "":
			continue
		case len(token) > maxPiece:
			return fmt.Errorf("token %.30q with id %d is longer than %d bytes", token, id, maxPiece)
		case !utf8.ValidString(token):
			return fmt.Errorf("token %q with id %d is not UTF-8", token, id)
		}
		if first, twice := b.ids[token]; twice {
			return fmt.Errorf("token %q has two ids, %d and %d", token, first, id)
		}
		b.ids[token] = int32(id)
		if r, size := utf8.DecodeRuneInString(token); size == len(token) && !b.hidden(int32(id)) {
			b.symbols[r] = int32(id)
		}
	}
	var keys []string
	for _, id := range b.config.User {
		if id < 0 || int(id) >= len(b.config.Tokens) || b.config.Tokens[id] == "" {
			return fmt.Errorf("the user-defined token %d is none", id)
		}
		keys = append(keys, b.config.Tokens[id])
	}
	if len(keys) > 0 {
		b.user = trie.Build(keys, b.config.User)
	}
	return nil
}

func (b *CharBPE) indexBytes() error {
	for c := range b.bytes {
		id, ok := b.ids[byteToken(byte(c))]
		if !ok && b.config.ByteFallback {
			return fmt.Errorf("byte fallback needs the token %s", byteToken(byte(c)))
		}
		b.bytes[c] = id
	}
	return nil
}

// byteToken is the token of a byte in vocabularies with byte fallback.
func byteToken(c byte) string { return fmt.Sprintf("<0x%02X>", c) }

func (b *CharBPE) indexMerges() error {
	if b.config.Scores != nil {
		return b.indexScores()
	}
	b.pairs = newPairTable(len(b.config.Merges))
	b.mergedID = make([]int32, len(b.config.Merges))
	token := func(id int32) string {
		if id < 0 || int(id) >= len(b.config.Tokens) {
			return ""
		}
		return b.config.Tokens[id]
	}
	for rank, merge := range b.config.Merges {
		left, right := token(merge[0]), token(merge[1])
		if left == "" || right == "" {
			return fmt.Errorf("merge %d joins the ids %d and %d, which are not both tokens", rank, merge[0], merge[1])
		}
		joined := left + strings.TrimPrefix(right, b.config.Prefix)
		id, ok := b.ids[joined]
		if !ok {
			return fmt.Errorf("merge %d of %q and %q gives %q, which is not a token", rank, left, right, joined)
		}
		if !b.pairs.add(merge[0], merge[1], uint32(rank)) {
			return fmt.Errorf("merge %d of %q and %q is listed twice", rank, left, right)
		}
		b.mergedID[rank] = id
	}
	return nil
}

// indexScores enters every way to cut a token into two symbols. Ranks are
// places in the descending order of scores; equal scores share one.
func (b *CharBPE) indexScores() error {
	user := make(map[int32]bool, len(b.config.User))
	for _, id := range b.config.User {
		user[id] = true
	}
	plain := func(id int) bool {
		return b.config.Tokens[id] != "" && !b.hidden(int32(id)) && !user[int32(id)]
	}
	next := int32(len(b.config.Tokens) + virtualRunes)
	var order []int32
	for id, token := range b.config.Tokens {
		if !plain(id) {
			continue
		}
		if math.IsNaN(float64(b.config.Scores[id])) {
			return fmt.Errorf("token %q with id %d has no number for a score", token, id)
		}
		order = append(order, int32(id))
		for _, r := range token {
			if _, ok := b.symbols[r]; !ok {
				if next >= MaxVocab {
					return fmt.Errorf("more than %d tokens and characters", MaxVocab)
				}
				b.symbols[r] = next
				next++
			}
		}
	}
	slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(b.config.Scores[y], b.config.Scores[x]) })
	symbol := func(part string) (int32, bool) {
		if id, ok := b.ids[part]; ok && plain(int(id)) {
			return id, true
		}
		r, size := utf8.DecodeRuneInString(part)
		if size != len(part) {
			return 0, false
		}
		return b.symbols[r], true
	}
	for i, id := range order {
		same := i > 0 && b.config.Scores[id] == b.config.Scores[order[i-1]]
		if !same {
			b.mergedID = append(b.mergedID, id)
		} else {
			b.mergedID[len(b.mergedID)-1] = several
		}
		token := b.config.Tokens[id]
		for at := range token {
			if at == 0 {
				continue
			}
			left, ok1 := symbol(token[:at])
			right, ok2 := symbol(token[at:])
			if ok1 && ok2 {
				b.ways = append(b.ways, way{left, right, id, uint32(len(b.mergedID) - 1)})
			}
			if len(b.ways) > maxMerges {
				return fmt.Errorf("more than %d ways to merge two tokens", maxMerges)
			}
		}
	}
	b.pairs = newPairTable(len(b.ways))
	b.tied = map[uint64]int32{}
	for _, w := range b.ways {
		b.pairs.add(w.left, w.right, w.rank)
		if b.mergedID[w.rank] == several {
			b.tied[pairKey(w.left, w.right)] = w.id
		}
	}
	return nil
}

// findCut looks whether U+2581 only starts tokens: then no merge crosses from
// another character to it, and the words of a sentence merge on their own.
func (b *CharBPE) findCut() {
	const mark = "\u2581"
	if b.config.Prefix+b.config.Suffix != "" {
		return
	}
	for id, token := range b.config.Tokens {
		if !b.hidden(int32(id)) && strings.Contains(strings.TrimLeft(token, mark), mark) {
			return
		}
	}
	b.cut = mark
}

// Config returns what the model is made of. The caller must not change it.
func (b *CharBPE) Config() CharBPEConfig { return b.config }

// Len implements Model.
func (b *CharBPE) Len() int { return len(b.config.Tokens) }

// Text implements Model.
func (b *CharBPE) Text(id int32) string {
	if id < 0 || int(id) >= len(b.config.Tokens) {
		return ""
	}
	return b.config.Tokens[id]
}

// ID implements Model.
func (b *CharBPE) ID(text string) (int32, bool) {
	id, ok := b.ids[text]
	return id, ok
}

// mergeList is the list of merges that gives the same ids, in order of rank.
// It fails where there is none: where characters that are no tokens merge, or
// where different tokens have one score.
func (b *CharBPE) mergeList() ([][2]int32, error) {
	if b.config.Scores == nil {
		return b.config.Merges, nil
	}
	vocab := int32(len(b.config.Tokens))
	byRank := make([][][2]int32, len(b.mergedID))
	for _, w := range b.ways {
		id := b.mergedID[w.rank]
		switch {
		case id == several:
			return nil, fmt.Errorf("several tokens, %q among them, have the same score: a list of merges cannot rank them alike", b.config.Tokens[w.id])
		case w.left >= vocab || w.right >= vocab:
			return nil, fmt.Errorf("token %q is made of characters that are no tokens: no list of merges makes it", b.config.Tokens[id])
		}
		byRank[w.rank] = append(byRank[w.rank], [2]int32{w.left, w.right})
	}
	return slices.Concat(byRank...), nil
}
