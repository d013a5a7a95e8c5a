package stats

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	page = template.Must(template.New("page").Funcs(template.FuncMap{"grouped": Grouped, "size": size}).Parse(pageHTML))
)

// policy lets the page show itself and load nothing: no scripts, pictures, fonts or frames, and no style but its own.
func policy() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// A view is a report as the page shows it.
type view struct {
	*Report
	Style      template.CSS
	Policy     string
	Facts      []fact
	Funnel     []funnelRow
	Drops      []dropGroup
	Notes      []fact
	Groups     []group
	Histograms []histogram
	Known      []bar
	Archives   *archives
	Contents   []entry
	In         string // how many files
}

// An entry of the table of contents.
type entry struct{ ID, Heading string }

type archives struct {
	Lead   string
	Groups []group
}

type fact struct{ Label, Value, Note string }

// A bar is a row of a table with a bar in it. Widths are shares of the place there is for bars, such as "43.2%".
type bar struct {
	Row
	Class       string
	Muted       bool // the name is not one of a document's, but says something
	Share, Rate string
	Width       string
	Samples     []string
}

type funnelRow struct {
	Name, Title string
	Documents   int64
	Bytes       int64
	Share       string
	Read, Kept  string // widths
}

// A dropGroup is what a step left out. Rows are those with most documents, and the others together.
type dropGroup struct {
	Step, Lead string
	Rows, All  []bar
}

// A group is documents by what they have in common.
type group struct {
	ID, Class, Heading, Lead, Label, Unit string
	Tokens                                bool
	Rows                                  []bar
	Columns                               *columns
}

// A histogram is documents by length.
type histogram struct {
	ID, Heading, Lead, Unit string
	Columns                 *columns
	Rows                    []bar
}

// WritePage writes the report as a page of HTML that loads nothing and needs no scripts.
func (r *Report) WritePage(w io.Writer) error {
	v := &view{Report: r, Style: template.CSS(pageCSS), Policy: policy(), Facts: r.facts(), Funnel: r.funnel(), Drops: r.drops(), Notes: r.notes(),
		In: several(int64(r.Files), "file")}
	if r.Documents > 0 {
		v.Groups, v.Histograms, v.Known = r.groups(), r.histograms(), r.known()
	}
	if a := r.Archive; a != nil {
		v.Archives = &archives{fmt.Sprintf("%s in %s; pages: %s, cut off: %s.", several(a.Records, "record"), several(int64(a.Files), "WARC file"),
			Grouped(a.Pages.Documents), Grouped(a.Truncated)), a.groups()}
	}
	v.Contents = v.contents()
	return page.Execute(w, v)
}

// contents are the sections that there are.
func (v *view) contents() (list []entry) {
	add := func(there bool, id, heading string) {
		if there {
			list = append(list, entry{id, heading})
		}
	}
	add(len(v.Funnel) > 0, "steps", "Steps")
	add(len(v.Drops) > 0, "drops", "Left out")
	add(len(v.Notes) > 0, "notes", "Further counts")
	for _, g := range v.Groups {
		add(true, g.ID, g.Heading)
	}
	for _, h := range v.Histograms {
		add(true, h.ID, h.Heading)
	}
	add(len(v.Known) > 0, "fields", "Fields")
	add(len(v.Longest) > 0, "longest", "Longest documents")
	add(v.Archives != nil, "archives", "Archives")
	return list
}

func (r *Report) facts() []fact {
	fs := []fact{{Label: "documents", Value: Grouped(r.Documents)}, {Label: "text", Value: size(r.Bytes), Note: Grouped(r.Characters) + " characters"}}
	if r.Empty > 0 {
		fs[0].Note = Grouped(r.Empty) + " without text"
	} else if r.Documents > 0 {
		fs[0].Note = size(r.Bytes/r.Documents) + " each"
	}
	if t := r.Tokens; t != nil {
		f := fact{"tokens", Grouped(t.Total), rate(t.Bytes, t.Counted) + " bytes a token, " + t.Tokenizer}
		if t.Every > 1 {
			f.Label = "tokens, estimated"
			f.Note += fmt.Sprintf("; counted in %s documents, one of %d", Grouped(t.Documents), t.Every)
		}
		fs = append(fs, f)
	}
	if !r.Languages.Empty() {
		fs = append(fs, fact{Label: "languages", Value: r.Languages.names()})
	}
	if !r.Hosts.Empty() {
		fs = append(fs, fact{Label: "hosts", Value: r.Hosts.names()})
	}
	return fs
}

