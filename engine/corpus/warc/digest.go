package warc

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// ErrDigest is what errors.Is finds when a block is not what its digest says.
var ErrDigest = errors.New("block does not match its digest")

// Digest is the labelled digest of parts one behind the other that web archives use: SHA-1 in base 32. It finds copies; it is
// no defence.
func Digest(parts ...[]byte) string {
	h := sha1.New()
	for _, b := range parts {
		h.Write(b)
	}
	return "sha1:" + base32.StdEncoding.EncodeToString(h.Sum(nil))
}

// A check compares bytes with a labelled digest. The nil check passes everything.
type check struct {
	label string
	hash  hash.Hash
	want  []byte
	done  error
}

// newCheck is nil for a digest of an unknown kind, which cannot be checked.
func newCheck(label string) *check {
	name, value, _ := strings.Cut(label, ":")
	c := &check{label: label}
	switch strings.ToLower(strings.ReplaceAll(name, "-", "")) {
	case "sha1":
		c.hash = sha1.New()
	case "sha256":
		c.hash = sha256.New()
	case "md5":
		c.hash = md5.New()
	default:
		return nil
	}
	value = strings.TrimRight(value, "=")
	var err error
	if len(value) == hex.EncodedLen(c.hash.Size()) {
		c.want, err = hex.DecodeString(value)
	} else {
		c.want, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(value))
	}
	if err != nil || len(c.want) != c.hash.Size() {
		return nil
	}
	return c
}

func (c *check) add(b []byte) {
	if c != nil {
		c.hash.Write(b)
	}
}

// end is io.EOF, or why the bytes are wrong.
func (c *check) end() error {
	if c == nil {
		return io.EOF
	}
	if c.done == nil {
		c.done = io.EOF
		if !bytes.Equal(c.hash.Sum(nil), c.want) {
			c.done = fmt.Errorf("%w %s", ErrDigest, c.label)
		}
	}
	return c.done
}
