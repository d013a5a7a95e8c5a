package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"forja/engine/data"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

// The names in a run directory.
const (
	CheckpointDir = "ckpt"
	ModelDir      = "model"
	AdapterDir    = "adapter"
	MetricsFile   = "metrics.jsonl"
	SamplesFile   = "samples.jsonl"
)

// Plan is how long a run trains and what it does on the way.
type Plan struct {
	Steps      int
	Limit      time.Duration // of this process; 0 is none
	EvalEvery  int           // steps; 0 is only at the end
	EvalTokens int           // most targets of one validation; 0 is all
	SaveEvery  int           // steps; 0 is only at the end
	Keep       int           // checkpoints
}

// Hooks are told what happens, on the device's thread. Any may be nil.
type Hooks struct {
	Step    func(Stats)
	Eval    func(step int, e Evaluation)
	Saved   func(step int, name string, took time.Duration)
	Resumed func(step int, skipped []error) // skipped: damaged newer checkpoints
	Sample  func(Sample)
}

// A Sample is a completion of a fixed prompt, made while training.
type Sample struct {
	Step   int    `json:"step"`
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
}

// A Run drives a Trainer through a run directory.
type Run struct {
	Trainer *Trainer
	FS      vfs.FS // the run directory
	Train   data.Source
	Val     data.Source // nil: no validation
	Plan    Plan
	Hooks   Hooks
	State   State             // what checkpoints keep besides the trainer's own state
	Files   map[string][]byte // kept in checkpoints and the model: tokenizer, chat template
	Samples func(step int) ([]Sample, error)

	metrics, samples *vfs.Journal
	last             *Evaluation
	saved            int
}

// Errors that end a run early, after saving.
var (
	ErrStopped = errors.New("stopped on request after saving")
	ErrTimeUp  = errors.New("time is up; saved")
)

// Do trains from the newest valid checkpoint, or from the trainer's present state if there is none, to the end. When
// ctx ends it finishes the step, saves, and returns ErrStopped. It returns the last validation, if there was one.
func (r *Run) Do(ctx context.Context) (*Evaluation, error) {
	start := time.Now()
	if err := r.resume(); err != nil {
		return nil, err
	}
	err := r.loop(ctx, start)
	for _, j := range []*vfs.Journal{r.metrics, r.samples} {
		if cerr := j.Close(); err == nil {
			err = cerr
		}
	}
	return r.last, err
}

// resume restores the newest valid checkpoint and cuts the journals back to it.
func (r *Run) resume() error {
	t := r.Trainer
	name, skipped, err := snapshot.Latest(r.FS, CheckpointDir)
	lengths := map[string]int64{}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.saved = -1
	case err != nil:
		return err
	default:
		st, err := ReadState(r.FS, path.Join(CheckpointDir, name))
		if err != nil {
			return err
		}
		if r.State.Tokenizer != "" && st.Tokenizer != r.State.Tokenizer {
			return fmt.Errorf("%s/%s was trained with another tokenizer (fingerprint %.12s…, this one is %.12s…): use the checkpoint's own", r.FS.Path(CheckpointDir), name,
				st.Tokenizer, r.State.Tokenizer)
		}
		if st.BaseHash != r.State.BaseHash {
			return fmt.Errorf("%s/%s holds adapters of another base model (sha256 %.12s…, this one is %.12s…): use that one", r.FS.Path(CheckpointDir), name,
				st.BaseHash, r.State.BaseHash)
		}
		if st, err = t.Restore(r.FS, path.Join(CheckpointDir, name)); err != nil {
			return err
		}
		lengths, r.saved, r.last = st.Journals, st.Step, st.Last
		if r.Hooks.Resumed != nil {
			r.Hooks.Resumed(st.Step, skipped)
		}
	}
	if r.metrics, err = vfs.OpenJournalAt(r.FS, MetricsFile, lengths[MetricsFile]); err != nil {
		return err
	}
	r.samples, err = vfs.OpenJournalAt(r.FS, SamplesFile, lengths[SamplesFile])
	return err
}