func (r *Report) funnel() (rows []funnelRow) {
	var most int64
	for _, s := range r.Steps {
		most = max(most, s.Read.Documents, s.Kept.Documents)
		if s.Step == archiveName { // the other records are no documents
			most = s.Kept.Documents
		}
	}
	for _, s := range r.Steps {
		row := funnelRow{s.Step, s.Store, s.Kept.Documents, s.Kept.Bytes, share(s.Kept.Documents, s.Read.Documents), width(s.Read.Documents, most),
			width(s.Kept.Documents, most)}
		if s.Step == archiveName {
			row.Name, row.Read, row.Share = "archived pages", row.Kept, ""
		}
		rows = append(rows, row)
	}
	return rows
}

// maxReasons is how many reasons of a step have bars.
const maxReasons = 12

func (r *Report) drops() (groups []dropGroup) {
	var most int64 // bars of all steps have one scale
	for _, s := range r.Steps {
		for _, d := range s.Dropped {
			most = max(most, d.Documents)
		}
	}
	for _, s := range r.Steps {
		if len(s.Dropped) == 0 {
			continue
		}
		g := dropGroup{Step: s.Step}
		var all, others Row
		for i, d := range s.Dropped {
			b := bar{Row: Row{Name: d.Reason, Documents: d.Documents, Bytes: d.Bytes}, Share: share(d.Documents, s.Read.Documents), Width: width(d.Documents, most),
				Samples: d.Samples}
			g.All = append(g.All, b)
			all.merge(b.Row)
			if len(s.Dropped) > maxReasons && i >= maxReasons-1 {
				others.merge(b.Row)
				continue
			}
			g.Rows = append(g.Rows, b)
		}
		if others.Documents > 0 {
			others.Name = fmt.Sprintf("%d other reasons", len(s.Dropped)-len(g.Rows))
			g.Rows = append(g.Rows, bar{Row: others, Muted: true, Class: "rest", Share: share(others.Documents, s.Read.Documents), Width: width(others.Documents, most)})
		}
		g.Lead = fmt.Sprintf("%s of %s documents, each by the first reason that was found.", Grouped(all.Documents), Grouped(s.Read.Documents))
		groups = append(groups, g)
	}
	return groups
}

func (r *Report) notes() (notes []fact) {
	for _, s := range r.Steps {
		for _, n := range s.noted() {
			notes = append(notes, fact{Label: s.Step + ": " + n.Name, Value: Grouped(n.Documents)})
		}
	}
	return notes
}

func (r *Report) groups() (groups []group) {
	whole := Row{Documents: r.Documents, Bytes: r.Bytes}
	for _, g := range []struct {
		id, heading, label, missing, class string
		table                              Table
	}{
		{"languages", "Languages", "language", "not stated", "", r.Languages},
		{"types", "Kinds of page", "kind", "not stated", "", r.Types},
		{"hosts", "Hosts", "host", "no URL", "long", r.Hosts},
		{"sources", "Sources", "source", "not stated", "long", r.Sources},
		{"licenses", "Licences", "licence", "not stated", "long", r.Licenses},
		{"years", "Years", "year", "no date", "", r.Years},
	} {
		if g.table.Empty() {
			continue
		}
		x := group{ID: g.id, Class: g.class, Heading: g.heading, Label: g.label, Unit: "documents", Lead: g.table.lead(), Tokens: r.Tokens != nil && r.Tokens.Every == 1,
			Rows: bars(g.table, whole, g.missing)}
		if g.id == "years" {
			if x.Columns = yearColumns(g.table); x.Columns != nil {
				x.Lead = fmt.Sprintf("Documents by year; %s have no date.", Grouped(g.table.without().Documents))
			}
		}
		groups = append(groups, x)
	}
	return groups
}

