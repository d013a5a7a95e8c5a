package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/filter"
	"forja/engine/corpus/lang"
	"forja/engine/recipe"
)

// A judge decides about documents as a recipe says. It is safe for concurrent use.
type judge struct {
	config        filter.Config
	only          string // one filter; "" is all
	contamination *filter.Contamination
	files         []string // SHA-256 of each block list and evaluation set, in the order of their keys
	checkers      sync.Pool
}

// judgeFlags are how verbs are told the recipe of a judge.
type judgeFlags struct {
	settings     []setting
	recipe, only string
}

func (f *judgeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.recipe, "recipe", "", "recipe whose section filter says what the flags do not")
	c.Flags().StringVar(&f.only, "only", "", "apply one filter: "+strings.Join(filter.Filters(), ", "))
	addSection(c, &f.settings, "filter")
}

// open makes the judge that the flags ask for.
func (f *judgeFlags) open() (*judge, error) {
	if f.only != "" && !slices.Contains(filter.Filters(), f.only) {
		return nil, usagef("--only: there is no filter %q; there are %s", f.only, strings.Join(filter.Filters(), ", "))
	}
	s, err := sectionOf(f.recipe, "filter", f.settings)
	if err != nil {
		return nil, err
	}
	return newJudge(s, f.only)
}

// newJudge reads the files that a filter's keys name.
func newJudge(s *recipe.Stage, only string) (*judge, error) {
	j := &judge{config: filter.Config{Filter: s.Filter, Lists: &filter.Lists{}}, only: only}
	lists, of := j.config.Lists, s.Filter.URL
	var subwords map[string]bool
	for _, l := range []struct {
		key, path string
		to        *map[string]bool
	}{{"domains", of.Domains, &lists.Domains}, {"urls", of.URLs, &lists.URLs}, {"words", of.Words, &lists.Words},
		{"soft_words", of.SoftWords, &lists.SoftWords}, {"subwords", of.Subwords, &subwords}} {
		if err := j.read("filter.url."+l.key, l.path, s, func(f *os.File) (err error) {
			*l.to, err = filter.ReadList(f)
			return err
		}); err != nil {
			return nil, err
		}
	}
	for word := range subwords {
		lists.Subwords = append(lists.Subwords, word)
	}
	slices.Sort(lists.Subwords)
	j.contamination = filter.NewContamination(s.Filter.DecontaminateNgram)
	for _, path := range s.Filter.Decontaminate {
		if err := j.read("filter.decontaminate", path, s, j.addEvaluation); err != nil {
			return nil, err
		}
	}
	j.checkers.New = func() any { return j.checker() }
	return j, nil
}

// read gives a file to a function and remembers what was in it. No path is no file.
func (j *judge) read(key, path string, s *recipe.Stage, from func(*os.File) error) error {
	if path == "" {
		j.files = append(j.files, "")
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return s.Errorf(key, "%v", err)
	}
	sum := sha256.Sum256(b)
	j.files = append(j.files, hex.EncodeToString(sum[:]))
	f, err := os.Open(path)
	if err != nil {
		return s.Errorf(key, "%v", err)
	}
	defer f.Close()
	if err := from(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// addEvaluation reads the lines of a text, or every string of JSON lines.
func (j *judge) addEvaluation(f *os.File) error {
	for line, err := range corpus.Lines(f) {
		if err != nil {
			return err
		}
		if filepath.Ext(f.Name()) != ".jsonl" {
			j.contamination.Add(string(line.JSON))
			continue
		}
		var v any
		if err := json.Unmarshal(line.JSON, &v); err != nil {
			return fmt.Errorf("line %d: %w", line.Number, corpus.Reason(err))
		}
		j.addStrings(v)
	}
	return nil
}

func (j *judge) addStrings(v any) {
	switch v := v.(type) {
	case string:
		j.contamination.Add(v)
	case []any:
		for _, e := range v {
			j.addStrings(e)
		}
	case map[string]any:
		for _, e := range v {
			j.addStrings(e)
		}
	}
}

// settings are all that a verdict depends on but the document.
func (j *judge) settings() any {
	f := j.config.Filter
	f.URL, f.Decontaminate = recipe.URLLists{}, nil // where the files lie says nothing
	return struct {
		Version   int
		Languages int // of their identification
		Filter    recipe.Filter
		Only      string
		Files     []string
	}{filter.Version, languagesVersion, f, j.only, j.files}
}

func (j *judge) checker() *filter.Checker {
	if j.only != "" {
		return filter.NewOnly(j.config, j.only)
	}
	return filter.New(j.config)
}

// tell says which language a document's text is in, if that matters, and how sure that is. A language that the classifier
// does not know is taken from the document.
func (j *judge) tell(d *corpus.Document) (score float64) {
	if len(j.config.Languages) == 0 || d.Lang != "" && !lang.Default().Knows(d.Lang) {
		return 1
	}
	g := lang.Default().Detect(d.Text)
	d.Lang = g.Lang
	return g.Score
}

// contaminated is a verdict on a document that the recipe keeps.
func (j *judge) contaminated(v *filter.Verdict) {
	if n := j.contamination.Find(v.Text); v.Keep && n > 0 {
		v.Keep, v.Filter, v.Rule, v.Value = false, "decontaminate", "contaminated", float64(n)
	}
}

// judge decides about a document and tells its language; what is kept has the verdict's text.
func (j *judge) judge(d *corpus.Document) (v filter.Verdict, r filter.Redactions) {
	checker := j.checkers.Get().(*filter.Checker)
	defer j.checkers.Put(checker)
	score := j.tell(d)
	v = checker.Check(*d, score)
	j.contaminated(&v)
	if v.Keep && j.config.Redact {
		v.Text, r = filter.Redact(v.Text)
	}
	return v, r
}
