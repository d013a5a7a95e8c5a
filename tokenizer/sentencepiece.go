package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"math"

	"forja/tokenizer/decode"
	"forja/tokenizer/internal/trie"
	"forja/tokenizer/internal/wire"
	"forja/tokenizer/normalize"
	"forja/tokenizer/unigram"
)

// The fields of a SentencePiece .model (sentencepiece_model.proto) that are
// read and written.
const (
	modelPieces, modelTrainer, modelNormalizer = 1, 2, 3

	pieceText, pieceScore, pieceType = 1, 2, 3

	trainerModelType, trainerSize      = 3, 4
	trainerSuffix, trainerByteFallback = 24, 35
	trainerUnknown, trainerBegin       = 40, 41
	trainerEnd, trainerPad             = 42, 43
	trainerUnknownPiece                = 45
	trainerBeginPiece, trainerEndPiece = 46, 47
	trainerPadPiece, trainerSurface    = 48, 44
	normalizerName, normalizerCharsmap = 1, 2
	normalizerPrefix, normalizerRemove = 3, 4
	normalizerEscape                   = 5
)

// Kinds of models and of pieces in a .model.
const (
	spmUnigram, spmBPE, spmWord, spmChar = 1, 2, 3, 4

	spmNormal, spmUnknown, spmControl, spmUser, spmUnused, spmByte = 1, 2, 3, 4, 5, 6
)

// spmModel is a .model while it is read or written.
type spmModel struct {
	pieces       []spmPiece
	kind         uint64
	suffix       bool
	byteFallback bool
	charsmap     []byte
	name         string // of the normalization rules
	prefix       bool
	removeExtra  bool
	escape       bool
}

type spmPiece struct {
	text  string
	score float32
	kind  uint64
}

// ReadSentencePiece reads a .model of SentencePiece: Unigram, BPE or
// characters. Its ids are those of SentencePiece's encoder without options.
// Control pieces and the unknown piece become special tokens.
//
// Errors name the piece. Models of words, and BPE models with unused pieces,
// are refused.
func ReadSentencePiece(r io.Reader) (*Pipeline, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read SentencePiece model: %w", err)
	}
	m := spmModel{kind: spmUnigram, prefix: true, removeExtra: true, escape: true}
	if err := m.read(data); err != nil {
		return nil, fmt.Errorf("read SentencePiece model: %w", err)
	}
	p, err := m.build()
	if err != nil {
		return nil, fmt.Errorf("read SentencePiece model: %w", err)
	}
	return p, nil
}

