package filter

import "strings"

const qualityFilter = "gopher_quality"

// quality applies Gopher's rules about words and lines. Punctuation is no word in any of them.
func (c *Checker) quality(text, language string) {
	limits := &c.config.Quality
	words := c.words[:len(c.words)-1]
	plain, chars, alpha := 0, 0, 0
	for i, w := range words {
		if w.kind == symbol {
			continue
		}
		plain++
		chars += c.words[i+1].before - w.before
		if w.kind == letters {
			alpha++
		}
	}
	mean := float64(chars) / float64(max(1, plain))
	all := float64(max(1, plain))
	ellipses := strings.Count(text, "...") + strings.Count(text, "…")
	if !c.least(qualityFilter, "gopher_short_doc", float64(plain), float64(limits.MinWords)) ||
		!c.most(qualityFilter, "gopher_long_doc", float64(plain), float64(limits.MaxWords)) ||
		!c.least(qualityFilter, "gopher_below_avg_threshold", mean, limits.MinWordLength) ||
		!c.most(qualityFilter, "gopher_above_avg_threshold", mean, limits.MaxWordLength) ||
		!c.most(qualityFilter, "gopher_too_many_hashes", float64(strings.Count(text, "#"))/all, limits.MaxSymbols) ||
		!c.most(qualityFilter, "gopher_too_many_ellipsis", float64(ellipses)/all, limits.MaxSymbols) {
		return
	}
	lines, bullets, ends := 0, 0, 0
	for rest := text; rest != ""; lines++ {
		var line string
		line, rest = cut(rest)
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "•") || strings.HasPrefix(line, "-") {
			bullets++
		}
		if strings.HasSuffix(line, "...") || strings.HasSuffix(line, "…") {
			ends++
		}
	}
	share := 1 / float64(max(1, lines))
	if !c.most(qualityFilter, "gopher_too_many_bullets", float64(bullets)*share, limits.MaxBullets) ||
		!c.most(qualityFilter, "gopher_too_many_end_ellipsis", float64(ends)*share, limits.MaxEllipses) ||
		!c.least(qualityFilter, "gopher_below_alpha_threshold", float64(alpha)/all, limits.MinAlpha) {
		return
	}
	if stop := c.stop[language]; stop != nil && limits.MinStopWords > 0 {
		c.least(qualityFilter, "gopher_enough_stop_words", float64(c.stopWords(words, stop)), float64(limits.MinStopWords))
	}
}

// stopWords counts the different stop words; enough of them end it, unless every value is wanted.
func (c *Checker) stopWords(words []word, stop map[uint64]int) (n int) {
	var found uint64
	for _, w := range words {
		if w.kind == symbol {
			continue
		}
		if bit, ok := stop[w.hash]; ok && found>>bit&1 == 0 {
			found |= 1 << bit
			if n++; n >= c.config.Quality.MinStopWords && c.each == nil {
				break
			}
		}
	}
	return n
}
