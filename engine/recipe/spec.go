package recipe

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A field is one key of a section, as its struct tags describe it.
type field struct {
	name  string
	def   string
	doc   string
	auto  bool     // the word auto is accepted: the zero value
	oneof []string // accepted words
	rng   interval
	kinds []string // kinds of stage that use it; nil is all
	path  bool     // "@stage/…" is a reference
	split bool     // a list whose items hold no commas: in a flag they separate it
	index []int    // for reflect.Value.FieldByIndex
	typ   reflect.Type
}

var (
	specs        sync.Map // reflect.Type -> []field
	stepsType    = reflect.TypeFor[Steps]()
	durationType = reflect.TypeFor[time.Duration]()
	stageType    = reflect.TypeFor[Stage]()
	recipeType   = reflect.TypeFor[Recipe]()
)

// isSection reports whether a field holds keys of its own.
func (f field) isSection() bool { return f.typ.Kind() == reflect.Struct && f.typ != stepsType }

// fieldsOf returns the keys of a section in order; an embedded Stage's keys stand among its owner's. A wrong tag is a
// mistake in this package, found by any test, and panics.
func fieldsOf(t reflect.Type) []field {
	if known, ok := specs.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			for _, f := range fieldsOf(sf.Type) {
				if f.name == "needs" {
					continue // only a stage of a pipeline has needs
				}
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		}
		if sf.PkgPath != "" {
			continue
		}
		f := field{name: sf.Tag.Get("key"), def: sf.Tag.Get("default"), doc: sf.Tag.Get("doc"), index: []int{i},
			typ: sf.Type, path: sf.Tag.Get("path") == "yes", split: sf.Tag.Get("split") == "yes", kinds: strings.Fields(sf.Tag.Get("for")), rng: anyNumber}
		f.auto = f.def == "auto" && sf.Type.Kind() != reflect.String
		if words := sf.Tag.Get("oneof"); words != "" {
			f.oneof, f.split = strings.Split(words, "|"), true
		}
		if r := sf.Tag.Get("range"); r != "" {
			var err error
			if f.rng, err = parseInterval(r); err != nil {
				panic(fmt.Sprintf("recipe: %s.%s: %v", t.Name(), sf.Name, err))
			}
		}
		if f.name == "" || f.doc == "" {
			panic(fmt.Sprintf("recipe: %s.%s has no key or doc tag", t.Name(), sf.Name))
		}
		fields = append(fields, f)
	}
	specs.Store(t, fields)
	return fields
}

// names lists the keys of a section, sorted.
func names(t reflect.Type) []string {
	var out []string
	for _, f := range fieldsOf(t) {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}

func findField(t reflect.Type, name string) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// usedBy reports whether stages of a kind read the field.
func (f field) usedBy(kind string) bool { return len(f.kinds) == 0 || slices.Contains(f.kinds, kind) }

// typeName is what a value is called in help and errors.
func (f field) typeName() string {
	var name string
	switch {
	case len(f.oneof) > 0:
		name = strings.Join(f.oneof, "|")
	case f.typ == stepsType:
		return "steps or %"
	case f.typ == durationType:
		return "duration"
	case f.path:
		return "path"
	default:
		name = map[reflect.Kind]string{reflect.String: "text", reflect.Int: "int", reflect.Float64: "number",
			reflect.Bool: "bool", reflect.Pointer: "bool", reflect.Slice: "text", reflect.Array: "numbers",
			reflect.Map: "name=name"}[f.typ.Kind()]
	}
	if f.typ.Kind() == reflect.Slice {
		name = "list of " + name
	}
	if f.auto {
		name += " or auto"
	}
	return name
}

// A Key is one dotted key of the schema.
type Key struct {
	Name    string   // optim.learning_rate
	Type    string   // number or auto
	Default string   // auto
	Doc     string   // one line
	Words   []string // the accepted words, if it has a fixed list
	Kinds   []string // kinds of stage that read it; empty is all
}

// Keys lists every dotted key of a single-stage recipe in the schema's order. In a recipe with stages each of them is
// also written stages.NAME.KEY.
func Keys() []Key { return keysOf(recipeType, "", nil) }

func keysOf(t reflect.Type, prefix string, kinds []string) []Key {
	var keys []Key
	for _, f := range fieldsOf(t) {
		used := f.kinds
		if len(used) == 0 {
			used = kinds
		}
		switch {
		case f.typ == reflect.TypeFor[[]Stage]():
		case f.isSection():
			keys = append(keys, keysOf(f.typ, prefix+f.name+".", used)...)
		default:
			words := f.oneof
			if f.typ.Kind() == reflect.Bool || f.typ.Kind() == reflect.Pointer {
				words = []string{"true", "false"}
			}
			keys = append(keys, Key{Name: prefix + f.name, Type: f.typeName(), Default: f.def, Doc: f.doc,
				Words: words, Kinds: used})
		}
	}
	return keys
}
