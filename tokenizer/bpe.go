package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
)

// BPE is a byte-level byte pair encoding (Sennrich et al. 2016; GPT-2). Text
// is cut into pre-tokens; each starts as its bytes, and of all neighbours that
// may merge the pair of the lowest rank does, the leftmost first, until none
// is left.
type BPE struct {
	config BPEConfig

	blob    string   // the bytes of all tokens, by id, specials included
	offsets []uint32 // token id is blob[offsets[id]:offsets[id+1]]
	ids     tokenTable
	special map[int32]Special
	byteIDs [256]int32

	merges [][2]int32 // what Merges returns
	mergeTable

	workspaces  sync.Pool // of *workspace
	fingerprint func() string
}

// BPEConfig says what a BPE is made of.
type BPEConfig struct {
	// Tokens holds the bytes of the ordinary tokens by id. An empty string
	// is an id without an ordinary token. All 256 bytes must be tokens.
	Tokens []string

	// Merges are pairs of ids in order of rank. Their bytes joined must be
	// the bytes of a token.
	Merges [][2]int32

	// Ranked makes ids ranks, as in .tiktoken files: any two tokens merge
	// whose bytes joined are a token, whose id is the rank. Merges is empty.
	Ranked bool

	// WholeWords encodes a pre-token that is a token as that token, merges or
	// not ("ignore_merges" of Hugging Face). Ranked implies it.
	WholeWords bool

	// Specials are the special tokens. Where one has the id of an ordinary
	// token, both must have the same bytes, and it must be Visible: text may
	// produce it.
	Specials []Special

	// Split is the pre-tokenizer.
	Split *split.Pattern

	// Template is what Apply of TemplateOf puts around texts.
	Template *Template

	// NFC brings text into Unicode normalization form C before it is encoded.
	NFC bool
}

// NewBPE builds a BPE. The slices of the configuration must not change later.
// Errors name the first token, merge or special token that is wrong.
func NewBPE(config BPEConfig) (*BPE, error) {
	b := &BPE{config: config}
	b.config.Specials = slices.SortedFunc(slices.Values(config.Specials), func(x, y Special) int { return cmp.Compare(x.ID, y.ID) })
	if b.config.Ranked {
		b.config.WholeWords = true
	}
	for _, step := range []func() error{b.checkConfig, b.indexTokens, b.indexSpecials, b.layOut, b.indexMerges} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("build BPE tokenizer: %w", err)
		}
	}
	b.setLow(slices.Max(b.byteIDs[:]) + 1)
	b.workspaces.New = func() any { return newWorkspace() }
	b.fingerprint = sync.OnceValue(b.computeFingerprint)
	return b, nil
}

func (b *BPE) checkConfig() error {
	switch c := &b.config; {
	case c.Split == nil:
		return errors.New("no split pattern")
	case len(c.Tokens) > MaxVocab:
		return fmt.Errorf("%d tokens, more than the limit of %d", len(c.Tokens), MaxVocab)
	case len(c.Merges) > maxMerges:
		return fmt.Errorf("%d merges, more than the limit of %d", len(c.Merges), maxMerges)
	case c.Ranked && len(c.Merges) > 0:
		return errors.New("both merges and ranks")
	}
	return nil
}

// indexTokens finds the ids of ordinary tokens and of bytes.
func (b *BPE) indexTokens() error {
	var first, second int32
	if b.ids, first, second = newTokenTable(b.config.Tokens); second >= 0 {
		return fmt.Errorf("token %q has two ids, %d and %d", b.config.Tokens[first], first, second)
	}
	for c := range 256 {
		id, ok := b.ids.find(string([]byte{byte(c)}))
		if !ok {
			return fmt.Errorf("byte 0x%02x is not a token: a byte-level vocabulary needs all 256", c)
		}
		b.byteIDs[c] = id
	}
	return nil
}

func (b *BPE) indexSpecials() error {
	b.special = make(map[int32]Special, len(b.config.Specials))
	contents := make(map[string]int32, len(b.config.Specials))
	for _, s := range b.config.Specials {
		if err := checkSpecial(s, b.special, contents); err != nil {
			return err
		}
		if id, ok := b.ids.find(s.Content); ok && id != s.ID {
			return fmt.Errorf("special token %q with id %d is also the ordinary token %d", s.Content, s.ID, id)
		}
		if int(s.ID) < len(b.config.Tokens) && b.config.Tokens[s.ID] != "" {
			if token := b.config.Tokens[s.ID]; token != s.Content || !s.Visible {
				return fmt.Errorf("special token %q has the id %d of the ordinary token %q", s.Content, s.ID, token)
			}
		}
		b.special[s.ID] = s
		contents[s.Content] = s.ID
	}
	return nil
}

