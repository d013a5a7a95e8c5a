package dedup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/ordered"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// A Job deduplicates the files of a store, by as many processes as share it, in three steps. Signing makes the keys of each
// file's documents, merging finds in all of them what repeats what stands before it, in the order of the files' names, and
// removing copies the files without that. The result is [Run]'s, or [Exact]'s, for all files one after another, whatever
// the shares, the workers and the memory.
type Job struct {
	Config  Config
	Exact   Unit // what is compared exactly, instead of whole documents nearly: then Config does not matter
	In, Out store.Store
	Share   shard.Share // of signing and removing; the zero one is all
	Ending  string      // of the outputs: one of documents.Endings; "" is the default
	Temp    vfs.FS      // for files of the merge, which are gone after it
	Memory  int64       // of the merge for keys, in bytes; 0 is 256 MiB
	Workers int         // 0 is one for each processor
}

// Run does all steps, one after another.
func (j *Job) Run(ctx context.Context) (shard.Report, error) {
	if j.Share.Of > 1 {
		return shard.Report{}, fmt.Errorf("share %s of all steps: a share can be signed, or removed from; the merge between is of all", j.Share)
	}
	if _, err := j.Sign().Run(ctx); err != nil {
		return shard.Report{}, err
	}
	if _, err := j.Merge(ctx); err != nil {
		return shard.Report{}, err
	}
	remove, err := j.Remove(ctx)
	if err != nil {
		return shard.Report{}, err
	}
	return remove.Run(ctx)
}

// signing is what keys depend on.
type signing struct {
	Unit  Unit   `json:"unit,omitempty"`
	NGram int    `json:"ngram,omitempty"`
	Bands int    `json:"bands,omitempty"`
	Rows  int    `json:"rows,omitempty"`
	Seed  uint64 `json:"seed,omitempty"`
}

func (j *Job) signing() signing {
	if j.Exact != "" {
		return signing{Unit: j.Exact}
	}
	return signing{NGram: j.Config.NGram, Bands: j.Config.Bands, Rows: j.Config.Rows, Seed: j.Config.Seed}
}

// merging is what the lists of what is removed depend on.
type merging struct {
	Signing signing      `json:"signing"`
	Verify  float64      `json:"verify,omitempty"`
	Files   []store.File `json:"files"`
}

// removing is what outputs depend on.
type removing struct {
	Merged string `json:"merged"` // the hash of merging
	Ending string `json:"ending"`
}

func (j *Job) validate() error {
	if j.Exact != "" {
		return j.Exact.Validate()
	}
	return j.Config.Validate()
}

// stem names outputs; what begins with an underscore is no input.
func stem(name string) (string, bool) {
	if strings.HasPrefix(name, "_") {
		return name, false
	}
	return documents.Stem(name)
}

// keysName and removedName are the names of an input's lists, without their ending.
func keysName(stem string) string    { return path.Join("_keys", stem) }
func removedName(stem string) string { return path.Join("_remove", stem) }

// The endings of lists.
const (
	keysEnding    = ".keys"
	removedEnding = ".removed"
)

// share is the map of a step.
func (j *Job) share(step string) *shard.Map {
	m := &shard.Map{Step: step, In: j.In, Out: j.Out, Share: j.Share}
	if m.Share.Of == 0 {
		m.Share = shard.All
	}
	return m
}

// Sign is the first step.
func (j *Job) Sign() *shard.Map {
	m := j.share("dedup sign")
	m.Settings, m.Ending = j.signing(), keysEnding
	m.Stem = func(name string) (string, bool) {
		s, ok := stem(name)
		return keysName(s), ok
	}
	m.Do = func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		if err := j.validate(); err != nil {
			return err
		}
		list, err := newListWriter(w, header{keysList, report.Settings, in.Name, in.Size})
		if err != nil {
			return err
		}
		for d, err := range ordered.Map(ctx, j.Workers, documents.Read(in.Name, r), textSize, j.signer) {
			if err != nil {
				return err
			}
			report.Read.Add(len(d.doc.Text))
			report.Keep(&d.doc)
			if err := j.list(list, d.keys, idOf(in.Name, report.Read.Documents, &d.doc)); err != nil {
				return err
			}
		}
		return list.close()
	}
	return m
}

// idOf is the id of a file's n-th document, from 1; without one, what a person finds it by.
func idOf(file string, n int64, d *corpus.Document) string {
	if d.ID == "" {
		return fmt.Sprintf("%s:%d", file, n)
	}
	return d.ID
}

func textSize(d corpus.Document) int { return len(d.Text) }

// A signed document has keys, or the hashes of its units.
type signed struct {
	doc  corpus.Document
	keys []uint64
}

// signer makes a worker that signs.
func (j *Job) signer() func(corpus.Document) (signed, error) {
	if j.Exact != "" {
		return func(d corpus.Document) (signed, error) {
			return signed{d, hashes(nil, d.Text, j.Exact)}, nil
		}
	}
	s := NewSigner(j.Config)
	return func(d corpus.Document) (signed, error) {
		return signed{d, s.Keys(make([]uint64, 0, j.Config.Bands), d.Text)}, nil
	}
}

