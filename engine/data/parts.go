package data

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
)

// EncodeShard tokenizes documents in parallel into one shard, which it writes to w: a part of a set that several processes
// make. Where no document gives a token it writes nothing, and the ManifestShard is zero. A shard is closed by the end of the documents alone. The shard is held in memory.
func EncodeShard(ctx context.Context, w io.Writer, docs iter.Seq2[Document, error], encoder Encoder, o BuildOptions) (ManifestShard, error) {
	if err := o.Format.check(); err != nil {
		return ManifestShard{}, fmt.Errorf("tokenize: %w", err)
	}
	o.setDefaults()
	s := shardBuilder{Format: o.Format}
	var progress BuildProgress
	for c := range encodeAll(ctx, docs, encoder, o.Workers) {
		for i, ids := range c.ids {
			if err := s.add(ids, len(c.texts[i])); err != nil {
				return ManifestShard{}, fmt.Errorf("tokenize: %w", err)
			}
			progress.Documents++
			progress.TextBytes += int64(len(c.texts[i]))
		}
		if progress.Tokens = s.count; o.Progress != nil {
			o.Progress(progress)
		}
		if c.err != nil {
			return ManifestShard{}, c.err
		}
	}
	if ctx.Err() != nil {
		return ManifestShard{}, fmt.Errorf("tokenize: %w", context.Cause(ctx))
	}
	if s.count == 0 {
		return ManifestShard{}, nil
	}
	front, tokens, payload := s.encode()
	for _, b := range [][]byte{front, tokens} {
		if _, err := w.Write(b); err != nil {
			return ManifestShard{}, err
		}
	}
	return ManifestShard{Documents: int64(len(s.index)), Tokens: s.count, TextBytes: s.textBytes, Payload: hex.EncodeToString(payload[:])}, nil
}

// A Merger writes the manifest of shards that were made apart.
type Merger struct {
	manifest Manifest
	format   Format
}

// Add takes in the next shard, of which it reads the header. File is its name from the folder of the set.
func (m *Merger) Add(file string, r io.Reader) error {
	b := make([]byte, headerSize)
	if n, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("token shard %s: %d bytes are shorter than a header: %w", file, n, err)
	}
	h, err := decodeHeader(b)
	if err != nil {
		return fmt.Errorf("token shard %s: %w", file, err)
	}
	if len(m.manifest.Shards) == 0 {
		m.format = h.Format
		m.manifest = Manifest{Version: shardVersion, VocabSize: h.VocabSize, Begin: h.Begin, End: h.End, Fingerprint: hex.EncodeToString(h.Fingerprint[:])}
	} else if h.Format != m.format {
		return fmt.Errorf("token shard %s: %w than %s: make all with one", file, ErrTokenizer, m.manifest.Shards[0].File)
	}
	m.manifest.add(ManifestShard{file, h.documents, h.tokens, h.textBytes, hex.EncodeToString(h.payload[:])})
	return nil
}

// Manifest gives what was taken in, and the bytes of its file, [ManifestName].
func (m *Merger) Manifest() (Manifest, []byte, error) {
	if len(m.manifest.Shards) == 0 {
		return Manifest{}, nil, ErrEmpty
	}
	b, err := m.manifest.encode()
	return m.manifest, b, err
}

func (m *Manifest) add(s ManifestShard) {
	m.Shards = append(m.Shards, s)
	m.Documents += s.Documents
	m.Tokens += s.Tokens
	m.TextBytes += s.TextBytes
}

func (m *Manifest) encode() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}
