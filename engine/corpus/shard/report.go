package shard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"forja/engine/corpus"
	"forja/engine/corpus/store"
)

// Samples is how many names of dropped documents, addresses or ids, a report keeps of each reason.
const Samples = 3

// A Count is a number of documents and the bytes of their texts.
type Count struct {
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

// Add counts one more.
func (c *Count) Add(bytes int) { c.Documents++; c.Bytes += int64(bytes) }

// A Drop is the documents that were left out for one reason.
type Drop struct {
	Reason  string   `json:"reason"` // such as gopher_quality/min_words
	Count            // of what was dropped
	Samples []string `json:"samples"` // the first names, sorted
}

// A Report says what a step did to one file, or, as a sum, to many. It is also the marker that the file is done.
type Report struct {
	Step     string           `json:"step"`
	Settings string           `json:"settings"` // what the step was told, as a hash
	Input    string           `json:"input,omitempty"`
	Size     int64            `json:"size,omitempty"` // of the input
	Output   string           `json:"output,omitempty"`
	Files    int              `json:"files"`
	Read     Count            `json:"read"`
	Kept     Count            `json:"kept"`
	Dropped  []Drop           `json:"dropped"`
	Notes    map[string]int64 `json:"notes,omitempty"` // further counts, such as addresses replaced
	Seconds  float64          `json:"seconds"`
}

// Keep counts a document that goes on.
func (r *Report) Keep(d *corpus.Document) { r.Kept.Add(len(d.Text)) }

// Drop counts a document that does not, and why.
func (r *Report) Drop(reason, name string, bytes int) {
	at, found := slices.BinarySearchFunc(r.Dropped, reason, func(d Drop, s string) int { return strings.Compare(d.Reason, s) })
	if !found {
		r.Dropped = slices.Insert(r.Dropped, at, Drop{Reason: reason, Samples: []string{}})
	}
	d := &r.Dropped[at]
	d.Add(bytes)
	d.sample(name)
}

func (d *Drop) sample(name string) {
	if i, found := slices.BinarySearch(d.Samples, name); !found && i < Samples {
		d.Samples = slices.Insert(d.Samples, i, name)
		d.Samples = d.Samples[:min(len(d.Samples), Samples)]
	}
}

// Note adds to a further count.
func (r *Report) Note(name string, n int64) {
	if n == 0 {
		return
	}
	if r.Notes == nil {
		r.Notes = map[string]int64{}
	}
	r.Notes[name] += n
}

// Add takes in the report on other files. The sum does not depend on the order.
func (r *Report) Add(o Report) {
	r.Step, r.Settings = cmp.Or(r.Step, o.Step), cmp.Or(r.Settings, o.Settings)
	r.Files += o.Files
	r.Size += o.Size
	r.Read = Count{r.Read.Documents + o.Read.Documents, r.Read.Bytes + o.Read.Bytes}
	r.Kept = Count{r.Kept.Documents + o.Kept.Documents, r.Kept.Bytes + o.Kept.Bytes}
	r.Seconds += o.Seconds
	for _, d := range o.Dropped {
		at, found := slices.BinarySearchFunc(r.Dropped, d.Reason, func(d Drop, s string) int { return strings.Compare(d.Reason, s) })
		if !found {
			r.Dropped = slices.Insert(r.Dropped, at, Drop{Reason: d.Reason, Samples: []string{}})
		}
		to := &r.Dropped[at]
		to.Count = Count{to.Documents + d.Documents, to.Bytes + d.Bytes}
		for _, name := range d.Samples {
			to.sample(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Notes)) {
		r.Note(name, o.Notes[name])
	}
}

// done is the folder of the markers in an output store.
const done = "_done/"

// maxReport bounds a marker.
const maxReport = 16 << 20

// marker is the name of an output's marker.
func marker(stem string) string { return done + stem + ".json" }

// WriteReport makes a marker. Stem is the output's name without its ending.
func WriteReport(ctx context.Context, s store.Store, stem string, r Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return store.WriteFile(ctx, s, marker(stem), append(b, '\n'))
}

// readReport gives a marker, and whether there is one.
func readReport(ctx context.Context, s store.Store, stem string) (r Report, ok bool, err error) {
	b, err := store.ReadFile(ctx, s, marker(stem), maxReport)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, false, fmt.Errorf("%s is damaged: %w; remove it, and the file is made again", s.Path(marker(stem)), err)
	}
	return r, true, nil
}