// fields calls do for every field of a message.
func fields(message []byte, do func(f wire.Field) error) error {
	for at := 0; len(message) > 0; {
		f, rest, err := wire.Next(message)
		if err == nil {
			err = do(f)
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
		at += len(message) - len(rest)
		message = rest
	}
	return nil
}

func (m *spmModel) read(data []byte) error {
	err := fields(data, func(f wire.Field) error {
		switch {
		case f.Number == modelPieces && f.Type == wire.Bytes:
			p := spmPiece{kind: spmNormal}
			err := fields(f.Data, func(f wire.Field) error {
				switch {
				case f.Number == pieceText && f.Type == wire.Bytes:
					p.text = string(f.Data)
				case f.Number == pieceScore && f.Type == wire.Fixed32:
					p.score = f.Float()
				case f.Number == pieceType && f.Type == wire.Varint:
					p.kind = f.Value
				}
				return nil
			})
			if len(m.pieces) >= MaxVocab {
				return fmt.Errorf("more than %d pieces", MaxVocab)
			}
			m.pieces = append(m.pieces, p)
			return err
		case f.Number == modelTrainer && f.Type == wire.Bytes:
			return fields(f.Data, m.readTrainer)
		case f.Number == modelNormalizer && f.Type == wire.Bytes:
			return fields(f.Data, m.readNormalizer)
		}
		return nil
	})
	if err == nil && len(m.pieces) == 0 {
		err = errors.New("it has no pieces: is this a SentencePiece model?")
	}
	return err
}

func (m *spmModel) readTrainer(f wire.Field) error {
	switch {
	case f.Type != wire.Varint:
	case f.Number == trainerModelType:
		m.kind = f.Value
	case f.Number == trainerSuffix:
		m.suffix = f.Value != 0
	case f.Number == trainerByteFallback:
		m.byteFallback = f.Value != 0
	}
	return nil
}

func (m *spmModel) readNormalizer(f wire.Field) error {
	switch {
	case f.Number == normalizerName && f.Type == wire.Bytes:
		m.name = string(f.Data)
	case f.Number == normalizerCharsmap && f.Type == wire.Bytes:
		m.charsmap = f.Data
	case f.Type != wire.Varint:
	case f.Number == normalizerPrefix:
		m.prefix = f.Value != 0
	case f.Number == normalizerRemove:
		m.removeExtra = f.Value != 0
	case f.Number == normalizerEscape:
		m.escape = f.Value != 0
	}
	return nil
}

// build turns what was read into a pipeline.
func (m *spmModel) build() (*Pipeline, error) {
	rules := normalize.SentencePiece{Prefix: m.prefix, Suffix: m.suffix, RemoveExtra: m.removeExtra, Escape: m.escape, Name: m.name}
	if len(m.charsmap) > 0 {
		var err error
		if rules.Map, err = normalize.ParseCharsmap(m.charsmap); err != nil {
			return nil, err
		}
	}
	unknown := int32(-1)
	var specials []Special
	var user []int32
	var userTexts []string
	seen := make(map[string]int, len(m.pieces))
	for id, p := range m.pieces {
		if p.text == "" {
			return nil, fmt.Errorf("piece %d is empty", id)
		}
		if first, twice := seen[p.text]; twice {
			return nil, fmt.Errorf("piece %q has two ids, %d and %d", p.text, first, id)
		}
		seen[p.text] = id
		if math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0) {
			return nil, fmt.Errorf("piece %q with id %d has the score %v", p.text, id, p.score)
		}
		switch p.kind {
		case spmUnknown:
			if unknown >= 0 {
				return nil, fmt.Errorf("pieces %d and %d are both unknown", unknown, id)
			}
			unknown = int32(id)
			specials = append(specials, Special{ID: int32(id), Content: p.text})
		case spmControl:
			specials = append(specials, Special{ID: int32(id), Content: p.text})
		case spmUser:
			user = append(user, int32(id))
			userTexts = append(userTexts, p.text)
		case spmByte:
			if _, ok := decode.Byte(p.text); !ok {
				return nil, fmt.Errorf("piece %q with id %d is said to be a byte", p.text, id)
			}
		case spmNormal, spmUnused:
		default:
			return nil, fmt.Errorf("piece %q with id %d is of the unknown kind %d", p.text, id, p.kind)
		}
	}
	if unknown < 0 {
		return nil, errors.New("no piece is the unknown one")
	}
	if len(user) > 0 {
		matcher := trie.Build(userTexts, user)
		rules.Verbatim = func(s string) int {
			n, _ := matcher.Longest(s)
			return n
		}
	}
	var model Model
	var err error
	switch m.kind {
	case spmUnigram:
		model, err = m.unigram(unknown)
	case spmBPE, spmChar:
		model, err = m.charBPE(unknown, user)
	default:
		err = fmt.Errorf("models of the kind %d are not supported; Unigram (1), BPE (2) and characters (4) are", m.kind)
	}
	if err != nil {
		return nil, err
	}
	chain := decode.Chain{decode.SentencePiece{Trim: m.prefix || m.removeExtra, All: m.removeExtra, Unknown: m.pieces[unknown].text}}
	if m.byteFallback {
		chain = append(decode.Chain{decode.ByteFallback{}}, chain...)
	}
	return NewPipeline(PipelineConfig{Normalizer: rules, Model: model, Decoder: chain, Specials: specials})
}

func (m *spmModel) unigram(unknown int32) (Model, error) {
	o := unigram.Options{Unknown: unknown, ByteFallback: m.byteFallback, Single: true}
	for _, p := range m.pieces {
		kind := unigram.Hidden
		switch p.kind {
		case spmNormal:
			kind = unigram.Normal
		case spmUser:
			kind = unigram.User
		case spmByte:
			kind = unigram.Byte
		}
		o.Pieces = append(o.Pieces, unigram.Piece{Text: p.text, Score: float64(p.score), Kind: kind})
	}
	return unigram.New(o)
}

func (m *spmModel) charBPE(unknown int32, user []int32) (Model, error) {
	config := CharBPEConfig{Unknown: unknown, FuseUnknown: true, ByteFallback: m.byteFallback, User: user}
	hidden := map[int32]bool{}
	for id, p := range m.pieces {
		config.Tokens = append(config.Tokens, p.text)
		config.Scores = append(config.Scores, p.score)
		hidden[int32(id)] = p.kind != spmNormal && p.kind != spmUser
		if p.kind == spmUnused && m.kind == spmBPE {
			return nil, fmt.Errorf("piece %q with id %d is unused, which is not supported in a BPE model", p.text, id)
		}
		if m.kind == spmChar && p.kind == spmNormal && characterLen(p.text) != len(p.text) {
			return nil, fmt.Errorf("piece %q with id %d is not one character", p.text, id)
		}
	}
	config.Hidden = func(id int32) bool { return hidden[id] }
	return NewCharBPE(config)
}
