package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"forja/engine/vfs"
)

// A shard is an open file of tokens. It is safe for concurrent use.
type shard struct {
	header
	path  string // for errors
	file  vfs.Reader
	index []span
	sums  []uint32 // CRC-32C of each block of tokens
}

// openShard reads and checks the header and the index, but no token.
func openShard(fsys vfs.FS, name string) (*shard, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open token shard: %w; tokenize the corpus again", err)
	}
	s := &shard{path: fsys.Path(name), file: file}
	if err := s.readFront(); err != nil {
		file.Close()
		return nil, s.damaged(err)
	}
	return s, nil
}

// damaged wraps what is wrong with the file.
func (s *shard) damaged(err error) error {
	return fmt.Errorf("token shard %s: %w; tokenize the corpus again", s.path, err)
}

func (s *shard) readFront() error {
	b := make([]byte, min(headerSize, s.file.Size()))
	if _, err := s.file.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	h, err := decodeHeader(b)
	if err != nil {
		return err
	}
	if h.fileSize() != s.file.Size() { // also bounds what is allocated below
		return fmt.Errorf("file has %d bytes, its header says %d", s.file.Size(), h.fileSize())
	}
	s.header = h
	b = make([]byte, h.tokensAt()-headerSize)
	if _, err := s.file.ReadAt(b, headerSize); err != nil {
		return err
	}
	if crc32.Checksum(b, castagnoli) != h.frontSum {
		return fmt.Errorf("index is damaged: its checksum does not match")
	}
	return s.decodeIndex(b)
}

func (s *shard) decodeIndex(b []byte) error {
	le := binary.LittleEndian
	s.index = make([]span, s.documents)
	left := s.textBytes
	for i := range s.index {
		first, text := le.Uint64(b[indexEntry*i:]), le.Uint64(b[indexEntry*i+8:])
		if first >= uint64(s.tokens) || (i == 0) != (first == 0) || i > 0 && int64(first) <= s.index[i-1].first || text > uint64(left) {
			return fmt.Errorf("index is damaged at document %d", i)
		}
		left -= int64(text)
		s.index[i] = span{int64(first), int64(text)}
	}
	for i := range s.index {
		if s.end(i)-s.index[i].first <= int64(s.around()) {
			return fmt.Errorf("index is damaged: document %d has no text", i)
		}
	}
	if left != 0 {
		return fmt.Errorf("index is damaged: %d bytes of text are missing", left)
	}
	sums := b[indexEntry*len(s.index):]
	s.sums = make([]uint32, s.blocks())
	for i := range s.sums {
		s.sums[i] = le.Uint32(sums[4*i:])
	}
	return nil
}

// read fills dst with the tokens from the given one on, which must exist.
// buf is scratch memory, returned for the next call.
func (s *shard) read(dst []int32, from int64, buf []byte) ([]byte, error) {
	width := int64(s.width())
	first := from * width / blockSize
	last := ((from+int64(len(dst)))*width - 1) / blockSize
	start := first * blockSize
	end := min((last+1)*blockSize, s.tokens*width)
	if int64(cap(buf)) < end-start {
		buf = make([]byte, end-start)
	}
	buf = buf[:end-start]
	if _, err := s.file.ReadAt(buf, s.tokensAt()+start); err != nil {
		return buf, fmt.Errorf("read token shard %s: %w", s.path, err)
	}
	for block := first; block <= last; block++ {
		at := (block - first) * blockSize
		if crc32.Checksum(buf[at:min(at+blockSize, end-start)], castagnoli) != s.sums[block] {
			return buf, s.damaged(fmt.Errorf("checksum of tokens %d to %d does not match", block*blockSize/width, min((block+1)*blockSize/width, s.tokens)-1))
		}
	}
	b := buf[from*width-start:]
	for i := range dst {
		if width == 2 {
			dst[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		} else {
			dst[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
		if uint32(dst[i]) >= uint32(s.VocabSize) {
			return buf, s.damaged(fmt.Errorf("token %d has id %d, outside the vocabulary of %d ids", from+int64(i), uint32(dst[i]), s.VocabSize))
		}
	}
	return buf, nil
}

// document is the index of the document that holds a token.
func (s *shard) document(token int64) int {
	return sort.Search(len(s.index), func(i int) bool { return s.index[i].first > token }) - 1
}

// end is the token after the last one of a document.
func (s *shard) end(document int) int64 {
	if document+1 < len(s.index) {
		return s.index[document+1].first
	}
	return s.tokens
}

// verify compares the whole file with the SHA-256 in its header and every id
// with the vocabulary.
func (s *shard) verify() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(s.file, headerSize, s.fileSize()-headerSize)); err != nil {
		return fmt.Errorf("read token shard %s: %w", s.path, err)
	}
	if [sha256.Size]byte(sum.Sum(nil)) != s.payload {
		return s.damaged(fmt.Errorf("SHA-256 does not match"))
	}
	var buf []byte
	var err error
	ids := make([]int32, blockSize)
	for at := int64(0); at < s.tokens; at += blockSize {
		if buf, err = s.read(ids[:min(blockSize, s.tokens-at)], at, buf); err != nil {
			return err
		}
	}
	return nil
}
