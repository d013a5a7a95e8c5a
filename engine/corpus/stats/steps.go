package stats

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
)

// A Step is what a step of the chain did, the sum of its reports on all files.
type Step struct {
	Store string `json:"store"`
	shard.Report
}

// Own says that a file of a store is a step's own, such as a list of duplicates, and none of the corpus.
func Own(name string) bool { return strings.HasPrefix(name, "_") }

// Steps are those that left reports on files of the corpus in a store, in the order of their names.
func Steps(ctx context.Context, s store.Store) (steps []Step, err error) {
	reports, err := shard.Reports(ctx, s)
	if err != nil {
		return nil, err
	}
	sums := map[string]*shard.Report{}
	for _, r := range reports {
		if Own(r.Output) {
			continue
		}
		if sums[r.Step] == nil {
			sums[r.Step] = &shard.Report{}
		}
		sums[r.Step].Add(r)
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		steps = append(steps, Step{s.Path("."), *sums[name]})
	}
	return steps, nil
}

// tidy makes a step fit to be shown, with the reasons first that dropped most.
func (s Step) tidy() Step {
	s.Store, s.Step = clean(s.Store), clean(s.Step)
	s.Dropped = append([]shard.Drop{}, s.Dropped...)
	for i := range s.Dropped {
		d := &s.Dropped[i]
		d.Reason, d.Samples = clean(d.Reason), slices.Clone(d.Samples)
		for j := range d.Samples {
			d.Samples[j] = clean(d.Samples[j])
		}
	}
	slices.SortStableFunc(s.Dropped, func(a, b shard.Drop) int { return cmp.Compare(b.Documents, a.Documents) })
	var notes shard.Report
	for _, name := range slices.Sorted(maps.Keys(s.Notes)) {
		notes.Note(clean(name), s.Notes[name])
	}
	s.Notes = notes.Notes
	return s
}

// warnings say where steps do not fit together.
func warnings(steps []Step, read Row) (w []string) {
	for i, s := range steps {
		switch {
		case i+1 < len(steps) && steps[i+1].Read.Documents != s.Kept.Documents:
			w = append(w, fmt.Sprintf("%s read %d documents, and %s kept %d: not all files are done, or one was not made of the other", steps[i+1].Step,
				steps[i+1].Read.Documents, s.Step, s.Kept.Documents))
		case i+1 == len(steps) && s.Step != archiveName && read.Documents > 0 && read.Documents != s.Kept.Documents:
			w = append(w, fmt.Sprintf("there are %d documents, and %s kept %d: not all files are done, or there are others beside them", read.Documents, s.Step,
				s.Kept.Documents))
		}
	}
	return w
}

// noted are the further counts by name.
func (s Step) noted() (rows []Row) {
	for _, name := range slices.Sorted(maps.Keys(s.Notes)) {
		rows = append(rows, Row{Name: name, Documents: s.Notes[name]})
	}
	return rows
}
