package recipe

import (
	"bytes"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Marshal writes the recipe completely, defaults included, in the schema's order, so that Parse reads the same settings
// back and equal recipes give equal bytes. Sections and keys that a stage's kind does not read are left out; what stages
// share is written into each of them. Of the comments only those at the head of the file are kept.
func (r *Recipe) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(r.preamble)
	w := writer{&b, r.Kind}
	if len(r.Stages) == 0 {
		w.section(reflect.ValueOf(r).Elem(), "")
		return b.Bytes()
	}
	v := reflect.ValueOf(r).Elem()
	for _, f := range fieldsOf(recipeType) {
		if _, shared := findField(stageType, f.name); !shared || f.name == "name" {
			w.field(v, f, "")
		}
	}
	b.WriteString("stages:\n")
	for i := range r.Stages {
		var stage bytes.Buffer
		writer{&stage, r.Stages[i].Kind}.section(reflect.ValueOf(&r.Stages[i]).Elem(), "    ")
		b.WriteString("  - " + strings.TrimPrefix(stage.String(), "    "))
	}
	return b.Bytes()
}

// Marshal writes one stage as Recipe.Marshal does, with its @stage paths as they are: the text that identifies the
// stage's work, wherever its directory lies.
func (s *Stage) Marshal() []byte {
	var b bytes.Buffer
	writer{&b, s.Kind}.section(reflect.ValueOf(s).Elem(), "")
	return b.Bytes()
}

type writer struct {
	b    *bytes.Buffer
	kind string // of the stage; "" writes everything
}

func (w writer) section(v reflect.Value, indent string) {
	for _, f := range fieldsOf(v.Type()) {
		w.field(v, f, indent)
	}
}

func (w writer) field(v reflect.Value, f field, indent string) {
	target := v.FieldByIndex(f.index)
	unset := f.def == "" && (target.Kind() == reflect.String || target.Kind() == reflect.Slice ||
		target.Kind() == reflect.Map) && target.Len() == 0
	if w.kind != "" && !f.usedBy(w.kind) || unset || f.typ == reflect.TypeFor[[]Stage]() {
		return
	}
	if !f.isSection() {
		w.b.WriteString(indent + f.name + ": " + format(target, f) + "\n")
		return
	}
	var keys bytes.Buffer
	writer{&keys, w.kind}.section(target, indent+"  ")
	if keys.Len() > 0 {
		w.b.WriteString(indent + f.name + ":\n")
		keys.WriteTo(w.b)
	}
}

var (
	plainForm = regexp.MustCompile(`^[A-Za-z_/.][A-Za-z0-9_/.+-]*( [A-Za-z0-9_/.+-]+)*$`)
	reserved  = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|[+.-]*(inf|nan))$`)
)

// scalarText writes text plainly where no reader of YAML could mistake it, else in double quotes.
func scalarText(s string) string {
	if plainForm.MatchString(s) && !reserved.MatchString(s) && !looksNumeric(s) && !strings.HasPrefix(s, "...") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xffff && !unicode.IsPrint(r):
			b.WriteString(`\U` + padHex(r, 8))
		case !unicode.IsPrint(r):
			b.WriteString(`\u` + padHex(r, 4))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func padHex(r rune, width int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, width-len(s))) + s
}
