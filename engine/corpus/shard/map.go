package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"forja/engine/corpus/store"
)

// A Map makes one output file of each input file.
type Map struct {
	Step     string // its name, for reports and messages
	Settings any    // all that an output depends on but its input; encoded as JSON
	In, Out  store.Store
	Share    Share
	// Stem names an input's output, without the format's ending; ok is false for files that are none of this step's.
	Stem func(name string) (stem string, ok bool)
	// Ending is the output's, such as ".jsonl.gz".
	Ending string
	// Do makes an output of an input, and counts in the report what it read, kept and dropped. It is called for one file at a
	// time and may use all processors.
	Do func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *Report) error
	// Progress, if set, is told after each file, skipped ones too.
	Progress func(done, of int, r Report)
}

// ErrSettings is what errors.Is finds when an output was made with other settings.
var ErrSettings = errors.New("made with other settings")

// A task is an input of a map.
type task struct {
	in   store.File
	stem string
}

// tasks lists all inputs, whatever the share, in the order of their names.
func (m *Map) tasks(ctx context.Context) (tasks []task, err error) {
	files, err := m.In.List(ctx)
	if err != nil {
		return nil, err
	}
	from := map[string]string{}
	for _, f := range files {
		if strings.HasPrefix(f.Name, done) {
			continue
		}
		stem, ok := m.Stem(f.Name)
		if !ok {
			continue
		}
		if other, taken := from[stem]; taken {
			return nil, fmt.Errorf("%s and %s would both become %s: rename one of them", m.In.Path(other), m.In.Path(f.Name), stem+m.Ending)
		}
		from[stem] = f.Name
		tasks = append(tasks, task{f, stem})
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%s has no files for %s", m.In.Path("."), m.Step)
	}
	return tasks, nil
}

// Hash identifies settings.
func Hash(settings any) (string, error) {
	b, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// Run does what there is to do of a share and returns the sum of all its reports, of files done before too.
func (m *Map) Run(ctx context.Context) (sum Report, err error) {
	hash, err := Hash(m.Settings)
	if err != nil {
		return sum, err
	}
	tasks, err := m.tasks(ctx)
	if err != nil {
		return sum, err
	}
	var mine []task
	for k, t := range tasks {
		if m.Share.Has(k) {
			mine = append(mine, t)
		}
	}
	have, err := m.outputs(ctx)
	if err != nil {
		return sum, err
	}
	for i, t := range mine {
		if ctx.Err() != nil {
			return sum, context.Cause(ctx)
		}
		r, err := m.one(ctx, t, hash, have)
		if err != nil {
			return sum, err
		}
		sum.Add(r)
		if m.Progress != nil {
			m.Progress(i+1, len(mine), r)
		}
	}
	return sum, nil
}

// outputs are the names of all files where the outputs go.
func (m *Map) outputs(ctx context.Context) (map[string]bool, error) {
	files, err := m.Out.List(ctx)
	have := map[string]bool{}
	for _, f := range files {
		have[f.Name] = true
	}
	return have, err
}

// made gives the report on a task that is done: there is a marker, and what it speaks of is there too.
func (m *Map) made(ctx context.Context, t task, hash string, have map[string]bool) (r Report, ok bool, err error) {
	if r, ok, err = readReport(ctx, m.Out, t.stem); err == nil && ok {
		err = m.fits(t, r, hash)
	}
	return r, ok && have[r.Output], err
}

// one makes one output, unless it is there.
func (m *Map) one(ctx context.Context, t task, hash string, have map[string]bool) (Report, error) {
	r, ok, err := m.made(ctx, t, hash, have)
	if ok || err != nil {
		return r, err
	}
	start := time.Now()
	r = Report{Step: m.Step, Settings: hash, Input: t.in.Name, Size: t.in.Size, Output: t.stem + m.Ending, Files: 1}
	in, err := m.In.Open(ctx, t.in.Name)
	if err != nil {
		return r, err
	}
	err = m.Out.Write(ctx, r.Output, func(w io.Writer) error { return m.Do(ctx, t.in, in, w, &r) })
	if err = errors.Join(err, in.Close()); err != nil {
		return r, fmt.Errorf("%s: %w", m.In.Path(t.in.Name), err)
	}
	r.Seconds = time.Since(start).Seconds()
	return r, WriteReport(ctx, m.Out, t.stem, r)
}

// fits refuses a marker of other work.
func (m *Map) fits(t task, r Report, hash string) error {
	switch {
	case r.Step != m.Step || r.Settings != hash:
		return fmt.Errorf("%s: %w (%s %s, not %s %s): choose another place for the output, or remove this one",
			m.Out.Path(t.stem+m.Ending), ErrSettings, r.Step, r.Settings, m.Step, hash)
	case r.Input != t.in.Name || r.Size != t.in.Size:
		return fmt.Errorf("%s was made of %s of %d bytes, which is now %s of %d: remove %s to make it again",
			m.Out.Path(r.Output), r.Input, r.Size, t.in.Name, t.in.Size, m.Out.Path(marker(t.stem)))
	}
	return nil
}

// Finished gives the sum of the reports on all inputs, whatever the share, and an error that names what is missing.
func (m *Map) Finished(ctx context.Context) (sum Report, err error) {
	reports, err := m.Each(ctx)
	for _, r := range reports {
		sum.Add(r)
	}
	return sum, err
}

// Each gives the reports that Finished sums, in the order of the inputs.
func (m *Map) Each(ctx context.Context) (reports []Report, err error) {
	hash, err := Hash(m.Settings)
	if err != nil {
		return nil, err
	}
	tasks, err := m.tasks(ctx)
	if err != nil {
		return nil, err
	}
	have, err := m.outputs(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, t := range tasks {
		r, ok, err := m.made(ctx, t, hash, have)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, t.in.Name)
			continue
		}
		reports = append(reports, r)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s: %d of %d files of %s are not done, the first is %s: run the shares that are missing", m.Step, len(missing),
			len(tasks), m.In.Path("."), missing[0])
	}
	return reports, nil
}

// Reports gives the reports in an output store, sorted by the names of the outputs.
func Reports(ctx context.Context, out store.Store) (reports []Report, err error) {
	files, err := out.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		stem, ok := strings.CutPrefix(f.Name, done)
		if !ok {
			continue
		}
		r, ok, err := readReport(ctx, out, strings.TrimSuffix(stem, ".json"))
		if err != nil {
			return nil, err
		}
		if ok {
			reports = append(reports, r)
		}
	}
	return reports, nil
}
