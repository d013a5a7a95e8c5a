package tokenizer

import (
	"errors"
	"fmt"
	"io"

	"forja/tokenizer/decode"
	"forja/tokenizer/internal/wire"
	"forja/tokenizer/normalize"
	"forja/tokenizer/unigram"
)

// WriteSentencePiece writes a Unigram model or a CharBPE as a .model that
// SentencePiece loads and that gives the same ids there. What normalizes text
// must be a normalize.SentencePiece, as ReadSentencePiece and the trainers for
// this format make it, or the rules of LLaMA's tokenizer.json. It fails, saying
// why, if the file cannot express t.
func WriteSentencePiece(w io.Writer, t Tokenizer) error {
	m, err := spmOf(t)
	if err != nil {
		return fmt.Errorf("write SentencePiece model: %w", err)
	}
	if _, err := w.Write(m.append(nil)); err != nil {
		return fmt.Errorf("write SentencePiece model: %w", err)
	}
	return nil
}

// spmOf is t as a .model holds it.
func spmOf(t Tokenizer) (*spmModel, error) {
	p, ok := unwrap(t).(*Pipeline)
	if !ok {
		return nil, errors.New("the file is for Unigram and BPE over characters; a byte-level BPE has no form in it")
	}
	if p.config.PreTokenizer != nil {
		return nil, errors.New("the file has no pre-tokenizers: SentencePiece cuts nothing before its model")
	}
	m := &spmModel{}
	if err := m.setRules(p.config.Normalizer); err != nil {
		return nil, err
	}
	var unknown int32
	switch model := p.config.Model.(type) {
	case *unigram.Model:
		o := model.Options()
		m.kind, m.byteFallback, unknown = spmUnigram, o.ByteFallback, o.Unknown
		kinds := map[unigram.Kind]uint64{unigram.Normal: spmNormal, unigram.User: spmUser, unigram.Byte: spmByte, unigram.Hidden: spmUnused}
		for _, piece := range o.Pieces {
			m.pieces = append(m.pieces, spmPiece{piece.Text, float32(piece.Score), kinds[piece.Kind]})
		}
	case *CharBPE:
		if err := m.setCharBPE(model); err != nil {
			return nil, err
		}
		unknown = model.config.Unknown
	default:
		return nil, errors.New("the file is for Unigram and BPE over characters, which this model is not")
	}
	if unknown < 0 {
		return nil, errors.New("the file needs a token for unknown characters, which this model has not")
	}
	for _, s := range p.config.Specials {
		if int(s.ID) >= len(m.pieces) {
			return nil, fmt.Errorf("special token %q has the id %d behind the %d pieces of the model", s.Content, s.ID, len(m.pieces))
		}
		m.pieces[s.ID].text = s.Content
		m.pieces[s.ID].kind = spmControl
		if s.Visible {
			m.pieces[s.ID].kind = spmUser
		}
	}
	m.pieces[unknown].kind = spmUnknown
	for id, piece := range m.pieces {
		if piece.text == "" {
			return nil, fmt.Errorf("id %d is no token: the file has no holes", id)
		}
	}
	return m, nil
}

// setRules turns a normalizer into the settings of the file.
func (m *spmModel) setRules(n normalize.Normalizer) error {
	m.name = "identity"
	if n, ok := n.(normalize.SentencePiece); ok {
		m.prefix, m.suffix, m.removeExtra, m.escape, m.name = n.Prefix, n.Suffix, n.RemoveExtra, n.Escape, n.Name
		if n.Map != nil {
			m.charsmap = n.Map.Blob()
		}
		return nil
	}
	// LLaMA: a mark before the text, and marks for blanks.
	rest, _ := n.(normalize.Sequence)
	if len(rest) == 2 && rest[0] == (normalize.Prepend{Prefix: normalize.Meta}) {
		m.prefix = true
		rest = rest[1:]
	}
	if len(rest) == 1 && rest[0] == normalize.NewReplace(" ", normalize.Meta) {
		m.escape = true
		return nil
	}
	return errors.New("the file has no form for how text is normalized: only the rules of SentencePiece and of LLaMA have one")
}

