package data

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"

	"forja/engine/vfs"
)

// ManifestName is the file that makes a folder of shards a set.
const ManifestName = "tokens.json"

// ErrTokenizer is found in the error of a set made with another tokenizer.
var ErrTokenizer = errors.New("made with another tokenizer")

// A Manifest describes a set of shards.
type Manifest struct {
	Version     int             `json:"version"`
	VocabSize   int             `json:"vocab_size"`
	Begin       int32           `json:"begin"` // id put before each document, or -1
	End         int32           `json:"end"`   // id put after each document, or -1
	Fingerprint string          `json:"tokenizer_sha256"`
	Documents   int64           `json:"documents"`
	Tokens      int64           `json:"tokens"` // Begin and End included
	TextBytes   int64           `json:"text_bytes"`
	Shards      []ManifestShard `json:"shards"`
}

// A ManifestShard describes one file of a set.
type ManifestShard struct {
	File      string `json:"file"`
	Documents int64  `json:"documents"`
	Tokens    int64  `json:"tokens"`
	TextBytes int64  `json:"text_bytes"`
	Payload   string `json:"payload_sha256"`
}

// A Set is an open set of shards: one long run of tokens, document after
// document. It is safe for concurrent use.
type Set struct {
	Manifest
	shards []*shard
	starts []int64 // number of the first token of each shard
}

// Open opens the set in a folder and checks every header and index.
func Open(fsys vfs.FS, dir string) (*Set, error) {
	name := path.Join(dir, ManifestName)
	b, err := vfs.ReadFile(fsys, name, 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a set of token shards: it has no %s; tokenize the corpus first: %w", fsys.Path(dir), ManifestName, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open token shards: %w", err)
	}
	s := new(Set)
	if err := json.Unmarshal(b, &s.Manifest); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; tokenize the corpus again", fsys.Path(name), jsonError(err))
	}
	if s.Version != shardVersion {
		return nil, fmt.Errorf("%s: version %d; this program reads version %d", fsys.Path(name), s.Version, shardVersion)
	}
	if err := s.openShards(fsys, dir); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) openShards(fsys vfs.FS, dir string) error {
	if len(s.Shards) == 0 {
		return fmt.Errorf("%s: the manifest names no shard; tokenize the corpus again", fsys.Path(dir))
	}
	var documents, tokens, text int64
	for i, m := range s.Shards {
		if !fs.ValidPath(m.File) || m.File == "." {
			return fmt.Errorf("%s: the manifest names the shard %q, which is not in its folder", fsys.Path(dir), m.File)
		}
		shard, err := openShard(fsys, path.Join(dir, m.File))
		if err != nil {
			return err
		}
		s.shards = append(s.shards, shard)
		s.starts = append(s.starts, tokens)
		found := ManifestShard{m.File, shard.documents, shard.tokens, shard.textBytes, hex.EncodeToString(shard.payload[:])}
		if found != m {
			return shard.damaged(errors.New("it is not the shard that the manifest describes"))
		}
		if i > 0 && shard.Format != s.shards[0].Format {
			return shard.damaged(errors.New("its tokenizer or its boundaries differ from those of the first shard"))
		}
		documents, tokens, text = documents+m.Documents, tokens+m.Tokens, text+m.TextBytes
	}
	f := s.shards[0].Format
	if s.VocabSize != f.VocabSize || s.Begin != f.Begin || s.End != f.End || s.Fingerprint != hex.EncodeToString(f.Fingerprint[:]) ||
		s.Documents != documents || s.Tokens != tokens || s.TextBytes != text {
		return fmt.Errorf("%s: the manifest contradicts its shards; tokenize the corpus again", fsys.Path(dir))
	}
	return nil
}

// Check refuses a set that another tokenizer made.
func (s *Set) Check(fingerprint [32]byte, vocabSize int) error {
	want := hex.EncodeToString(fingerprint[:])
	if s.Fingerprint != want || s.VocabSize != vocabSize {
		return fmt.Errorf("token shards were %w: theirs has sha256 %.12s… (%d ids), yours %.12s… (%d ids); use the tokenizer they were made with, or tokenize the corpus again",
			ErrTokenizer, s.Fingerprint, s.VocabSize, want, vocabSize)
	}
	return nil
}

// Verify reads every byte of every shard and compares it with its SHA-256.
func (s *Set) Verify() error {
	for _, shard := range s.shards {
		if err := shard.verify(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files.
func (s *Set) Close() error {
	var errs []error
	for _, shard := range s.shards {
		errs = append(errs, shard.file.Close())
	}
	return errors.Join(errs...)
}

// locate finds the shard of a token and the token's number in it.
func (s *Set) locate(token int64) (*shard, int64) {
	i := sort.Search(len(s.starts), func(i int) bool { return s.starts[i] > token }) - 1
	return s.shards[i], token - s.starts[i]
}
