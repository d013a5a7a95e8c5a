package dedup

import (
	"bytes"
	"slices"

	"github.com/zeebo/xxh3"
)

// A Signer makes the keys of documents. It reuses its memory and is for one goroutine at a time.
type Signer struct {
	config   Config
	scale    []uint64 // multiplier to the power of the words of an n-gram
	a, b     []uint64 // hash function i is a[i]*x + b[i] modulo 2^64, compared whole: its upper bits decide
	text     []byte
	prefix   []uint64
	shingles []uint64
	least    []uint64
}

// multiplier of the polynomial that makes one hash of those of an n-gram's words.
const multiplier = 0x9fb21c651e98df25

// NewSigner makes a signer for a valid configuration.
func NewSigner(c Config) *Signer {
	s := &Signer{config: c, scale: []uint64{1}, least: make([]uint64, c.Bands*c.Rows)}
	for range c.NGram {
		s.scale = append(s.scale, s.scale[len(s.scale)-1]*multiplier)
	}
	state := c.Seed
	for range s.least {
		s.a = append(s.a, splitmix(&state)|1)
		s.b = append(s.b, splitmix(&state))
	}
	return s
}

// splitmix is the generator SplitMix64 (Steele et al., 2014).
func splitmix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	return mix(*state)
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// read hashes the n-grams of a text, in order. A text of fewer words is one n-gram; one without words has none.
func (s *Signer) read(text string) {
	s.text = Normalize(s.text[:0], text)
	s.prefix = append(s.prefix[:0], 0)
	var h uint64
	for rest := s.text; len(rest) > 0; {
		i := bytes.IndexByte(rest, ' ') // each word is followed by one
		h = h*multiplier + xxh3.Hash(rest[:i])
		s.prefix = append(s.prefix, h)
		rest = rest[i+1:]
	}
	words := len(s.prefix) - 1
	n := min(words, s.config.NGram)
	s.shingles = s.shingles[:0]
	if n == 0 {
		return
	}
	for i := range words - n + 1 {
		s.shingles = append(s.shingles, mix(s.prefix[i+n]-s.prefix[i]*s.scale[n]))
	}
}

// Keys appends a key for each band; none for a text without words.
func (s *Signer) Keys(dst []uint64, text string) []uint64 {
	if s.read(text); len(s.shingles) == 0 {
		return dst
	}
	i := 0
	for ; i+4 <= len(s.least); i += 4 {
		least4(s.least[i:i+4:i+4], s.a[i:i+4:i+4], s.b[i:i+4:i+4], s.shingles)
	}
	for ; i < len(s.least); i++ {
		low := ^uint64(0)
		for _, x := range s.shingles {
			low = min(low, s.a[i]*x+s.b[i])
		}
		s.least[i] = low
	}
	for band := range s.config.Bands {
		key := uint64(band)
		for _, low := range s.least[band*s.config.Rows : (band+1)*s.config.Rows] {
			key = mix(key*multiplier + low)
		}
		dst = append(dst, key)
	}
	return dst
}

// least4 finds the least values of four hash functions. Side by side they hide one another's latency.
func least4(least, a, b, shingles []uint64) {
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
	b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
	l0, l1, l2, l3 := ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)
	for _, x := range shingles {
		l0, l1, l2, l3 = min(l0, a0*x+b0), min(l1, a1*x+b1), min(l2, a2*x+b2), min(l3, a3*x+b3)
	}
	least[0], least[1], least[2], least[3] = l0, l1, l2, l3
}

// Shingles appends the hashes of a text's different n-grams, sorted.
func (s *Signer) Shingles(dst []uint64, text string) []uint64 {
	s.read(text)
	at := len(dst)
	dst = append(dst, s.shingles...)
	slices.Sort(dst[at:])
	return dst[:at+len(slices.Compact(dst[at:]))]
}

// Jaccard is the share that two sorted sets have in common of what is in either; of two empty ones it is 0.
func Jaccard(a, b []uint64) float64 {
	both, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both++
			i++
			j++
		}
	}
	if len(a)+len(b) == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}