// setCharBPE turns merges into scores: what is merged first scores higher.
func (m *spmModel) setCharBPE(b *CharBPE) error {
	c := &b.config
	m.kind, m.byteFallback = spmBPE, c.ByteFallback
	switch {
	case c.Prefix+c.Suffix != "":
		return errors.New("the file has no form for tokens with a prefix or suffix")
	case !c.FuseUnknown && !c.ByteFallback:
		return errors.New("SentencePiece gives one id to unknown characters that follow each other, this model one to each")
	case c.WholeWords:
		return errors.New("the file cannot say that whole words are looked up before they are merged")
	}
	scores := c.Scores
	if scores == nil {
		scores = make([]float32, len(c.Tokens))
		made := make(map[int32]bool, len(c.Merges))
		for rank := range c.Merges {
			if id := b.mergedID[rank]; !made[id] {
				made[id] = true
				scores[id] = -float32(len(made))
			}
		}
		for id, token := range c.Tokens {
			if !made[int32(id)] && token != "" && characterLen(token) < len(token) && !b.hidden(int32(id)) {
				if _, ok := decode.Byte(token); !ok {
					return fmt.Errorf("token %q with id %d is made by no merge; in the file every token can be made", token, id)
				}
			}
		}
		if len(made) >= 1<<24 {
			return errors.New("more merges than scores can rank")
		}
		if err := m.checkScores(b, scores); err != nil {
			return err
		}
	}
	user := make(map[int32]bool)
	for _, id := range c.User {
		user[id] = true
	}
	for id, token := range c.Tokens {
		kind := uint64(spmNormal)
		_, isByte := decode.Byte(token)
		switch {
		case user[int32(id)]:
			kind = spmUser
		case isByte && c.ByteFallback:
			kind = spmByte
		case b.hidden(int32(id)):
			kind = spmControl
		}
		m.pieces = append(m.pieces, spmPiece{token, scores[id], kind})
	}
	return nil
}

// checkScores fails unless scores let merge exactly what the list of merges
// does, in the same order.
func (m *spmModel) checkScores(b *CharBPE, scores []float32) error {
	config := b.config
	config.Merges, config.Scores = nil, scores
	scored, err := NewCharBPE(config)
	if err != nil {
		return err
	}
	pairs, err := scored.mergeList()
	if err != nil {
		return err
	}
	listed := make(map[[2]int32]bool, len(b.config.Merges))
	for _, merge := range b.config.Merges {
		listed[merge] = true
	}
	for _, pair := range pairs {
		if !listed[pair] {
			return fmt.Errorf("%q and %q together are a token, but do not merge; by the scores of the file they would", b.Text(pair[0]), b.Text(pair[1]))
		}
	}
	return nil
}

// append appends the file.
func (m *spmModel) append(dst []byte) []byte {
	flag := func(dst []byte, number int, set bool) []byte {
		value := uint64(0)
		if set {
			value = 1
		}
		return wire.AppendVarint(dst, number, value)
	}
	roles := map[string]int32{}
	for id, p := range m.pieces {
		piece := wire.AppendBytes(nil, pieceText, p.text)
		piece = wire.AppendFloat(piece, pieceScore, p.score)
		if p.kind != spmNormal {
			piece = wire.AppendVarint(piece, pieceType, p.kind)
		}
		dst = wire.AppendBytes(dst, modelPieces, piece)
		if p.kind == spmControl {
			roles[p.text] = int32(id)
		}
		if p.kind == spmUnknown {
			roles[""] = int32(id)
		}
	}
	trainer := wire.AppendVarint(nil, trainerModelType, m.kind)
	trainer = wire.AppendVarint(trainer, trainerSize, uint64(len(m.pieces)))
	trainer = flag(trainer, trainerSuffix, m.suffix)
	trainer = flag(trainer, trainerByteFallback, m.byteFallback)
	trainer = wire.AppendVarint(trainer, trainerUnknown, uint64(roles[""]))
	trainer = wire.AppendBytes(trainer, trainerUnknownPiece, m.pieces[roles[""]].text)
	for _, role := range []struct {
		names       []string
		id, content int
	}{{[]string{"<s>", "<bos>"}, trainerBegin, trainerBeginPiece}, {[]string{"</s>", "<eos>"}, trainerEnd, trainerEndPiece}, {[]string{"<pad>"}, trainerPad, trainerPadPiece}} {
		id, name := int32(-1), role.names[0]
		for _, n := range role.names {
			if at, ok := roles[n]; ok && id < 0 {
				id, name = at, n
			}
		}
		trainer = wire.AppendVarint(trainer, role.id, uint64(int64(id)))
		trainer = wire.AppendBytes(trainer, role.content, name)
	}
	dst = wire.AppendBytes(dst, modelTrainer, trainer)
	rules := wire.AppendBytes(nil, normalizerName, m.name)
	rules = wire.AppendBytes(rules, normalizerCharsmap, m.charsmap)
	rules = flag(rules, normalizerPrefix, m.prefix)
	rules = flag(rules, normalizerRemove, m.removeExtra)
	rules = flag(rules, normalizerEscape, m.escape)
	return wire.AppendBytes(dst, modelNormalizer, rules)
}