func (r *Run) loop(ctx context.Context, start time.Time) error {
	t := r.Trainer
	if t.Step >= r.Plan.Steps {
		return r.finish()
	}
	for b, err := range data.Prefetch(context.WithoutCancel(ctx), r.Train, t.Sample, t.Shape().Rows, 2) {
		if err != nil {
			return err
		}
		st, err := t.Update(b)
		if err != nil {
			return r.fault(err, b)
		}
		if err := r.record(st); err != nil {
			return err
		}
		if r.Hooks.Step != nil {
			r.Hooks.Step(st)
		}
		end := t.Step >= r.Plan.Steps
		if r.Plan.EvalEvery > 0 && t.Step%r.Plan.EvalEvery == 0 && !end {
			if err := r.look(); err != nil {
				return err
			}
		}
		switch {
		case end:
			return r.finish()
		case ctx.Err() != nil:
			return errors.Join(r.save(), ErrStopped)
		case r.Plan.Limit > 0 && time.Since(start) >= r.Plan.Limit:
			return r.finish()
		case r.Plan.SaveEvery > 0 && t.Step%r.Plan.SaveEvery == 0:
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return io.ErrUnexpectedEOF // training sources never end
}

// look validates and samples.
func (r *Run) look() error {
	t := r.Trainer
	if r.Val != nil {
		e, err := t.Evaluate(r.Val, r.Plan.EvalTokens)
		if err != nil {
			return err
		}
		r.last = &e
		if err := line(r.metrics, struct {
			Event string `json:"event"`
			Step  int    `json:"step"`
			Evaluation
		}{"val", t.Step, e}); err != nil {
			return err
		}
		if r.Hooks.Eval != nil {
			r.Hooks.Eval(t.Step, e)
		}
	}
	if r.Samples == nil {
		return nil
	}
	samples, err := r.Samples(t.Step)
	if err != nil {
		return err
	}
	for _, s := range samples {
		if err := line(r.samples, s); err != nil {
			return err
		}
		if r.Hooks.Sample != nil {
			r.Hooks.Sample(s)
		}
	}
	return nil
}

// finish validates, saves, and writes the finished model.
func (r *Run) finish() error {
	if r.saved != r.Trainer.Step { // else the last checkpoint was made after looking
		if err := r.look(); err != nil {
			return err
		}
	}
	if err := r.save(); err != nil {
		return err
	}
	export := func(name string, write func(w *snapshot.Writer) error) error {
		return snapshot.Save(r.FS, ".", name, func(w *snapshot.Writer) error {
			if err := write(w); err != nil {
				return err
			}
			for _, f := range sorted(r.Files) {
				if err := w.WriteFile(f, r.Files[f]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if r.Trainer.Model.LoRA() != nil {
		if err := export(AdapterDir, func(w *snapshot.Writer) error {
			return r.Trainer.write(w.File, r.State.BasePath, r.State.BaseHash)
		}); err != nil {
			return err
		}
	}
	return export(ModelDir, func(w *snapshot.Writer) error { return r.Trainer.Export(w.File) })
}

// save makes a checkpoint of the current step, unless there is one.
func (r *Run) save() error {
	if r.saved == r.Trainer.Step {
		return nil
	}
	start := time.Now()
	for _, j := range []*vfs.Journal{r.metrics, r.samples} {
		if err := j.Sync(); err != nil {
			return err
		}
	}
	st := r.State
	st.Last = r.last
	st.Journals = map[string]int64{MetricsFile: r.metrics.Size(), SamplesFile: r.samples.Size()}
	name, err := r.Trainer.Save(r.FS, CheckpointDir, st, r.Files)
	if err != nil {
		return err
	}
	r.saved = r.Trainer.Step
	if err := snapshot.Prune(r.FS, CheckpointDir, max(1, r.Plan.Keep)); err != nil {
		return err
	}
	if r.Hooks.Saved != nil {
		r.Hooks.Saved(r.Trainer.Step, name, time.Since(start))
	}
	return nil
}

// record writes one step's line of metrics.jsonl.
func (r *Run) record(st Stats) error {
	m := map[string]any{"step": st.Step, "tokens": uint64(st.Step) * uint64(st.Tokens), "loss": st.Loss, "entropy": st.Entropy,
		"gnorm": st.GradNorm, "lr": st.Rate, "ms": float64(st.Elapsed.Microseconds()) / 1000,
		"tok_s": float64(st.Tokens) / st.Elapsed.Seconds()}
	if st.Skipped {
		m["event"] = "skip"
	}
	return line(r.metrics, m)
}

func line(j *vfs.Journal, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = j.Write(append(b, '\n'))
	return err
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