func (a *Archive) groups() (groups []group) {
	for _, g := range []struct {
		heading, label, unit, missing string
		table                         Table
		whole                         Row
	}{
		{"Kinds of record", "kind", "records", "none", a.Kinds, Row{Bytes: a.Bytes}},
		{"Answers of servers", "status", "responses", "unreadable", a.Statuses, Row{Bytes: a.Statuses.bytes()}},
		{"Types of page", "type", "pages", "not stated", a.Media, a.Pages},
		{"Hosts", "host", "pages", "no URL", a.Hosts, a.Pages},
	} {
		if !g.table.Empty() {
			groups = append(groups, group{Heading: g.heading, Lead: g.table.lead(), Label: g.label, Unit: g.unit, Rows: bars(g.table, g.whole, g.missing)})
		}
	}
	return groups
}

// names is how many names a table has.
func (t Table) names() string {
	if t.Missed > 0 {
		return "≥ " + Grouped(int64(t.Distinct))
	}
	return Grouped(int64(t.Distinct))
}

// lead says what a table shows.
func (t Table) lead() string {
	s := ""
	if t.Others > 0 {
		s = fmt.Sprintf("The largest of %s by size.", Grouped(int64(t.Distinct)))
	}
	if t.Missed > 0 {
		s = fmt.Sprintf("The largest by size, which may be up to %s more: there are more names than are counted apart.", size(t.Missed))
	}
	return s
}

// bars are the rows of a table. missing is for those that do not say.
func bars(t Table, whole Row, missing string) (rows []bar) {
	var most int64
	for _, r := range append([]Row{t.Rest}, t.Rows...) {
		most = max(most, r.Bytes)
	}
	add := func(r Row, b bar) {
		b.Row, b.Share, b.Width, b.Rate = r, share(r.Bytes, whole.Bytes), width(r.Bytes, most), rate(r.Bytes, r.Tokens)
		rows = append(rows, b)
	}
	for _, r := range t.Rows {
		b := bar{}
		if r.Name == "" {
			r.Name, b.Muted, b.Class = missing, true, "rest"
		}
		add(r, b)
	}
	if t.Rest.Documents > 0 {
		t.Rest.Name = "others"
		if t.Others > 0 {
			t.Rest.Name = Grouped(int64(t.Others)) + " others"
		}
		add(t.Rest, bar{Muted: true, Class: "rest"})
	}
	return rows
}

func (r *Report) histograms() (all []histogram) {
	h := histogram{ID: "lengths", Heading: "Lengths", Unit: "bytes", Columns: binColumns(r.Lengths, "documents by length in bytes", size)}
	if m, ok := median(r.Lengths); ok {
		h.Lead = fmt.Sprintf("Documents by the size of their text, each column up to twice as long as the one before. The median is between %s and %s.",
			size(m.From), size(m.To))
	}
	h.Rows = binRows(r.Lengths)
	all = append(all, h)
	if t := r.Tokens; t != nil && t.Documents > 0 {
		h := histogram{ID: "token-lengths", Heading: "Lengths in tokens", Unit: "tokens", Columns: binColumns(t.Lengths, "documents by length in tokens", Grouped), Rows: binRows(t.Lengths)}
		if m, ok := median(t.Lengths); ok {
			h.Lead = fmt.Sprintf("The median is between %s and %s tokens.", Grouped(m.From), Grouped(m.To))
		}
		all = append(all, h)
	}
	return all
}

func binRows(bins []Bin) (rows []bar) {
	var all int64
	for _, b := range bins {
		all += b.Documents
	}
	for _, b := range bins {
		name := Grouped(b.From)
		if b.To-1 > b.From {
			name += " – " + Grouped(b.To-1)
		}
		rows = append(rows, bar{Row: Row{Name: name, Documents: b.Documents, Bytes: b.Bytes}, Share: share(b.Documents, all)})
	}
	return rows
}

func (r *Report) known() (rows []bar) {
	for _, f := range r.Fields {
		rows = append(rows, bar{Row: Row{Name: f.Name, Documents: f.Documents}, Share: share(f.Documents, r.Documents), Width: width(f.Documents, r.Documents)})
	}
	return rows
}

// without is the documents that do not say, if they are among the rows.
func (t Table) without() Row {
	for _, r := range t.Rows {
		if r.Name == "" {
			return r
		}
	}
	return Row{}
}

// bytes are those of all rows.
func (t Table) bytes() int64 {
	sum := t.Rest.Bytes
	for _, r := range t.Rows {
		sum += r.Bytes
	}
	return sum
}