// list writes an entry for each unit.
func (j *Job) list(list *listWriter, keys []uint64, id string) error {
	if !j.parts() {
		return list.add(keys, id)
	}
	for ; len(keys) > 0; keys = keys[2:] {
		if err := list.add(keys[:2], ""); err != nil {
			return err
		}
	}
	return nil
}

// parts says that parts of documents are compared.
func (j *Job) parts() bool { return j.Exact == Paragraphs || j.Exact == Lines }

// Remove is the last step. It is an error if the merge is not done.
func (j *Job) Remove(ctx context.Context) (*shard.Map, error) {
	files, err := j.inputs(ctx)
	if err != nil {
		return nil, err
	}
	merged, err := j.merged(files)
	if err != nil {
		return nil, err
	}
	m := j.share("dedup")
	if m.Ending = j.Ending; m.Ending == "" {
		m.Ending = documents.Default
	}
	m.Settings, m.Stem = removing{merged, m.Ending}, stem
	m.Do = func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) (err error) {
		list, close, err := j.openList(ctx, removedList, merged, in)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, close()) }()
		out, err := documents.Create(w, m.Ending)
		if err != nil {
			return err
		}
		gone := newCursor(list.entries())
		defer gone.stop()
		for d, err := range documents.Read(in.Name, r) {
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			report.Read.Add(len(d.Text))
			keep, err := j.keep(&d, idOf(in.Name, report.Read.Documents, &d), gone, report)
			if err != nil {
				return err
			}
			if !keep {
				continue
			}
			report.Keep(&d)
			if err := out.Write(d); err != nil {
				return err
			}
		}
		if err := gone.end(); err != nil {
			return err
		}
		return out.Close()
	}
	return m, nil
}

// keep cuts a document, or says that it goes.
func (j *Job) keep(d *corpus.Document, id string, gone *cursor, report *shard.Report) (bool, error) {
	size := len(d.Text)
	if !j.parts() {
		going, stays, err := gone.next()
		if going {
			reason := "near duplicate"
			if j.Exact != "" {
				reason = "duplicate"
			}
			report.Drop(reason, id+" of "+stays, size)
		}
		return !going, err
	}
	text, removed, err := cut(d.Text, j.Exact, func(string) (bool, error) {
		going, _, err := gone.next()
		return going, err
	})
	report.Note(string(j.Exact)+"s removed", int64(removed))
	if removed > 0 && strings.TrimSpace(text) == "" {
		report.Drop("repeated "+string(j.Exact)+"s", id, size)
		return false, err
	}
	d.Text = text
	return true, err
}

// A cursor goes through the units of a file beside the list of those that go.
type cursor struct {
	pull  func() (entry, error, bool)
	stop  func()
	unit  uint64
	entry entry // the next that goes
	more  bool
	err   error
}

func newCursor(entries iter.Seq2[entry, error]) *cursor {
	c := &cursor{}
	c.pull, c.stop = iter.Pull2(entries)
	c.advance()
	return c
}

func (c *cursor) advance() {
	if c.entry, c.err, c.more = c.pull(); c.err == nil && c.more && (len(c.entry.numbers) != 1 || c.entry.numbers[0] < c.unit) {
		c.err = errors.New("a list of what is removed out of order")
	}
}

// next says whether the next unit goes, and which document stays.
func (c *cursor) next() (going bool, stays string, err error) {
	if c.err != nil {
		return false, "", c.err
	}
	going = c.more && c.entry.numbers[0] == c.unit
	c.unit++
	if going {
		stays = c.entry.id
		c.advance()
	}
	return going, stays, nil
}

// end checks that all that is to go has gone.
func (c *cursor) end() error {
	if c.err == nil && c.more {
		return fmt.Errorf("unit %d is to be removed, but there are %d: the file has changed since it was signed", c.entry.numbers[0], c.unit)
	}
	return c.err
}

// inputs lists the input files, whatever the share, in the order of their names.
func (j *Job) inputs(ctx context.Context) (inputs []store.File, err error) {
	files, err := j.In.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if _, ok := stem(f.Name); ok {
			inputs = append(inputs, f)
		}
	}
	return inputs, nil
}

// merged identifies the merge of input files.
func (j *Job) merged(files []store.File) (hash string, err error) {
	m := merging{Signing: j.signing(), Files: files}
	if j.Exact == "" {
		m.Verify = j.Config.Verify
	}
	return shard.Hash(m)
}

// openList opens a list of an input, which must be what its header says.
func (j *Job) openList(ctx context.Context, kind listKind, settings string, in store.File) (*listReader, func() error, error) {
	s, _ := stem(in.Name)
	name, step := keysName(s)+keysEnding, "sign"
	if kind == removedList {
		name, step = removedName(s)+removedEnding, "merge"
	}
	f, err := j.Out.Open(ctx, name)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the step %s makes it", err, step)
	}
	l, err := openList(f)
	if want := (header{kind, settings, in.Name, in.Size}); err == nil && l.header != want {
		err = fmt.Errorf("made of %s of %d bytes with settings %s, not %s of %d with %s: the step %s makes it again",
			l.header.input, l.header.size, l.header.settings, in.Name, in.Size, settings, step)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", j.Out.Path(name), err), f.Close())
	}
	return l, f.Close, nil
}
