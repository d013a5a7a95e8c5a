package sched

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"forja/engine/vfs"
)

const (
	cancelDir  = "cancel"
	logsDir    = "logs"
	jobSuffix  = ".json"
	maxJobFile = 1 << 20
)

// ErrNoJob is what errors.Is finds when no job has the wanted id.
var ErrNoJob = errors.New("no such job")

// A Queue is the directory of jobs. Its methods may be used with or without a running scheduler, by any number of
// processes.
type Queue struct{ fsys vfs.FS }

// OpenQueue opens the queue in fsys and makes its directories if they are missing.
func OpenQueue(fsys vfs.FS) (*Queue, error) {
	for _, dir := range []string{string(Inbox), string(Pending), string(Running), string(Done), cancelDir, logsDir} {
		if err := vfs.MkdirAll(fsys, dir); err != nil {
			return nil, fmt.Errorf("open the queue: %w", err)
		}
	}
	return &Queue{fsys}, nil
}

func fileOf(state State, id string) string { return path.Join(string(state), id+jobSuffix) }

// Submit writes a job into the inbox and returns it with its id. When Submit returns, the job survives a power loss.
// A zero StopDuration becomes 5 minutes.
func (q *Queue) Submit(j Job) (Job, error) {
	if j.ID == "" {
		name := j.Name
		if !idForm.MatchString(name) {
			name = "job"
		}
		j.ID = name[:min(len(name), 60)] + "-" + strings.ToLower(rand.Text()[:6])
	}
	if j.StopDuration == 0 {
		j.StopDuration = 5 * time.Minute
	}
	now := time.Now()
	j.Submitted, j.Since, j.State = now, now, Inbox
	if err := j.check(); err != nil {
		return j, err
	}
	for _, state := range []State{Inbox, Pending, Running, Done} {
		if _, err := q.fsys.Stat(fileOf(state, j.ID)); err == nil {
			return j, fmt.Errorf("submit: a job called %s exists already", j.ID)
		}
	}
	if err := q.write(&j); err != nil {
		return j, fmt.Errorf("submit %s: %w", j.ID, err)
	}
	return j, nil
}

// List returns every job in the order of submission, and an error for each file that cannot be read.
func (q *Queue) List() ([]Job, []error) {
	found := map[string]Job{}
	var problems []error
	// Jobs move while we look: forward along this order, and from running back to pending, which is read again.
	for _, state := range []State{Inbox, Pending, Running, Done, Pending} {
		jobs, errs := q.list(state)
		for _, j := range jobs {
			found[j.ID] = j
		}
		problems = append(problems, errs...)
	}
	jobs := make([]Job, 0, len(found))
	for _, j := range found {
		jobs = append(jobs, j)
	}
	cancelled := q.cancelRequests()
	for i := range jobs {
		jobs[i].Cancelled = slices.Contains(cancelled, jobs[i].ID)
	}
	slices.SortFunc(jobs, func(a, b Job) int {
		if c := a.Submitted.Compare(b.Submitted); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return jobs, problems
}

// Find returns the job whose id is, or uniquely begins with, what was typed.
func (q *Queue) Find(typed string) (Job, error) {
	jobs, _ := q.List()
	var match []Job
	for _, j := range jobs {
		if j.ID == typed {
			return j, nil
		}
		if strings.HasPrefix(j.ID, typed) && typed != "" {
			match = append(match, j)
		}
	}
	switch len(match) {
	case 0:
		return Job{}, fmt.Errorf("%w as %q in %s: see forja jobs", ErrNoJob, typed, q.fsys.Path("."))
	case 1:
		return match[0], nil
	}
	return Job{}, fmt.Errorf("%q is the beginning of %d jobs, among them %s and %s: type more of it", typed, len(match),
		match[0].ID, match[1].ID)
}

// Cancel asks for the end of a job. A running scheduler obeys when it next looks; without one, Scheduler.Tidy does. It is
// no error to cancel twice.
func (q *Queue) Cancel(id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("%w as %q", ErrNoJob, id)
	}
	if err := vfs.WriteFile(q.fsys, path.Join(cancelDir, id), nil); err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	return nil
}

// cancelRequests lists the jobs whose end was asked for.
func (q *Queue) cancelRequests() []string {
	var ids []string
	entries, _ := q.fsys.ReadDir(cancelDir)
	for _, e := range entries {
		if idForm.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// list reads the jobs of one state, sorted by id.
func (q *Queue) list(state State) ([]Job, []error) {
	entries, err := q.fsys.ReadDir(string(state))
	if err != nil {
		return nil, []error{err}
	}
	var jobs []Job
	var problems []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), jobSuffix)
		if !ok {
			continue // a temporary file of a write that did not finish
		}
		j, err := q.read(state, id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it moved on
		case err != nil:
			problems = append(problems, err)
		default:
			jobs = append(jobs, *j)
		}
	}
	return jobs, problems
}

func (q *Queue) read(state State, id string) (*Job, error) {
	name := fileOf(state, id)
	b, err := vfs.ReadFile(q.fsys, name, maxJobFile)
	if err != nil {
		return nil, err
	}
	var j Job
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return nil, fmt.Errorf("%s is not a job: %w: move it away to go on without it", q.fsys.Path(name), err)
	}
	if j.ID != id {
		return nil, fmt.Errorf("%s says it is job %q: move it away to go on without it", q.fsys.Path(name), j.ID)
	}
	if err := j.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", q.fsys.Path(name), err)
	}
	j.State = state
	return &j, nil
}

// write replaces the job's file in the directory of its state, durably.
func (q *Queue) write(j *Job) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return vfs.WriteFile(q.fsys, fileOf(j.State, j.ID), append(b, '\n'))
}

// move changes a job's state, durably: first what is true of both states is written, then the file is renamed. A crash in
// between leaves the job in its old state, with the new content.
func (q *Queue) move(j *Job, to State) error {
	if err := q.write(j); err != nil {
		return err
	}
	return q.rename(j, to)
}

func (q *Queue) rename(j *Job, to State) error {
	from := j.State
	if err := q.fsys.Rename(fileOf(from, j.ID), fileOf(to, j.ID)); err != nil {
		return err
	}
	j.State = to
	if err := q.fsys.SyncDir(string(to)); err != nil {
		return err
	}
	return q.fsys.SyncDir(string(from))
}

// forgetCancel removes a request that was obeyed. A leftover is harmless: the job it names is done.
func (q *Queue) forgetCancel(id string) { _ = q.fsys.Remove(path.Join(cancelDir, id)) }
