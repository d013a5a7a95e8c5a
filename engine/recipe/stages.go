package recipe

import (
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
)

// resolveGraph names the stages, adds the needs that @stage paths imply, and refuses unknown stages and cycles.
func (r *Recipe) resolveGraph() error {
	if !nameForm.MatchString(r.Name) {
		return badName(&r.Stage)
	}
	var known []string
	for i := range r.Stages {
		s := &r.Stages[i]
		start := s.marks[""].place
		switch {
		case s.Name == "":
			return start.errorf("name", "stage %d has no name", i+1).advise("add: name: NAME")
		case !nameForm.MatchString(s.Name):
			return badName(s)
		case slices.Contains(known, s.Name):
			return s.Errorf("name", "two stages are called %s", s.Name)
		case s.Kind == "":
			return start.errorf("kind", "stage %s has no kind", s.Name).advise(
				"add: kind: one of " + strings.Join(kinds(), ", "))
		}
		known = append(known, s.Name)
	}
	for i := range r.Stages {
		if err := r.Stages[i].resolveNeeds(known); err != nil {
			return err
		}
	}
	if cycle := r.findCycle(); cycle != nil {
		s, _ := r.Find(cycle[0])
		return s.marks[""].errorf("needs", "the stages wait for each other: %s", strings.Join(cycle, " > "))
	}
	return nil
}

func kinds() []string {
	f, _ := findField(stageType, "kind")
	return f.oneof
}

func (s *Stage) resolveNeeds(known []string) error {
	needs := slices.Clone(s.Needs)
	check := func(key, name string) error {
		if slices.Contains(known, name) && name != s.Name {
			return nil
		}
		e := s.Errorf(key, "there is no other stage %s", quoted(name))
		if near := Suggest(name, known); near != "" && near != s.Name {
			e.hint("did you mean %q?", near)
		}
		return e
	}
	for _, name := range needs {
		if err := check("needs", name); err != nil {
			return err
		}
	}
	err := s.eachPath(func(key string, p *string) error {
		name, sub, ok := splitRef(*p)
		if !ok {
			return nil
		}
		if err := check(key, name); err != nil {
			return err
		}
		if !fs.ValidPath(sub) {
			return s.Errorf(key, "%s leaves the stage's directory", quoted(*p))
		}
		needs = append(needs, name)
		return nil
	})
	slices.Sort(needs)
	s.Needs = slices.Compact(needs)
	if len(s.Needs) == 0 {
		s.Needs = nil
	}
	return err
}

// splitRef takes "@stage/sub/path" apart; sub is "." for the directory itself.
func splitRef(p string) (stage, sub string, ok bool) {
	rest, ok := strings.CutPrefix(p, "@")
	if !ok {
		return "", "", false
	}
	stage, sub, _ = strings.Cut(rest, "/")
	if sub == "" {
		sub = "."
	}
	return stage, sub, true
}

// eachPath calls fn with every path value that the stage's kind reads.
func (s *Stage) eachPath(fn func(key string, path *string) error) error {
	return eachKey(stageType, "", func(key string, f field) error {
		section, _ := findField(stageType, firstWord(key))
		if !f.path || f.typ.Kind() != reflect.String || !f.usedBy(s.Kind) || !section.usedBy(s.Kind) {
			return nil
		}
		return fn(key, s.value(key).Addr().Interface().(*string))
	})
}

// findCycle returns stages that need each other in a circle, the first one repeated at the end, or nil.
func (r *Recipe) findCycle() []string {
	const visiting, done = 1, 2
	state := map[string]int{}
	var trail []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case visiting:
			return append(slices.Clone(trail[slices.Index(trail, name):]), name)
		}
		state[name] = visiting
		trail = append(trail, name)
		s, _ := r.Find(name)
		for _, need := range s.Needs {
			if cycle := visit(need); cycle != nil {
				return cycle
			}
		}
		trail = trail[:len(trail)-1]
		state[name] = done
		return nil
	}
	for _, s := range r.Stages {
		if cycle := visit(s.Name); cycle != nil {
			return cycle
		}
	}
	return nil
}

// Extract returns one stage of a resolved pipeline as a recipe of its own, with every @stage path replaced by a path
// below dir(stage).
func (r *Recipe) Extract(name string, dir func(stage string) string) (*Recipe, bool) {
	s, ok := r.Find(name)
	if !ok {
		return nil, false
	}
	out := &Recipe{Version: r.Version, Job: r.Job, Stage: *s}
	out.Needs = nil
	_ = out.Stage.eachPath(func(_ string, p *string) error {
		if stage, sub, ok := splitRef(*p); ok {
			*p = path.Join(dir(stage), sub)
		}
		return nil
	})
	return out, true
}
