package pdf

import (
	"math"
	"regexp"
	"strings"
)

// What repeats at the edge of pages: of how many pages, and how far apart in points the same place may be.
const (
	edgeRows       = 2
	edgeZone       = 0.15 // of the page's height
	runningPages   = 3
	samePlace      = 3.0
	runningAtLeast = 0.5 // of the rows at a place, for the others there to go too
)

var (
	numberRE = regexp.MustCompile(`\d+`)
	romanRE  = regexp.MustCompile(`^[ivxlc]+$`)
)

// patternOf is a row's text without what counts up from page to page.
func patternOf(r row) string {
	words := strings.Fields(strings.ToLower(r.text()))
	for k, w := range words {
		if romanRE.MatchString(w) {
			words[k] = "#"
		}
	}
	return numberRE.ReplaceAllString(strings.Join(words, " "), "#")
}

// dropRunning removes running headers, footers and page numbers: rows among the first and last of pages, at one place, that are the
// same but for numbers on several pages; and what else stands at such a place, as the names of short chapters do.
func dropRunning(sheets []sheet) {
	type edge struct {
		sheet   int
		row     row
		pattern string
		repeats bool
	}
	largest := 1.3 * usualSize(sheets) // what is larger is a heading
	for _, top := range []bool{true, false} {
		var edges []edge
		for k := range sheets {
			if len(sheets[k].turns) == 0 {
				continue
			}
			rows := rowsOf(sheets[k].pieces[:sheets[k].turns[0]])
			if len(rows) == 0 {
				continue
			}
			n := min(edgeRows, len(rows))
			if !top {
				rows = rows[len(rows)-n:]
			}
			for _, r := range rows[:n] {
				margin := edgeZone * (sheets[k].high - sheets[k].low)
				if r.size > largest || top && r.y < sheets[k].high-margin || !top && r.y > sheets[k].low+margin {
					continue
				}
				edges = append(edges, edge{sheet: k, row: r, pattern: patternOf(r)})
			}
		}
		places := map[string][]int{} // of edges, by pattern
		for k, e := range edges {
			places[e.pattern] = append(places[e.pattern], k)
		}
		type place struct{ repeating, all int }
		count := map[int]*place{}
		at := func(y float64) int { return int(math.Round(y / samePlace)) }
		for k := range edges {
			same := 0
			for _, j := range places[edges[k].pattern] {
				if math.Abs(edges[j].row.y-edges[k].row.y) <= samePlace {
					if same++; same >= runningPages {
						break
					}
				}
			}
			edges[k].repeats = same >= runningPages
			p := count[at(edges[k].row.y)]
			if p == nil {
				p = &place{}
				count[at(edges[k].row.y)] = p
			}
			if p.all++; edges[k].repeats {
				p.repeating++
			}
		}
		gone := map[int][]row{}
		for _, e := range edges {
			p := count[at(e.row.y)]
			if e.repeats || p.all > runningPages && float64(p.repeating) >= runningAtLeast*float64(p.all) {
				gone[e.sheet] = append(gone[e.sheet], e.row)
			}
		}
		for k := range sheets {
			if rows := gone[k]; len(rows) > 0 {
				sheets[k].drop(rows)
			}
		}
	}
}

// drop removes the pieces of rows of the first turn.
func (s *sheet) drop(rows []row) {
	kept := s.pieces[:0:0]
	first := 0
	for k, p := range s.pieces {
		out := false
		for _, r := range rows {
			for _, q := range r.pieces {
				out = out || k < s.turns[0] && p == q
			}
		}
		if !out {
			kept = append(kept, p)
			if k < s.turns[0] {
				first++
			}
		}
	}
	less := s.turns[0] - first
	for k := range s.turns {
		s.turns[k] -= less
	}
	s.pieces = kept
}
