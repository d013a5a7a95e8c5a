package sched

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"forja/engine/vfs"
)

// A Stage is one step of a pipeline. Its work is identified by Text: two stages with the same text, whose needs did the
// same work, give the same files.
type Stage struct {
	Name  string
	Needs []string
	Text  []byte // the resolved recipe of the stage
}

// A Pipeline runs stages as child processes in the order of their needs, and remembers in its directory what is done:
//
//	NAME/               what the stage made
//	stages/NAME.json    its record: hash, state, time
//	stages/NAME.log     its output, of all attempts
//
// A stage whose hash is unchanged is skipped if it finished and its directory is still there, and resumed if it did not
// finish; one whose hash changed is made anew.
type Pipeline struct {
	FS       vfs.FS // the pipeline's directory
	Launcher Launcher
	Stages   []Stage
	Code     string // version of the program; part of every hash
	// Command builds the command line of a stage that is to work in FS.Path(stage.Name). With resume, the directory may hold
	// what an earlier attempt saved.
	Command      func(s Stage, resume bool) (Command, error)
	StopDuration time.Duration // what a stage has to save itself when the pipeline is told to stop; 0 is 5 minutes
	Events       PipelineEvents
}

// PipelineEvents are told what happens. Each may be nil.
type PipelineEvents struct {
	Skipped  func(r StageRecord)
	Started  func(r StageRecord, log string) // log is the path of the stage's output
	Stopping func(r StageRecord)
	Finished func(r StageRecord) // done, failed or stopped
	Outdated func(r StageRecord) // the old result is about to be removed
}

// StageState is how far a stage is.
type StageState string

const (
	StageRunning StageState = "running"
	StageDone    StageState = "done"
	StageFailed  StageState = "failed"
	StageStopped StageState = "stopped"
)

// A StageRecord is the content of stages/NAME.json.
type StageRecord struct {
	Name     string     `json:"name"`
	Hash     string     `json:"hash"` // of the code, the stage's text, and the hashes of its needs
	State    StageState `json:"state"`
	Attempts int        `json:"attempts"`
	Process  ProcessID  `json:"process,omitzero"`
	Exit     string     `json:"exit,omitempty"`
	Started  time.Time  `json:"started"` // the latest attempt
	Ended    time.Time  `json:"ended,omitzero"`
	Seconds  float64    `json:"seconds"` // of all attempts that this pipeline saw
}

// A StageError is a stage that did not finish.
type StageError struct {
	Stage string
	Code  int // its exit code; -1 if it has none
	Exit  string
	Log   string // path of its output
}

func (e *StageError) Error() string {
	return fmt.Sprintf("stage %s: %s; its output is in %s", e.Stage, e.Exit, e.Log)
}

// ExitCode is the code with which the program should end: the stage's own.
func (e *StageError) ExitCode() int {
	if e.Code < 0 {
		return 1
	}
	return e.Code
}

const recordsDir = "stages"

// Run makes every stage, one after the other, and returns the first that fails as a *StageError. When ctx ends the running
// stage is told to stop, and the error's code is 75 if it saved itself. One process runs a pipeline at a time.
func (p *Pipeline) Run(ctx context.Context) error {
	order, err := p.order()
	if err != nil {
		return err
	}
	if err := vfs.MkdirAll(p.FS, recordsDir); err != nil {
		return err
	}
	unlock, err := vfs.Lock(p.FS, recordsDir)
	if err != nil {
		return err
	}
	defer unlock()
	hashes := map[string]string{}
	for _, s := range order {
		hashes[s.Name] = p.hash(s, hashes)
		if err := p.stage(ctx, s, hashes[s.Name]); err != nil {
			return err
		}
	}
	return nil
}

// order sorts the stages so that each comes after its needs, otherwise as given.
func (p *Pipeline) order() ([]Stage, error) {
	var order []Stage
	placed := map[string]bool{}
	for len(order) < len(p.Stages) {
		before := len(order)
		for _, s := range p.Stages {
			ready := !placed[s.Name] && !slices.ContainsFunc(s.Needs, func(n string) bool { return !placed[n] })
			if !ready {
				continue
			}
			if !idForm.MatchString(s.Name) || s.Name == recordsDir {
				return nil, fmt.Errorf("a stage cannot be called %q", s.Name)
			}
			placed[s.Name] = true
			order = append(order, s)
		}
		if len(order) == before {
			return nil, errors.New("the stages of the pipeline need each other in a circle, need one that is missing, or two share a name")
		}
	}
	return order, nil
}

