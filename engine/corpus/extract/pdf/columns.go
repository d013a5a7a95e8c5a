package pdf

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// A row is the pieces on one baseline, from left to right.
type row struct {
	pieces          []piece
	x, end, y, size float64
}

func (r *row) text() string {
	var b strings.Builder
	for k, p := range r.pieces {
		if k > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// rowsOf sorts pieces into rows, from the top down. Raised and lowered pieces belong to the row that they touch.
func rowsOf(pieces []piece) (rows []row) {
	sorted := slices.Clone(pieces)
	slices.SortStableFunc(sorted, func(a, b piece) int { return cmp.Compare(b.y, a.y) })
	for _, p := range sorted {
		if k := len(rows) - 1; k >= 0 && rows[k].takes(p) {
			r := &rows[k]
			r.pieces = append(r.pieces, p)
			if p.size > r.size {
				r.y, r.size = p.y, p.size
			}
			continue
		}
		rows = append(rows, row{pieces: []piece{p}, y: p.y, size: p.size})
	}
	for k := range rows {
		r := &rows[k]
		slices.SortStableFunc(r.pieces, func(a, b piece) int { return cmp.Compare(a.x, b.x) })
		r.pieces = slices.CompactFunc(r.pieces, drawnTwice)
		r.x, r.end = math.Inf(1), math.Inf(-1)
		for _, p := range r.pieces {
			r.x, r.end = min(r.x, p.x), max(r.end, p.end)
		}
	}
	return rows
}

func (r *row) takes(p piece) bool {
	step := r.y - p.y
	if min(p.size, r.size) > 0.85*max(p.size, r.size) {
		return step < 0.3*p.size
	}
	if step >= 0.5*max(p.size, r.size) {
		return false
	}
	for _, q := range r.pieces {
		if min(p.end, q.end)-max(p.x, q.x) > 0.3*min(p.size, q.size) {
			return false
		}
	}
	return true
}

// drawnTwice tells of two pieces that are the same text at the same place, which makes letters bold.
func drawnTwice(a, b piece) bool {
	return a.text == b.text && math.Abs(a.x-b.x) < 0.15*a.size && math.Abs(a.end-b.end) < 0.15*a.size
}

// Limits of what is taken for columns of running text.
const (
	columnRows    = 3   // on each side
	columnFill    = 0.5 // of a side's width that its rows take, on the average
	columnLetters = 12  // in a row, on the average
	columnDepth   = 8
	gutterRows    = 4   // how many more rows each side has than cross the gap
	gutterWidth   = 0.6 // in sizes of the font
)

// regions cuts a page into parts that are read one after the other: wherever a gap runs through rows whose both sides are filled
// with running text, the left side is read before the right one.
func regions(pieces []piece) [][]row { return cut(nil, pieces, 0) }

func cut(out [][]row, pieces []piece, depth int) [][]row {
	rows := rowsOf(pieces)
	from, to, ok := gutter(rows)
	if !ok || depth >= columnDepth {
		return append(out, rows)
	}
	middle := (from + to) / 2
	var plain []row
	for len(rows) > 0 {
		n := 0
		for n < len(rows) && !rows[n].crosses(from, to) {
			n++
		}
		if n == 0 {
			plain = append(plain, rows[0])
			rows = rows[1:]
			continue
		}
		var left, right []piece
		for _, r := range rows[:n] {
			for _, p := range r.pieces {
				if p.x < middle {
					left = append(left, p)
				} else {
					right = append(right, p)
				}
			}
		}
		if !filled(left) || !filled(right) {
			plain = append(plain, rows[:n]...)
			rows = rows[n:]
			continue
		}
		if len(plain) > 0 {
			out = append(out, plain)
			plain = nil
		}
		out = cut(out, left, depth+1)
		out = cut(out, right, depth+1)
		rows = rows[n:]
	}
	if len(plain) > 0 {
		out = append(out, plain)
	}
	return out
}

func (r *row) crosses(from, to float64) bool {
	for _, p := range r.pieces {
		if p.x < from-1 && p.end > to+1 {
			return true
		}
	}
	return false
}

// filled tells whether pieces look like a column of text: enough rows, most of them long.
func filled(pieces []piece) bool {
	rows := rowsOf(pieces)
	if len(rows) < columnRows {
		return false
	}
	x, end, sum, letters := math.Inf(1), math.Inf(-1), 0.0, 0
	for _, r := range rows {
		x, end = min(x, r.x), max(end, r.end)
		for _, p := range r.pieces {
			sum += p.end - p.x
			letters += p.letters
		}
	}
	n := float64(len(rows))
	return sum >= columnFill*n*(end-x) && letters >= columnLetters*len(rows)
}

// gutter finds the gap that fewest rows cross, if many more stand on both sides of it.
func gutter(rows []row) (from, to float64, ok bool) {
	if len(rows) < columnRows {
		return 0, 0, false
	}
	x, end := math.Inf(1), math.Inf(-1)
	var sizes []float64
	for _, r := range rows {
		x, end = min(x, r.x), max(end, r.end)
		sizes = append(sizes, r.size)
	}
	slices.Sort(sizes)
	size := sizes[len(sizes)/2]
	const bins = 512
	step := (end - x) / bins
	if !(step > 0) {
		return 0, 0, false
	}
	var cover, before, behind [bins]int // rows that have text in a bin; the most of those to its left and right
	for _, r := range rows {
		last := -1 // a row counts once
		for _, p := range r.pieces {
			a, b := max(int((p.x-x)/step), last+1), min(int((p.end-x)/step), bins-1)
			for k := a; k <= b; k++ {
				cover[k]++
			}
			last = max(last, b)
		}
	}
	for k := 1; k < bins; k++ {
		before[k] = max(before[k-1], cover[k-1])
		j := bins - 1 - k
		behind[j] = max(behind[j+1], cover[j+1])
	}
	best, width := gutterRows-1, 0
	for k := 0; k < bins; {
		n := 1
		for k+n < bins && cover[k+n] == cover[k] {
			n++
		}
		depth := min(before[k], behind[k]) - cover[k]
		if (depth > best || depth == best && n > width) && float64(n)*step >= gutterWidth*size {
			best, width = depth, n
			from, to, ok = x+float64(k)*step, x+float64(k+n)*step, true
		}
		k += n
	}
	return from, to, ok
}
