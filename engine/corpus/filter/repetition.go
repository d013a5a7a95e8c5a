package filter

import (
	"strings"
	"unicode/utf8"
)

const repetitionFilter = "gopher_repetition"

var (
	topRules = [...]string{"top_2_gram", "top_3_gram", "top_4_gram"}
	dupRules = [...]string{"duplicated_5_n_grams", "duplicated_6_n_grams", "duplicated_7_n_grams", "duplicated_8_n_grams",
		"duplicated_9_n_grams", "duplicated_10_n_grams"}
)

// repetition applies table A1 of Gopher.
func (c *Checker) repetition(text string) {
	limits := &c.config.Repetition
	chars := float64(max(1, utf8.RuneCountInString(text)))

	parts, again, size := c.repeated(strings.TrimSpace(text), 2)
	if !c.most(repetitionFilter, "dup_para_frac", float64(again)/float64(parts), limits.DupParaFrac) ||
		!c.most(repetitionFilter, "dup_para_char_frac", float64(size)/chars, limits.DupParaCharFrac) {
		return
	}
	parts, again, size = c.repeated(text, 1)
	if !c.most(repetitionFilter, "dup_line_frac", float64(again)/float64(parts), limits.DupLineFrac) ||
		!c.most(repetitionFilter, "dup_line_char_frac", float64(size)/chars, limits.DupLineCharFrac) {
		return
	}
	c.prepare()
	for i, limit := range [...]float64{limits.Top2, limits.Top3, limits.Top4} {
		if limit > 0 && !c.most(repetitionFilter, topRules[i], float64(c.topGram(i+2))/chars, limit) {
			return
		}
	}
	distinct := false // of longer n-grams too, once those of one length are
	for i, limit := range [...]float64{limits.Dup5, limits.Dup6, limits.Dup7, limits.Dup8, limits.Dup9, limits.Dup10} {
		if limit == 0 {
			continue
		}
		dup := 0
		if !distinct {
			dup = c.dupGrams(i + 5)
			distinct = dup == 0
		}
		if !c.most(repetitionFilter, dupRules[i], float64(dup)/chars, limit) {
			return
		}
	}
}

// multiplier of the polynomial that makes one hash of those of an n-gram's words.
const multiplier = 0x9fb21c651e98df25

// prepare hashes all prefixes of the words, so that an n-gram's hash is a difference of two.
func (c *Checker) prepare() {
	c.prefix = append(c.prefix[:0], 0)
	var h uint64
	for _, w := range c.words[:len(c.words)-1] {
		h = h*multiplier + w.hash
		c.prefix = append(c.prefix, h)
	}
}

func power(n int) (p uint64) {
	p = 1
	for range n {
		p *= multiplier
	}
	return p
}

// topGram is how many characters the most frequent n-gram comes to, spaces between words included; of several, the first.
func (c *Checker) topGram(n int) int {
	grams := len(c.words) - n
	if grams <= 0 {
		return 0
	}
	c.counts.reset(grams)
	scale := power(n)
	var best slot
	for i := range grams {
		h := c.prefix[i+n] - c.prefix[i]*scale
		p := c.counts.find(h)
		if p.count == 0 {
			p.hash, p.first = h, uint32(i)
		}
		p.count++
		if p.count > best.count || p.count == best.count && p.first < best.first {
			best = *p
		}
	}
	at := int(best.first)
	return (c.words[at+n].before - c.words[at].before + n - 1) * int(best.count)
}

// dupGrams is how many characters stand in n-grams that have occurred before, those that overlap counted once.
func (c *Checker) dupGrams(n int) (chars int) {
	grams := len(c.words) - n
	if grams <= 0 {
		return 0
	}
	c.seen.reset(grams)
	scale := power(n)
	for i := 0; i < grams; i++ {
		if !c.seen.add(c.prefix[i+n] - c.prefix[i]*scale) {
			chars += c.words[i+n].before - c.words[i].before
			i += n - 1
		}
	}
	return chars
}