// layOut puts the bytes of all tokens one behind the other, for decoding.
func (b *BPE) layOut() error {
	size := 0
	for id, token := range b.config.Tokens {
		if token != "" {
			size = id + 1
		}
	}
	for _, s := range b.config.Specials {
		size = max(size, int(s.ID)+1)
	}
	var blob []byte
	b.offsets = make([]uint32, size+1)
	for id := range size {
		if s, ok := b.special[int32(id)]; ok {
			blob = append(blob, s.Content...)
		} else if id < len(b.config.Tokens) {
			blob = append(blob, b.config.Tokens[id]...)
		}
		if len(blob) > maxBlob {
			return fmt.Errorf("the tokens are longer than %d bytes together", maxBlob)
		}
		b.offsets[id+1] = uint32(len(blob))
	}
	b.blob = string(blob)
	b.sizes = make([]int32, len(b.config.Tokens))
	for id, token := range b.config.Tokens {
		b.sizes[id] = int32(len(token))
	}
	return nil
}

const maxBlob = 1 << 30

func (b *BPE) indexMerges() error {
	if b.config.Ranked {
		return b.indexRanks()
	}
	b.merges = b.config.Merges
	b.pairs = newPairTable(len(b.config.Merges))
	b.mergedID = make([]int32, len(b.config.Merges))
	for rank, merge := range b.config.Merges {
		left, right := b.ordinary(merge[0]), b.ordinary(merge[1])
		if left == "" || right == "" {
			return fmt.Errorf("merge %d joins the ids %d and %d, which are not both ordinary tokens", rank, merge[0], merge[1])
		}
		id, ok := b.ids.findJoined(merge[0], merge[1])
		if !ok {
			return fmt.Errorf("merge %d of %q and %q gives %q, which is not a token", rank, left, right, left+right)
		}
		if !b.pairs.add(merge[0], merge[1], uint32(rank)) {
			return fmt.Errorf("merge %d of %q and %q is listed twice", rank, left, right)
		}
		b.mergedID[rank] = id
	}
	return nil
}

// indexRanks enters every way to cut a token into two tokens.
func (b *BPE) indexRanks() error {
	b.merges = make([][2]int32, 0, 3*len(b.config.Tokens))
	ranks := make([]uint32, 0, 3*len(b.config.Tokens)) // of b.merges
	ids := &b.ids
	for id, token := range b.config.Tokens {
		var hash uint64 // of token[:at]
		for at := 1; at < len(token); at++ {
			hash = hashByte(hash, token[at-1])
			if left, ok := ids.findHash(hash, token[:at]); ok {
				if right, ok := ids.findHash(ids.hashes[id]-hash*ids.powers[len(token)-at], token[at:]); ok {
					b.merges = append(b.merges, [2]int32{left, right})
					ranks = append(ranks, uint32(id))
				}
			}
		}
		if len(b.merges) > maxMerges {
			return fmt.Errorf("more than %d ways to merge two tokens", maxMerges)
		}
	}
	b.pairs = newPairTable(len(b.merges))
	for i, merge := range b.merges {
		b.pairs.add(merge[0], merge[1], ranks[i])
	}
	b.mergedID = make([]int32, len(b.config.Tokens))
	for id := range b.mergedID {
		b.mergedID[id] = int32(id)
	}
	return nil
}

// ordinary is the bytes of an ordinary token, "" if the id is none.
func (b *BPE) ordinary(id int32) string {
	if id < 0 || int(id) >= len(b.config.Tokens) {
		return ""
	}
	return b.config.Tokens[id]
}

// EncodeTo implements Tokenizer.
func (b *BPE) EncodeTo(dst []int32, text string) []int32 {
	w := b.workspaces.Get().(*workspace)
	dst = b.encode(w, dst, b.normalize(text))
	b.workspaces.Put(w)
	return dst
}

// Encode implements Tokenizer.
func (b *BPE) Encode(text string) []int32 {
	return b.EncodeTo(make([]int32, 0, len(text)/4+4), text)
}

// Count implements Tokenizer.
func (b *BPE) Count(text string) int {
	w := b.workspaces.Get().(*workspace)
	count := b.count(w, b.normalize(text))
	b.workspaces.Put(w)
	return count
}

func (b *BPE) encode(w *workspace, dst []int32, text string) []int32 {
	if !b.config.Split.Scans() {
		return b.encodeCompiled(w, dst, text)
	}
	for len(text) > 0 {
		n := min(b.config.Split.Next(text), maxWord)
		ids := b.word(w, text[:n])
		if len(ids) == 1 {
			dst = append(dst, ids[0])
		} else {
			dst = append(dst, ids...)
		}
		text = text[n:]
	}
	return dst
}

func (b *BPE) encodeCompiled(w *workspace, dst []int32, text string) []int32 {
	for word := range b.config.Split.All(text) {
		dst = b.appendWord(w, dst, word)
	}
	return dst
}

