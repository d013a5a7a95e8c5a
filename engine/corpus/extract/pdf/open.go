package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledongthuc/pdf"
)

// A file is an open document.
type file struct {
	bytes     []byte
	r         *pdf.Reader
	pages     []pdf.Value
	encrypted bool
	room      int // bytes that may still be unpacked
	fonts     map[string]*font
}

// A tiredReader stops after so many bytes: a loop in a file's tables reads for ever.
type tiredReader struct {
	io.ReaderAt
	left *int64
}

var errTired = errors.New("its tables go in circles")

func (t tiredReader) ReadAt(b []byte, at int64) (int, error) {
	if *t.left -= int64(len(b)); *t.left < 0 {
		return 0, errTired
	}
	return t.ReaderAt.ReadAt(b, at)
}

// open reads a document's tables and finds its pages. If they are damaged, new ones are made from the objects found in it.
func open(data []byte) (*file, error) {
	k := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-"))
	if k < 0 {
		return nil, ErrFormat
	}
	data = data[k:]
	if at, ok := startOfTables(data); ok {
		if d, err := openAt(data, at); err == nil || errors.Is(err, ErrEncrypted) {
			return d, err
		}
	}
	rebuilt, at, err := rebuild(data)
	if err != nil {
		return nil, err
	}
	d, err := openAt(rebuilt, at)
	if err != nil && !errors.Is(err, ErrEncrypted) { // in the library's words, which are for those who know its insides
		err = errors.New("its tables are damaged, and what they should lead to is, too")
	}
	return d, err
}

// startOfTables reads the last startxref.
func startOfTables(data []byte) (int, bool) {
	const key = "startxref"
	k := bytes.LastIndex(data, []byte(key))
	if k < 0 {
		return 0, false
	}
	l := lexer{b: data[k+len(key):]}
	t := l.next()
	return int(t.num), t.kind == aNumber && t.num > 0 && t.num < float64(len(data))
}

// read gives a document to the library, which wants an exact first line and end: it is given them. Tables begin at a place.
func read(data []byte, tables int) (d *file, err error) {
	defer recovered(&err)
	const head = "%PDF-1.7\n"
	b := make([]byte, 0, len(data)+96)
	b = append(b, head...)
	b = append(b, data[min(len(head), len(data)):]...)
	b = fmt.Appendf(b, "%s\nstartxref\n%d\n%%%%EOF\n", strings.Repeat("\n", 40), tables)
	left := 4*int64(len(b)) + 1<<20 // tables are read once, or twice where they are in two forms
	r, err := pdf.NewReader(tiredReader{bytes.NewReader(b), &left}, int64(len(b)))
	if err != nil {
		if errors.Is(err, pdf.ErrInvalidPassword) {
			return nil, fmt.Errorf("%w with a password: decrypt it first", ErrEncrypted)
		}
		if strings.Contains(err.Error(), "encrypt") {
			return nil, fmt.Errorf("%w in a way that is not read here (%.100s): decrypt it first", ErrEncrypted, err.Error())
		}
		return nil, err
	}
	left += maxReread*int64(len(b)) + 1<<28
	encrypt := r.Trailer().Key("Encrypt")
	if v := encrypt.Key("V").Int64(); v == 1 || v == 2 && encrypt.Key("Length").Int64() != 128 { // the library decrypts wrongly
		return nil, fmt.Errorf("%w in a way that is not read here (a key shorter than 128 bits): decrypt it first", ErrEncrypted)
	}
	return &file{bytes: b, r: r, room: maxUnpacked, fonts: map[string]*font{}, encrypted: encrypt.Kind() != pdf.Null}, nil
}

// openAt opens a document whose tables begin at a place.
func openAt(data []byte, tables int) (d *file, err error) {
	defer recovered(&err)
	if d, err = read(data, tables); err != nil {
		return nil, err
	}
	if d.findPages(); len(d.pages) == 0 {
		return nil, errors.New("it has no pages")
	}
	return d, nil
}

// findPages walks the tree of pages. A branch that is damaged, or has been walked, is left out.
func (d *file) findPages() {
	seen := map[string]bool{}
	var walk func(v pdf.Value, depth int)
	walk = func(v pdf.Value, depth int) {
		kids := v.Key("Kids")
		if kids.Kind() != pdf.Array {
			if v.Kind() == pdf.Dict && len(d.pages) < maxPages {
				d.pages = append(d.pages, v)
			}
			return
		}
		refs := referenceRE.FindAllString(kids.String(), -1) // the library does not say which object a value is
		for k := range kids.Len() {
			if len(d.pages) >= maxPages || depth > maxPageDepth {
				return
			}
			if len(refs) == kids.Len() {
				if seen[refs[k]] {
					continue
				}
				seen[refs[k]] = true
			}
			var err error
			kid := func() pdf.Value { defer recovered(&err); return kids.Index(k) }()
			if err == nil {
				walk(kid, depth+1)
			}
		}
	}
	walk(d.r.Trailer().Key("Root").Key("Pages"), 0)
}

