package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

const (
	shardMagic   = "FORJATOK"
	shardVersion = 1
	headerSize   = 128
	indexEntry   = 16      // bytes per document
	blockSize    = 1 << 14 // bytes of tokens under one checksum

	// MaxVocab is the largest vocabulary a shard can name.
	MaxVocab = 1 << 30
	// maxTokens and maxDocuments keep every size computed from a header far from overflow.
	maxTokens    = 1 << 48
	maxDocuments = 1 << 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Format is what all shards of a set share.
type Format struct {
	VocabSize   int
	Begin, End  int32             // ids put around each document; -1 for none
	Fingerprint [sha256.Size]byte // SHA-256 of the tokenizer
}

// width is the bytes of one token.
func (f Format) width() int {
	if f.VocabSize <= 1<<16 {
		return 2
	}
	return 4
}

// around is how many tokens of every document are not text.
func (f Format) around() int {
	n := 0
	if f.Begin >= 0 {
		n++
	}
	if f.End >= 0 {
		n++
	}
	return n
}

func (f Format) check() error {
	if f.VocabSize < 1 || f.VocabSize > MaxVocab {
		return fmt.Errorf("vocabulary of %d ids; want 1 to %d", f.VocabSize, MaxVocab)
	}
	for _, id := range []int32{f.Begin, f.End} {
		if id < -1 || int(id) >= f.VocabSize {
			return fmt.Errorf("document boundary id %d is outside the vocabulary of %d ids", id, f.VocabSize)
		}
	}
	return nil
}

// A header is the first headerSize bytes of a shard, decoded.
type header struct {
	Format
	documents, tokens, textBytes int64
	payload                      [sha256.Size]byte // SHA-256 of what follows the header
	frontSum                     uint32            // CRC-32C of what lies between header and tokens
}

func (h header) blocks() int64 {
	return (h.tokens*int64(h.width()) + blockSize - 1) / blockSize
}

// tokensAt is the offset of the first token in the file.
func (h header) tokensAt() int64 { return headerSize + indexEntry*h.documents + 4*h.blocks() }

func (h header) fileSize() int64 { return h.tokensAt() + h.tokens*int64(h.width()) }

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, shardMagic)
	le.PutUint32(b[8:], shardVersion)
	le.PutUint32(b[12:], uint32(h.width()))
	le.PutUint32(b[16:], uint32(h.VocabSize))
	le.PutUint32(b[20:], uint32(h.Begin))
	le.PutUint32(b[24:], uint32(h.End))
	le.PutUint64(b[32:], uint64(h.documents))
	le.PutUint64(b[40:], uint64(h.tokens))
	le.PutUint64(b[48:], uint64(h.textBytes))
	copy(b[56:], h.Fingerprint[:])
	copy(b[88:], h.payload[:])
	le.PutUint32(b[120:], h.frontSum)
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decodeHeader reads a header and checks everything that can be checked
// without the rest of the file.
func decodeHeader(b []byte) (header, error) {
	var h header
	le := binary.LittleEndian
	if len(b) < headerSize {
		return h, fmt.Errorf("file of %d bytes is shorter than a header", len(b))
	}
	if string(b[:8]) != shardMagic {
		return h, fmt.Errorf("not a token shard: it starts with %q", b[:8])
	}
	if v := le.Uint32(b[8:]); v != shardVersion {
		return h, fmt.Errorf("shard version %d; this program reads version %d", v, shardVersion)
	}
	if crc32.Checksum(b[:124], castagnoli) != le.Uint32(b[124:]) {
		return h, fmt.Errorf("header is damaged: its checksum does not match")
	}
	vocab, documents, tokens, text := le.Uint32(b[16:]), le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])
	if vocab > MaxVocab || documents < 1 || documents > maxDocuments || tokens < documents || tokens > maxTokens || text > math.MaxInt64 {
		return h, fmt.Errorf("header makes no sense: %d ids, %d documents, %d tokens", vocab, documents, tokens)
	}
	h.Format = Format{VocabSize: int(vocab), Begin: int32(le.Uint32(b[20:])), End: int32(le.Uint32(b[24:]))}
	copy(h.Fingerprint[:], b[56:])
	copy(h.payload[:], b[88:])
	h.frontSum = le.Uint32(b[120:])
	h.documents, h.tokens, h.textBytes = int64(documents), int64(tokens), int64(text)
	if err := h.check(); err != nil {
		return h, err
	}
	if int(le.Uint32(b[12:])) != h.width() || le.Uint32(b[28:]) != 0 {
		return h, fmt.Errorf("header makes no sense: %d bytes per token", le.Uint32(b[12:]))
	}
	return h, nil
}

// span is where a document lies in its shard.
type span struct{ first, textBytes int64 }

// A shardBuilder collects the documents of one shard in memory.
type shardBuilder struct {
	Format
	tokens    []byte // encoded
	count     int64
	textBytes int64
	index     []span
}

// add appends a document. ids are its text alone; a document without any
// token is left out. An id outside the vocabulary is an error.
func (s *shardBuilder) add(ids []int32, textBytes int) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		if id < 0 || int(id) >= s.VocabSize {
			return fmt.Errorf("the tokenizer gave id %d, outside its vocabulary of %d ids", id, s.VocabSize)
		}
	}
	s.index = append(s.index, span{s.count, int64(textBytes)})
	s.textBytes += int64(textBytes)
	if s.Begin >= 0 {
		s.put(s.Begin)
	}
	for _, id := range ids {
		s.put(id)
	}
	if s.End >= 0 {
		s.put(s.End)
	}
	return nil
}

func (s *shardBuilder) put(id int32) {
	if s.width() == 2 {
		s.tokens = binary.LittleEndian.AppendUint16(s.tokens, uint16(id))
	} else {
		s.tokens = binary.LittleEndian.AppendUint32(s.tokens, uint32(id))
	}
	s.count++
}

// encode returns the file in two pieces, header and index first, and the
// SHA-256 of what follows the header.
func (s *shardBuilder) encode() (front, tokens []byte, payload [sha256.Size]byte) {
	h := header{Format: s.Format, documents: int64(len(s.index)), tokens: s.count, textBytes: s.textBytes}
	front = make([]byte, headerSize, h.tokensAt())
	le := binary.LittleEndian
	for _, doc := range s.index {
		front = le.AppendUint64(front, uint64(doc.first))
		front = le.AppendUint64(front, uint64(doc.textBytes))
	}
	for at := 0; at < len(s.tokens); at += blockSize {
		front = le.AppendUint32(front, crc32.Checksum(s.tokens[at:min(at+blockSize, len(s.tokens))], castagnoli))
	}
	h.frontSum = crc32.Checksum(front[headerSize:], castagnoli)
	sum := sha256.New()
	sum.Write(front[headerSize:])
	sum.Write(s.tokens)
	sum.Sum(h.payload[:0])
	copy(front, h.encode())
	return front, s.tokens, h.payload
}

// reset empties the builder and keeps its memory.
func (s *shardBuilder) reset() {
	s.tokens, s.index, s.count, s.textBytes = s.tokens[:0], s.index[:0], 0, 0
}