// appendWord appends the ids of a pre-token; a very long one is cut.
func (b *BPE) appendWord(w *workspace, dst []int32, word string) []int32 {
	for len(word) > 0 {
		n := min(len(word), maxWord)
		dst = append(dst, b.word(w, word[:n])...)
		word = word[n:]
	}
	return dst
}

func (b *BPE) count(w *workspace, text string) int {
	if !b.config.Split.Scans() {
		return len(b.encodeCompiled(w, nil, text))
	}
	count := 0
	for len(text) > 0 {
		n := min(b.config.Split.Next(text), maxWord)
		count += len(b.word(w, text[:n]))
		text = text[n:]
	}
	return count
}

// Tokens implements Tokenizer.
func (b *BPE) Tokens(text string) iter.Seq2[int32, Span] {
	return func(yield func(int32, Span) bool) {
		w := b.workspaces.Get().(*workspace)
		defer b.workspaces.Put(w)
		t := normalize.Of(text, b.config.NFC)
		if b.config.NFC {
			t = normalize.NFC.Normalize(t)
		}
		for id, span := range b.tokens(w, t) {
			if !yield(id, t.Place(span.Start, span.End)) {
				return
			}
		}
	}
}

// tokens yields the ids of a normalized text and their places in it.
func (b *BPE) tokens(w *workspace, t normalize.Text) iter.Seq2[int32, Span] {
	return func(yield func(int32, Span) bool) {
		start := 0
		for word := range b.config.Split.All(t.S) {
			for len(word) > 0 {
				n := min(len(word), maxWord)
				for _, id := range b.word(w, word[:n]) {
					end := start + len(b.ordinary(id))
					if !yield(id, Span{Start: start, End: end}) {
						return
					}
					start = end
				}
				word = word[n:]
			}
		}
	}
}

func (b *BPE) normalize(text string) string {
	if b.config.NFC {
		return normalize.NFC.Normalize(normalize.Of(text, false)).S
	}
	return text
}

// DecodeTo implements Tokenizer.
func (b *BPE) DecodeTo(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		if uint32(id) < uint32(len(b.offsets)-1) {
			dst = append(dst, b.blob[b.offsets[id]:b.offsets[id+1]]...)
		}
	}
	return dst
}

// Decode implements Tokenizer.
func (b *BPE) Decode(ids []int32) string {
	return string(b.DecodeTo(make([]byte, 0, 4*len(ids)), ids))
}

// VocabSize implements Tokenizer.
func (b *BPE) VocabSize() int { return len(b.offsets) - 1 }

// Token implements Tokenizer.
func (b *BPE) Token(id int32) (Token, bool) {
	if uint32(id) >= uint32(len(b.offsets)-1) || b.offsets[id] == b.offsets[id+1] {
		return Token{}, false
	}
	return Token{Bytes: b.blob[b.offsets[id]:b.offsets[id+1]], Special: b.ordinary(id) == ""}, true
}

// ID implements Tokenizer.
func (b *BPE) ID(token string) (int32, bool) {
	if id, ok := b.ids.find(token); ok {
		return id, true
	}
	for _, s := range b.config.Specials {
		if s.Content == token {
			return s.ID, true
		}
	}
	return 0, false
}

// Specials implements Tokenizer.
func (b *BPE) Specials() []Special { return slices.Clone(b.config.Specials) }

// Split returns the pre-tokenizer.
func (b *BPE) Split() *split.Pattern { return b.config.Split }

// Merges returns the merges in order of rank. Those of a Ranked BPE are all
// the ways to make each token of two, by id, then by the left half, shortest
// first. The caller must not change them.
func (b *BPE) Merges() [][2]int32 { return b.merges }

// AppendIDs implements Model: a BPE is one, for pieces that another
// pre-tokenizer than its own has cut.
func (b *BPE) AppendIDs(dst []int32, ends *[]int, piece string) []int32 {
	w := b.workspaces.Get().(*workspace)
	first := len(dst)
	dst = b.appendWord(w, dst, piece)
	b.workspaces.Put(w)
	if ends != nil {
		end := 0
		for _, id := range dst[first:] {
			end += len(b.ordinary(id))
			*ends = append(*ends, end)
		}
	}
	return dst
}

// Len implements Model.
func (b *BPE) Len() int { return b.VocabSize() }

// Text implements Model.
func (b *BPE) Text(id int32) string {
	t, _ := b.Token(id)
	return t.Bytes
}

// NewBytes makes the tokenizer whose ids are the bytes of text, with special
// tokens behind them.
func NewBytes(specials ...string) (*BPE, error) {
	config := BPEConfig{Split: split.GPT2}
	for c := range 256 {
		config.Tokens = append(config.Tokens, string([]byte{byte(c)}))
	}
	for i, content := range specials {
		config.Specials = append(config.Specials, Special{ID: int32(256 + i), Content: content})
	}
	return NewBPE(config)
}
