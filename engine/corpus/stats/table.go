package stats

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Row is the documents that have something in common.
type Row struct {
	Name      string `json:"name"` // empty where documents do not say
	Documents int64  `json:"documents"`
	Bytes     int64  `json:"bytes"`            // of their texts
	Tokens    int64  `json:"tokens,omitempty"` // if they were counted in all documents
}

// A Table is documents by what they have in common, the most bytes first.
type Table struct {
	Distinct int   `json:"distinct"`         // names; at least so many, where some may be missed
	Missed   int64 `json:"missed_at_most"`   // bytes that a name may have more than is said, or that is not named at all; 0 is exact
	Rows     []Row `json:"rows"`             // the largest
	Rest     Row   `json:"rest"`             // the others together
	Others   int   `json:"others,omitempty"` // names that are together in the rest; 0 where some may be missed
}

// Empty says that no document has a name.
func (t Table) Empty() bool { return t.Distinct == 0 && t.Missed == 0 }

// maxNames is how many names a table is sure to keep. One that has more forgets the rarest, see [table.prune].
const maxNames = 1 << 15

// A table counts documents by name in bounded memory, by the summary of Misra and Gries ("Finding repeated elements", 1982),
// which can be merged (Agarwal et al., "Mergeable summaries", 2012): as long as there are no more than twice the
// limit of names all counts are exact; after that a name is missing, or its bytes too low, by at most missed, and that is
// at most one in limit of all bytes.
type table struct {
	limit  int
	rows   map[string]*tally
	missed int64
}

type tally struct {
	documents, bytes, tokens int64
	weight                   int64 // bytes, and one a document so that empty ones have some
}

func newTable() table { return table{limit: maxNames, rows: map[string]*tally{}} }

func (t *table) add(name string, bytes, tokens int64) {
	r := t.rows[name]
	if r == nil {
		name = clean(name)
		if r = t.rows[name]; r == nil {
			t.prune()
			r = &tally{}
			t.rows[name] = r
		}
	}
	r.documents++
	r.bytes += bytes
	r.tokens += tokens
	r.weight += bytes + 1
}

func (t *table) merge(o *table) {
	t.missed += o.missed
	for name, r := range o.rows {
		mine := t.rows[name]
		if mine == nil {
			mine = &tally{}
			t.rows[name] = mine
		}
		mine.documents += r.documents
		mine.bytes += r.bytes
		mine.tokens += r.tokens
		mine.weight += r.weight
	}
	t.prune()
}

// prune makes room if there are twice as many names as are to be kept. It takes from each the weight of the first that is
// too many, and removes those that have none left.
func (t *table) prune() {
	if len(t.rows) < 2*t.limit {
		return
	}
	weights := make([]int64, 0, len(t.rows))
	for _, r := range t.rows {
		weights = append(weights, r.weight)
	}
	slices.Sort(weights)
	least := weights[len(weights)-1-t.limit]
	t.missed += least
	for name, r := range t.rows {
		if r.weight -= least; r.weight <= 0 {
			delete(t.rows, name)
		}
	}
}

// report is the first rows by bytes, and the rest of a whole.
func (t *table) report(top int, whole Row) Table {
	rows := make([]Row, 0, len(t.rows))
	for name, r := range t.rows {
		rows = append(rows, Row{name, r.documents, r.bytes, r.tokens})
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Documents, a.Documents), strings.Compare(a.Name, b.Name))
	})
	r := Table{Distinct: len(rows), Missed: t.missed, Rest: whole}
	if t.rows[""] != nil {
		r.Distinct--
	}
	r.Rows = rows[:min(top, len(rows))]
	if t.missed == 0 {
		r.Others = len(rows) - len(r.Rows)
	}
	r.Rest.Name = ""
	for _, row := range r.Rows {
		r.Rest.Documents -= row.Documents
		r.Rest.Bytes -= row.Bytes
		r.Rest.Tokens -= row.Tokens
	}
	return r
}

// maxName bounds a name, in bytes.
const maxName = 200

// clean makes a name fit to be shown: of bounded length, one line, without control characters.
func clean(name string) string {
	if len(name) > maxName {
		cut := maxName
		for cut > maxName-utf8.UTFMax && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r != ' ' && !unicode.IsGraphic(r) { // marks of direction are not graphic either
			return utf8.RuneError
		}
		return r
	}, name)
}