var (
	referenceRE = regexp.MustCompile(`\d+ \d+ R`)
	objectRE    = regexp.MustCompile(`(?:^|[\s>])(\d{1,7})\s+(\d{1,5})\s+obj\b`)
	rootRE      = regexp.MustCompile(`/Root\s+(\d{1,7}\s+\d{1,5}\s+R)`)
	infoRE      = regexp.MustCompile(`/Info\s+(\d{1,7}\s+\d{1,5}\s+R)`)
	catalogRE   = regexp.MustCompile(`/Type\s*/Catalog\b`)
	pageRE      = regexp.MustCompile(`/Type\s*/Page\b`)
	packedRE    = regexp.MustCompile(`/Type\s*/ObjStm\b`)
)

// rebuild makes new tables for a document whose own are lost: of every object the last that is there. Objects that are packed in
// streams are written out behind. Without a catalogue, its pages are those that are found, in order.
func rebuild(data []byte) (whole []byte, tables int, err error) {
	if bytes.Contains(data, []byte("/Encrypt")) {
		return nil, 0, errors.New("its tables are damaged, and it is encrypted")
	}
	type object struct{ id, generation, at int }
	var objects []object
	var pages, packed []string
	catalog := ""
	add := func(b []byte, base int) {
		found := objectRE.FindAllSubmatchIndex(b, maxObjects)
		for k, m := range found {
			id, _ := strconv.Atoi(string(b[m[2]:m[3]]))
			generation, _ := strconv.Atoi(string(b[m[4]:m[5]]))
			if id >= maxObjectID {
				continue
			}
			objects = append(objects, object{id, generation, base + m[2]})
			end := len(b)
			if k+1 < len(found) {
				end = found[k+1][0]
			}
			ref := fmt.Sprintf("%d %d R", id, generation)
			switch head := b[m[1]:min(end, m[1]+4096)]; {
			case catalogRE.Match(head):
				catalog = ref
			case pageRE.Match(head):
				pages = append(pages, ref)
			case packedRE.Match(head):
				packed = append(packed, ref)
			}
		}
	}
	whole = append(whole, data...)
	add(data, 0)
	table := func(root, info string) int {
		at := len(whole) + 1
		whole = append(whole, "\nxref\n"...)
		for _, o := range objects {
			whole = fmt.Appendf(whole, "%d 1\n%010d %05d n \n", o.id, o.at, o.generation)
		}
		whole = fmt.Appendf(whole, "trailer\n<</Size %d/Root %s%s>>\n", maxObjectID, root, info)
		return at
	}
	if len(packed) > 0 && len(packed) < 10_000 {
		at := table("["+strings.Join(packed, " ")+"]", "")
		if d, err := openPacked(whole, at); err == nil {
			from := len(whole)
			whole = append(whole, '\n')
			whole = append(whole, d...)
			add(whole[from:], from)
		}
	}
	// The library takes the first entry of an object: the last one in the file goes before.
	slices.Reverse(objects)
	root := catalog
	if m := rootRE.FindAllSubmatch(data, -1); len(m) > 0 {
		root = string(m[len(m)-1][1])
	}
	if root == "" && len(pages) > 0 {
		root = fmt.Sprintf("<</Type/Catalog/Pages<</Type/Pages/Kids[%s]>>>>", strings.Join(pages[:min(len(pages), maxPages)], " "))
	}
	if root == "" {
		return nil, 0, errors.New("its tables are damaged, and it has no pages")
	}
	info := ""
	if m := infoRE.FindAllSubmatch(data, -1); len(m) > 0 {
		info = "/Info " + string(m[len(m)-1][1])
	}
	return whole, table(root, info), nil
}

// openPacked writes out the objects that streams of a document have packed: its trailer's root lists the streams.
func openPacked(data []byte, tables int) (out []byte, err error) {
	defer recovered(&err)
	d, err := read(data, tables)
	if err != nil {
		return nil, err
	}
	list := d.r.Trailer().Key("Root")
	for k := range list.Len() {
		s := list.Index(k)
		body := d.data(s, maxStream)
		first, n := int(s.Key("First").Int64()), int(s.Key("N").Int64())
		if first <= 0 || first > len(body) {
			continue
		}
		l := lexer{b: body[:first]}
		var ids, starts []int
		for range min(n, maxObjects) {
			id, at := l.next(), l.next()
			if id.kind != aNumber || at.kind != aNumber || at.num < 0 || at.num > float64(len(body)-first) || id.num >= maxObjectID {
				break
			}
			ids, starts = append(ids, int(id.num)), append(starts, first+int(at.num))
		}
		for j, id := range ids {
			end := len(body)
			if j+1 < len(starts) {
				end = max(starts[j], starts[j+1])
			}
			out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", id, body[starts[j]:end])
		}
	}
	return out, nil
}
