// Package wordpiece is the WordPiece model of BERT (Schuster and Nakajima 2012;
// Devlin et al. 2018): a word becomes the longest token that it starts with,
// and so on with the rest; a word that cannot be cut so is unknown as a whole.
//
// Deliberately absent: what happens to text before, in packages normalize and
// pretokenize, and files, in package tokenizer.
package wordpiece

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"forja/tokenizer/internal/trie"
)

// MaxToken bounds the length of a token in bytes.
const MaxToken = 1 << 14

// Options say what a Model is made of.
type Options struct {
	Tokens  []string // by id; "" is no token
	Unknown int32    // id of a word that cannot be cut
	Prefix  string   // of tokens that continue a word; BERT has ##
	MaxWord int      // longer words, in characters, are unknown; 0: 100

	// Hidden are tokens that text never produces; it may be nil.
	Hidden func(id int32) bool
}

// A Model is safe for concurrent use.
type Model struct {
	options Options
	trie    *trie.Trie
	inside  int32 // the node of Prefix, where tokens that continue a word start
	ids     map[string]int32
}

// New checks and indexes the tokens. Errors name the token.
func New(o Options) (*Model, error) {
	if o.MaxWord == 0 {
		o.MaxWord = 100
	}
	m := &Model{options: o, ids: make(map[string]int32, len(o.Tokens)), inside: trie.Root}
	if o.Unknown < 0 || int(o.Unknown) >= len(o.Tokens) || o.Tokens[o.Unknown] == "" {
		return nil, fmt.Errorf("build WordPiece: the unknown token has the id %d, which is no token", o.Unknown)
	}
	if o.MaxWord < 0 {
		return nil, fmt.Errorf("build WordPiece: the longest word has %d characters", o.MaxWord)
	}
	var keys []string
	var values []int32
	for id, token := range o.Tokens {
		if token == "" {
			continue
		}
		if len(token) > MaxToken {
			return nil, fmt.Errorf("build WordPiece: token %.30q with id %d is longer than %d bytes", token, id, MaxToken)
		}
		if first, twice := m.ids[token]; twice {
			return nil, fmt.Errorf("build WordPiece: token %q has two ids, %d and %d", token, first, id)
		}
		m.ids[token] = int32(id)
		if o.Hidden == nil || !o.Hidden(int32(id)) {
			keys, values = append(keys, token), append(values, int32(id))
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("build WordPiece: there is no token that text can produce")
	}
	m.trie = trie.Build(keys, values)
	for i := range len(o.Prefix) {
		next, ok := m.trie.Next(m.inside, o.Prefix[i])
		if !ok {
			next = -1
		}
		if m.inside = next; next < 0 {
			break
		}
	}
	return m, nil
}

// Options returns what the model was made of.
func (m *Model) Options() Options { return m.options }

// ID finds a token by its text.
func (m *Model) ID(text string) (int32, bool) {
	id, ok := m.ids[text]
	return id, ok
}

// AppendIDs appends the ids of a word; if ends is not nil, also where in the
// word each ends.
func (m *Model) AppendIDs(dst []int32, ends *[]int, word string) []int32 {
	n := len(dst)
	if len(word) > m.options.MaxWord && utf8.RuneCountInString(word) > m.options.MaxWord {
		return m.unknown(dst, ends, word)
	}
	places := 0
	if ends != nil {
		places = len(*ends)
	}
	for at := 0; at < len(word); {
		node := trie.Root
		if at > 0 {
			node = m.inside
		}
		best, end := int32(-1), at
		for i := at; i < len(word) && node >= 0; {
			next, ok := m.trie.Next(node, word[i])
			if !ok {
				break
			}
			node = next
			i++
			if id := m.trie.Value(node); id >= 0 && (i == len(word) || utf8.RuneStart(word[i])) {
				best, end = id, i
			}
		}
		if best < 0 {
			if ends != nil {
				*ends = (*ends)[:places]
			}
			return m.unknown(dst[:n], ends, word)
		}
		dst = append(dst, best)
		if ends != nil {
			*ends = append(*ends, end)
		}
		at = end
	}
	return dst
}

func (m *Model) unknown(dst []int32, ends *[]int, word string) []int32 {
	if ends != nil {
		*ends = append(*ends, len(word))
	}
	return append(dst, m.options.Unknown)
}

// Bare is a token without the prefix of those that continue a word, and
// whether it had it.
func (m *Model) Bare(token string) (string, bool) {
	if m.options.Prefix == "" {
		return token, false
	}
	return strings.CutPrefix(token, m.options.Prefix)
}

// Len is the highest id plus one.
func (m *Model) Len() int { return len(m.options.Tokens) }

// Text is a token, "" if the id is none.
func (m *Model) Text(id int32) string {
	if id < 0 || int(id) >= len(m.options.Tokens) {
		return ""
	}
	return m.options.Tokens[id]
}
