package recipe

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// New returns a recipe of defaults only, to be filled by Set. Name is used in messages and as the run's name.
func New(name string) *Recipe {
	r := &Recipe{}
	setDefaults(reflect.ValueOf(r).Elem())
	r.Name = baseName(name)
	r.marks = map[string]mark{}
	return r
}

// Parse reads a recipe: syntax, keys, types and ranges. File is its name for messages; the run is called after it
// unless the recipe has a name. Every error is an *Error. Rules across keys are checked by Resolve, after overrides.
func Parse(file string, src []byte) (*Recipe, error) {
	root, text, err := parseYAML(file, src)
	if err != nil {
		return nil, err
	}
	r := New(file)
	r.preamble = preamble(text)
	var stages *pair
	rest := root
	rest.pairs = nil
	for i, p := range root.pairs {
		if p.key == "stages" {
			stages = &root.pairs[i]
			continue
		}
		rest.pairs = append(rest.pairs, p)
	}
	if err := (decoder{marks: r.marks}).section(reflect.ValueOf(r).Elem(), rest, ""); err != nil {
		return nil, err
	}
	if _, ok := r.marks["version"]; !ok {
		return nil, text.at(1, 1, 1).errorf("version", "the recipe does not say its version").advise("add the line: version: 1")
	}
	if stages != nil {
		if err := r.parseStages(*stages); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// parseStages decodes the list of stages; each starts from the recipe's own sections.
func (r *Recipe) parseStages(p pair) error {
	if p.value.kind != listNode {
		return p.value.place.errorf("stages", "stages: wants a list, found %s", p.value.found()).advise(
			"each stage begins with: - name: NAME")
	}
	if m, ok := r.marks["kind"]; ok {
		return m.key.errorf("kind", "a recipe with stages has a kind in each stage, not at the top")
	}
	r.marks["stages"] = mark{place: p.place, key: p.place}
	inherited := map[string]mark{}
	for key, m := range r.marks {
		if field, ok := findField(stageType, firstWord(key)); ok && field.name != "name" {
			m.inherited = true
			inherited[key] = m
		}
	}
	for i, item := range p.value.items {
		s := r.Stage
		s.Name, s.marks = "", maps.Clone(inherited)
		where := fmt.Sprintf("stage %d", i+1)
		for _, q := range item.pairs {
			if q.key == "name" && q.value.kind == scalarNode {
				where = "stage " + printable(q.value.text)
			}
		}
		if err := (decoder{where: where, marks: s.marks}).section(reflect.ValueOf(&s).Elem(), item, ""); err != nil {
			return err
		}
		s.marks[""] = mark{place: item.place, key: item.place}
		r.Stages = append(r.Stages, s)
	}
	return nil
}

// Set overrides one dotted key, as a flag does: the same parser and the same errors. A list that is set again grows. In a recipe with stages a plain key
// changes the value that the stages share, and stages.NAME.KEY one stage's own.
func (r *Recipe) Set(key, value string) error {
	at := place{file: "--" + key}
	if rest, ok := strings.CutPrefix(key, "stages."); ok {
		name, sub, _ := strings.Cut(rest, ".")
		var known []string
		for i := range r.Stages {
			if r.Stages[i].Name == name {
				return r.Stages[i].set(reflect.ValueOf(&r.Stages[i]).Elem(), at, sub, value, false)
			}
			known = append(known, r.Stages[i].Name)
		}
		e := at.errorf(key, "the recipe has no stage %s", quoted(name))
		if near := Suggest(name, known); near != "" {
			e.hint("did you mean %q?", near)
		}
		return e.advise("its stages: " + strings.Join(known, ", "))
	}
	if len(r.Stages) == 0 {
		return r.set(reflect.ValueOf(r).Elem(), at, key, value, false)
	}
	shared := true
	if f, ok := findField(stageType, firstWord(key)); !ok || f.name == "name" {
		shared = false
	} else if f.name == "kind" || f.name == "needs" {
		return at.errorf(key, "%s belongs to one stage: --stages.NAME.%s", key, key)
	}
	var own []string
	for _, s := range r.Stages {
		if m, ok := s.marks[key]; shared && ok && !m.inherited {
			own = append(own, s.Name)
		}
	}
	if len(own) > 0 {
		return at.errorf(key, "stage %s sets %s itself", strings.Join(own, " and "), key).advise(
			fmt.Sprintf("say which: --stages.%s.%s %s", own[0], key, value))
	}
	if err := r.set(reflect.ValueOf(r).Elem(), at, key, value, false); err != nil {
		return err
	}
	for i := range r.Stages {
		if shared {
			if err := r.Stages[i].set(reflect.ValueOf(&r.Stages[i]).Elem(), at, key, value, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// set assigns one dotted key of v, which is the stage or the recipe that embeds it.
func (s *Stage) set(v reflect.Value, at place, key, value string, inherited bool) error {
	d := decoder{marks: s.marks, flag: true}
	prefix, words := "", strings.Split(key, ".")
	for i, word := range words {
		f, ok := findField(v.Type(), word)
		if !ok {
			return d.unknown(v.Type(), at, prefix, word)
		}
		target := v.FieldByIndex(f.index)
		last := i == len(words)-1
		switch {
		case f.isSection() && !last:
			v, prefix = target, prefix+word+"."
			continue
		case f.isSection(), f.typ == reflect.TypeFor[[]Stage]():
			return at.errorf(key, "%s is a section: set one of its keys", key).advise(
				fmt.Sprintf("%s accepts: %s", key, strings.Join(names(sectionType(f)), ", ")))
		case f.typ.Kind() == reflect.Map && len(words) == i+2:
			roles := map[string]string{}
			maps.Copy(roles, target.Interface().(map[string]string))
			roles[words[i+1]] = value
			target.Set(reflect.ValueOf(roles))
		case !last:
			return at.errorf(key, "%s has no keys below it", prefix+word)
		default:
			before := reflect.ValueOf(target.Interface())
			if err := assign(target, f, node{text: value, flag: true, place: at}, key); err != nil {
				e := err.(*Error)
				e.Message = strings.TrimPrefix(e.Message, key+": ")
				return e
			}
			if m, ok := s.marks[prefix+word]; ok && m.flag && f.typ.Kind() == reflect.Slice {
				target.Set(reflect.AppendSlice(before, target))
			}
		}
		s.marks[prefix+word] = mark{place: at, key: at, flag: true, inherited: inherited}
		return nil
	}
	return nil
}

func sectionType(f field) reflect.Type {
	if f.typ.Kind() == reflect.Slice {
		return f.typ.Elem()
	}
	return f.typ
}

// IsSet reports whether a dotted key (or section) was given, in the file, at the recipe's top level or by Set.
func (s *Stage) IsSet(key string) bool {
	_, ok := s.marks[key]
	return ok
}

// Errorf returns an Error about a dotted key's value, pointing to where it was written, for rules that only a caller can
// check: a model's sizes, a file's content.
func (s *Stage) Errorf(key, format string, args ...any) *Error {
	m, ok := s.marks[key]
	message := fmt.Sprintf(format, args...)
	if !ok {
		return &Error{File: key, Key: key, Message: message}
	}
	if m.flag {
		return m.place.errorf(key, "%s", message)
	}
	return m.place.errorf(key, "%s: %s", key, message)
}

// Find returns a stage by name. A recipe without stages is its own only stage, under any name.
func (r *Recipe) Find(name string) (*Stage, bool) {
	if len(r.Stages) == 0 {
		return &r.Stage, name == "" || name == r.Name
	}
	for i := range r.Stages {
		if r.Stages[i].Name == name {
			return &r.Stages[i], true
		}
	}
	return nil, false
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	unnamely = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// baseName makes a run's name of a file's.
func baseName(file string) string {
	base := path.Base(strings.ReplaceAll(file, `\`, "/"))
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")
	base = strings.Trim(unnamely.ReplaceAllString(base, "-"), "-_")
	if base = base[:min(len(base), 64)]; !nameForm.MatchString(base) {
		return "run"
	}
	return base
}

func firstWord(key string) string {
	word, _, _ := strings.Cut(key, ".")
	return word
}

// preamble returns the comment lines at the head of the file.
func preamble(text *source) string {
	end := slices.IndexFunc(text.lines, func(l string) bool { return !strings.HasPrefix(l, "#") })
	if end <= 0 {
		return ""
	}
	return strings.Join(text.lines[:end], "\n") + "\n"
}
