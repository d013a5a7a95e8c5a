package recipe

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// As says what the recipe is to be run as, which matters where it does not say its kind itself.
func (r *Recipe) As(kind string) error {
	switch {
	case len(r.Stages) > 0:
		return (place{file: r.marks["stages"].file}).errorf("stages", "this recipe is a pipeline of stages, not one %s", kind).advise(
			"run all of it: forja run " + r.Name)
	case r.Kind != "" && r.Kind != kind:
		return r.Errorf("kind", "this recipe is for %s, not %s", r.Kind, kind)
	}
	r.Kind = kind
	return nil
}

// Resolve fills the defaults that depend on other keys and checks the rules that span keys. Sizes that follow from a
// preset, a depth, a tokenizer or a device stay auto. Every error is an *Error. Resolving twice changes nothing.
func (r *Recipe) Resolve() error {
	if len(r.Stages) == 0 {
		if m, ok := r.marks["stages"]; ok {
			return m.errorf("stages", "the list of stages is empty")
		}
		if !nameForm.MatchString(r.Name) {
			return badName(&r.Stage)
		}
		if r.Kind == "" {
			r.Kind = "pretrain"
			if r.Base != "" {
				r.Kind = "sft"
			}
		}
		if err := r.Stage.resolve(); err != nil {
			return err
		}
		return r.Stage.eachPath(func(key string, path *string) error {
			if strings.HasPrefix(*path, "@") {
				return r.Errorf(key, "%s points into a stage, and this recipe has none", quoted(*path))
			}
			return nil
		})
	}
	if err := r.resolveGraph(); err != nil {
		return err
	}
	for i := range r.Stages {
		if err := r.Stages[i].resolve(); err != nil {
			return err
		}
	}
	return nil
}

func badName(s *Stage) error {
	return s.Errorf("name", "%s is not a name: letters, digits, - and _, at most 64", quoted(s.Name))
}

// resolve completes one stage whose kind is known.
func (s *Stage) resolve() error {
	rules := []func(*Stage) error{unusedKeys, (*Stage).checkDevice}
	switch s.Kind {
	case "crawl":
		rules = append(rules, required("crawl.seeds", "crawl.contact"))
	case "extract":
		rules = append(rules, required("data.path"))
	case "filter":
		rules = append(rules, required("data.path"), filterRules)
	case "dedup":
		rules = append(rules, required("data.path"), dedupRules)
	case "corpus":
		rules = append(rules, corpusRules)
	case "tokenizer":
		rules = append(rules, tokenizerRules)
	case "pack":
		rules = append(rules, required("data.train", "tokenizer.path"))
	case "pretrain":
		rules = append(rules, pretrainRules, modelRules, lengthRules, batchRules, scheduleRules)
	case "sft":
		rules = append(rules, required("base", "data.train"), lengthRules, batchRules, scheduleRules, loraRules)
	case "eval":
		rules = append(rules, required("base"), evalRules)
	case "ngram":
		if s.Base == "" {
			rules = append(rules, required("data.train", "data.val"))
		}
	}
	for _, rule := range rules {
		if err := rule(s); err != nil {
			return err
		}
	}
	return nil
}

// unusedKeys refuses keys that the stage's kind would ignore; shared ones may be meant for other stages.
func unusedKeys(s *Stage) error {
	return eachKey(stageType, "", func(key string, f field) error {
		m, given := s.marks[key]
		if !given || m.inherited || f.usedBy(s.Kind) {
			return nil
		}
		var used []string
		prefix := key[:strings.LastIndexByte(key, '.')+1]
		t := stageType
		if prefix != "" {
			section, _ := findField(stageType, strings.TrimSuffix(prefix, "."))
			t = section.typ
		}
		for _, g := range fieldsOf(t) {
			if g.usedBy(s.Kind) {
				used = append(used, g.name)
			}
		}
		slices.Sort(used)
		owner := strings.TrimSuffix(prefix, ".")
		if owner == "" {
			owner = s.Kind
		}
		return m.key.errorf(key, "%s is not used by %s", key, s.Kind).advise(
			fmt.Sprintf("%s accepts here: %s", owner, strings.Join(used, ", ")))
	})
}

// eachKey calls fn for every section and key of a section type, parents first.
func eachKey(t reflect.Type, prefix string, fn func(key string, f field) error) error {
	for _, f := range fieldsOf(t) {
		if err := fn(prefix+f.name, f); err != nil {
			return err
		}
		if f.isSection() {
			if err := eachKey(f.typ, prefix+f.name+".", fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// value returns the setting behind a dotted key.
func (s *Stage) value(key string) reflect.Value {
	v := reflect.ValueOf(s).Elem()
	for word := range strings.SplitSeq(key, ".") {
		f, _ := findField(v.Type(), word)
		v = v.FieldByIndex(f.index)
	}
	return v
}

// required demands that every key has a value.
func required(keys ...string) func(*Stage) error {
	return func(s *Stage) error {
		for _, key := range keys {
			if s.value(key).IsZero() {
				return s.missing(key)
			}
		}
		return nil
	}
}

// missing is the error of a key that the kind cannot do without; it points at the nearest thing that was written.
func (s *Stage) missing(keys ...string) *Error {
	at := place{}
	for _, near := range []string{firstWord(keys[0]), "kind", "", "version"} {
		if m, ok := s.marks[near]; ok && !m.flag {
			at = m.key
			break
		}
	}
	e := at.errorf(keys[0], "%s needs %s", s.Kind, strings.Join(keys, " or "))
	if s.Name != "" && at.file == "" {
		e.Message = s.Name + ": " + e.Message
	}
	f, _ := findField(s.value(parent(keys[0])).Type(), keys[0][strings.LastIndexByte(keys[0], '.')+1:])
	return e.advise(fmt.Sprintf("%s: %s", keys[0], f.doc))
}

func parent(key string) string {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i]
	}
	return ""
}

// exclusive keeps at most one of several keys: a flag beats the file and a stage's own key a shared one; two of the same
// rank are an error.
func (s *Stage) exclusive(keys ...string) error {
	rank := func(m mark) int {
		switch {
		case m.flag:
			return 2
		case !m.inherited:
			return 1
		}
		return 0
	}
	best := ""
	for _, key := range keys {
		m, given := s.marks[key]
		if !given || s.value(key).IsZero() {
			continue
		}
		if best == "" {
			best = key
			continue
		}
		first := s.marks[best]
		if rank(first) == rank(m) {
			return m.key.errorf(key, "%s and %s exclude each other", best, key).advise("keep one of " + strings.Join(keys, ", "))
		}
		loser := best
		if rank(first) > rank(m) {
			loser = key
		} else {
			best = key
		}
		s.value(loser).SetZero()
		delete(s.marks, loser)
	}
	return nil
}

var deviceForm = regexp.MustCompile(`^(auto|cpu|sim(:80|:90)?|cuda(:\d{1,3}|:(GPU-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?)$`)

func (s *Stage) checkDevice() error {
	if !deviceForm.MatchString(s.Device) {
		return s.Errorf("device", "%s is not a device", quoted(s.Device)).advise("one of auto, cpu, cuda, cuda:0, cuda:1, …, cuda:UUID, sim, sim:80")
	}
	return nil
}