// hash identifies a stage's work.
func (p *Pipeline) hash(s Stage, hashes map[string]string) string {
	h := sha256.New()
	part := func(b string) { fmt.Fprintf(h, "%d:%s", len(b), b) }
	part(p.Code)
	part(s.Name)
	part(string(s.Text))
	needs := slices.Clone(s.Needs)
	slices.Sort(needs)
	for _, n := range slices.Compact(needs) {
		part(n)
		part(hashes[n])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func recordFile(name string) string { return path.Join(recordsDir, name+jobSuffix) }

// Records returns the record of every stage that has one, in the order of the pipeline.
func (p *Pipeline) Records() ([]StageRecord, error) {
	var out []StageRecord
	for _, s := range p.Stages {
		r, err := p.record(s.Name)
		if err != nil {
			return nil, err
		}
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}

// record reads a stage's record; nil if it has none.
func (p *Pipeline) record(name string) (*StageRecord, error) {
	b, err := vfs.ReadFile(p.FS, recordFile(name), maxJobFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r StageRecord
	if err := json.Unmarshal(b, &r); err != nil || r.Name != name {
		return nil, fmt.Errorf("%s is not the record of stage %s: remove it, and %s, to make the stage anew",
			p.FS.Path(recordFile(name)), name, p.FS.Path(name))
	}
	return &r, nil
}

func (p *Pipeline) write(r *StageRecord) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return vfs.WriteFile(p.FS, recordFile(r.Name), append(b, '\n'))
}

// stage skips, resumes or makes one stage.
func (p *Pipeline) stage(ctx context.Context, s Stage, hash string) error {
	r, err := p.record(s.Name)
	if err != nil {
		return err
	}
	_, absent := p.FS.Stat(s.Name) // somebody may have removed what was made
	if r != nil && r.Hash == hash && r.State == StageDone && absent == nil {
		tell(p.Events.Skipped, r)
		return nil
	}
	// A child of a pipeline that was killed may still be at work in the directory: let it end first.
	if r != nil && r.State == StageRunning {
		if child, ok := p.Launcher.Find(r.Process, p.marker(r)); ok {
			tell(p.Events.Stopping, r)
			p.stop(child)
		}
	}
	resume := false
	if r != nil && r.Hash == hash {
		resume = absent == nil
	} else {
		if r, err = p.afresh(s, r, hash); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return &StageError{Stage: s.Name, Code: ExitRequeue, Exit: "stopped before it began", Log: p.log(s.Name)}
	}
	return p.attempt(ctx, s, r, resume)
}

// afresh removes what another version of the stage made and returns a new record. A directory that this pipeline did not
// make is never touched.
func (p *Pipeline) afresh(s Stage, old *StageRecord, hash string) (*StageRecord, error) {
	if old == nil {
		if _, err := p.FS.Stat(s.Name); err == nil {
			return nil, fmt.Errorf("%s exists and was not made by this pipeline: move it away, or choose another output", p.FS.Path(s.Name))
		}
	} else {
		tell(p.Events.Outdated, old)
		// The record goes last: a crash in between leaves a directory that is still known to be ours.
		if err := p.FS.RemoveAll(s.Name); err != nil {
			return nil, err
		}
		_ = p.FS.Remove(path.Join(recordsDir, s.Name+".log"))
	}
	return &StageRecord{Name: s.Name, Hash: hash}, nil
}

func (p *Pipeline) log(name string) string { return p.FS.Path(path.Join(recordsDir, name+".log")) }

func (p *Pipeline) marker(r *StageRecord) string {
	return fmt.Sprintf("%s.%s.%d.%s", p.FS.Path("."), r.Name, r.Attempts, r.Hash[:min(16, len(r.Hash))])
}

// attempt runs the stage's child to its end.
func (p *Pipeline) attempt(ctx context.Context, s Stage, r *StageRecord, resume bool) error {
	cmd, err := p.Command(s, resume)
	if err != nil {
		return fmt.Errorf("stage %s: %w", s.Name, err)
	}
	r.State, r.Started, r.Ended, r.Exit, r.Process = StageRunning, time.Now(), time.Time{}, "", ProcessID{}
	r.Attempts++
	if err := p.write(r); err != nil {
		return err
	}
	cmd.Marker, cmd.Log = p.marker(r), p.log(s.Name)
	child, err := p.Launcher.Start(cmd)
	if err != nil {
		return fmt.Errorf("stage %s cannot be started: %w", s.Name, err)
	}
	r.Process = child.ID()
	if err := p.write(r); err != nil {
		p.stop(child)
		return err
	}
	if p.Events.Started != nil {
		p.Events.Started(*r, cmd.Log)
	}
	var exit Exit
	select {
	case exit = <-child.Done():
	case <-ctx.Done():
		tell(p.Events.Stopping, r)
		exit = p.stop(child)
	}
	return p.ended(r, exit)
}

// ended records how an attempt ended.
func (p *Pipeline) ended(r *StageRecord, exit Exit) error {
	r.Ended, r.Exit, r.Process = time.Now(), exit.String(), ProcessID{}
	r.Seconds += r.Ended.Sub(r.Started).Seconds()
	code := -1
	if exit.Known && exit.Signal == "" {
		code = exit.Code
	}
	switch code {
	case ExitOK:
		r.State = StageDone
	case ExitRequeue, ExitInterrupt:
		r.State = StageStopped
	default:
		r.State = StageFailed
	}
	if err := p.write(r); err != nil {
		return err
	}
	tell(p.Events.Finished, r)
	if r.State == StageDone {
		return nil
	}
	return &StageError{Stage: r.Name, Code: code, Exit: r.Exit, Log: p.log(r.Name)}
}

// stop tells a child to save itself, and kills it if it does not.
func (p *Pipeline) stop(child Process) Exit {
	patience := p.StopDuration
	orDefault(&patience, 5*time.Minute)
	child.Stop()
	select {
	case exit := <-child.Done():
		return exit
	case <-time.After(patience):
	}
	child.Kill()
	return <-child.Done()
}

func tell(f func(StageRecord), r *StageRecord) {
	if f != nil {
		f(*r)
	}
}
