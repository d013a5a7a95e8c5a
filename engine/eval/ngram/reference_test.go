package ngram

import (
	"fmt"
	"slices"

	"forja/engine/data"
)

// rows is a source that deals out ready rows.
type rows []*data.Batch

func (r rows) Samples() uint64 { return uint64(len(r)) }
func (r rows) Length() int     { return r[0].Length }
func (r rows) Fill(b *data.Batch, first uint64) error {
	from := r[first]
	copy(b.Tokens, from.Tokens)
	copy(b.Targets, from.Targets)
	copy(b.Positions, from.Positions)
	copy(b.Lo, from.Lo)
	copy(b.Mask, from.Mask)
	b.Count, b.Bytes = from.Count, from.Bytes
	return nil
}

// A reference computes the definition in the package's comment with maps and recursion.
type reference struct {
	order, vocab int
	discounts    [][3]float64
	counts       []map[string]int          // adjusted, by order
	after        []map[string]map[int]bool // what followed a context of each length
}

func key(ids []int) string { return fmt.Sprint(ids) }

// begin stands before a document that begins within a row.
const begin = -1

// segments are the documents of a row: their symbols, and which of them are targets.
func segments(b *data.Batch) (ids [][]int, targets [][]bool) {
	for t := range b.Tokens {
		if int(b.Lo[t]) == t {
			ids, targets = append(ids, nil), append(targets, nil)
			if t > 0 {
				ids[len(ids)-1], targets[len(ids)-1] = []int{begin}, []bool{false}
			}
		}
		last := len(ids) - 1
		ids[last] = append(ids[last], int(b.Tokens[t]))
		targets[last] = append(targets[last], int(b.Lo[t]) < t && b.Mask[t-1] != 0)
		if t+1 == b.Length && b.Mask[t] != 0 {
			ids[last], targets[last] = append(ids[last], int(b.Targets[t])), append(targets[last], true)
		}
	}
	return ids, targets
}

func newReference(text rows, vocab, order int) *reference {
	r := &reference{order: order, vocab: vocab}
	before := make([]map[string]map[int]bool, order+1)
	unknown := make([]map[string]int, order+1)
	occurs := make([]map[string]int, order+1)
	for n := range before {
		before[n], unknown[n], occurs[n] = map[string]map[int]bool{}, map[string]int{}, map[string]int{}
		r.counts = append(r.counts, map[string]int{})
		r.after = append(r.after, map[string]map[int]bool{})
	}
	for _, b := range text {
		ids, targets := segments(b)
		for k, doc := range ids {
			for end := range doc {
				if !targets[k][end] {
					continue
				}
				for n := 1; n <= order && n <= end+1; n++ {
					gram := doc[end+1-n : end+1]
					occurs[n][key(gram)]++
					h := key(gram[:n-1])
					if r.after[n][h] == nil {
						r.after[n][h] = map[int]bool{}
					}
					r.after[n][h][gram[n-1]] = true
					if n == end+1 {
						unknown[n][key(gram)]++
						continue
					}
					if before[n][key(gram)] == nil {
						before[n][key(gram)] = map[int]bool{}
					}
					before[n][key(gram)][doc[end-n]] = true
				}
			}
		}
	}
	for n := 1; n <= order; n++ {
		var of [4]int
		for gram, c := range occurs[n] {
			if n < order {
				c = len(before[n][gram]) + unknown[n][gram]
			}
			r.counts[n][gram] = c
			if c <= 4 {
				of[c-1]++
			}
		}
		r.discounts = append(r.discounts, Estimate(of))
	}
	return r
}

// p is the probability of w after a context of any length.
func (r *reference) p(h []int, w int) float64 {
	if len(h) >= r.order {
		h = h[len(h)-r.order+1:]
	}
	lower := 1 / float64(r.vocab)
	if len(h) > 0 {
		lower = r.p(h[1:], w)
	}
	n := len(h) + 1
	total, rest := 0.0, 0.0
	d := func(c int) float64 { return r.discounts[n-1][min(c, 3)-1] }
	for v := range r.after[n][key(h)] {
		c := r.counts[n][key(append(slices.Clone(h), v))]
		total += float64(c)
		rest += d(c)
	}
	if total == 0 {
		return lower
	}
	p := rest / total * lower
	if c := r.counts[n][key(append(slices.Clone(h), w))]; c > 0 {
		p += (float64(c) - d(c)) / total
	}
	return p
}
