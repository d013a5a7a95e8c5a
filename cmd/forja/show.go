package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/data"
	"forja/engine/format/hf"
	"forja/engine/model"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

// A shown thing is what `forja show` found out about a path.
type shown struct {
	Kind       string           `json:"kind"` // run, checkpoint, model, adapter, tokens, tokenizer
	Path       string           `json:"path"`
	Bytes      int64            `json:"bytes"`              // of all its files
	Verified   *bool            `json:"verified,omitempty"` // against its checksums, where it has any
	Damage     []string         `json:"damage,omitempty"`
	Model      *shownModel      `json:"model,omitempty"`
	Adapter    *shownAdapter    `json:"adapter,omitempty"`
	Tokenizer  *shownTokenizer  `json:"tokenizer,omitempty"`
	Tokens     *data.Manifest   `json:"tokens,omitempty"`
	Run        *runInfo         `json:"run,omitempty"`
	Checkpoint *shownCheckpoint `json:"checkpoint,omitempty"` // of a run, the newest that is whole
	Metrics    *runMetrics      `json:"metrics,omitempty"`
}

type shownModel struct {
	Config        model.Config `json:"config"`
	Parameters    int          `json:"parameters"`
	Stored        string       `json:"stored"`
	FLOPsPerToken float64      `json:"flops_per_token"` // of training, at the full context
	FLOPsFormula  string       `json:"flops_formula"`
}

const (
	flopsFormula = "6N + 6·L·C·T: N parameters but the positions', attention counted causal (llm.c)"
	mfuFormula   = "tok/s × FLOP a token ÷ the device's own 1024³ matrix product"
)

type shownAdapter struct {
	LoRA     model.LoRA `json:"lora"`
	Base     string     `json:"base"`
	BaseHash string     `json:"base_sha256,omitempty"`
}

type shownTokenizer struct {
	Vocab       int      `json:"vocab"`
	Specials    []string `json:"specials"`
	Fingerprint string   `json:"sha256"`
	Template    bool     `json:"chat_template"`
}

type shownCheckpoint struct {
	Name  string      `json:"name"`
	All   []string    `json:"all,omitempty"` // the run's, oldest first
	State train.State `json:"state"`
}

func (a *app) showCmd() *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "show PATH", Short: "what a model, run, checkpoint, adapter, tokenizer or token set is", Args: cobra.ExactArgs(1),
		Example: "  forja show runs/tiny\n  forja show runs/tiny/ckpt/00000100\n  forja show corpus/tokens/train --verify"}
	c.Flags().BoolVar(&all, "verify", false, "read every byte of a token set too; checkpoints and models are always verified")
	c.RunE = func(_ *cobra.Command, args []string) error {
		s, err := look(args[0], all)
		if err != nil {
			return err
		}
		if err := a.print(s, s.print); err != nil {
			return err
		}
		if s.Verified != nil && !*s.Verified {
			return checkError{errors.New(strings.Join(s.Damage, "\n"))}
		}
		return nil
	}
	return c
}

// look finds out what a path is.
func look(name string, all bool) (*shown, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is nothing at %s", name)
	} else if err != nil {
		return nil, err
	}
	s := &shown{Path: name, Bytes: info.Size()}
	if !info.IsDir() {
		s.Kind = "tokenizer"
		s.Tokenizer, err = showTokenizer(name)
		return s, err
	}
	if s.Bytes, err = bytesBelow(name); err != nil {
		return nil, err
	}
	d, err := vfs.OS(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	has := func(file string) bool { return exists(filepath.Join(name, filepath.FromSlash(file))) }
	switch {
	case has("run.json"), has("recipe.yaml") && has(train.CheckpointDir):
		s.Kind = "run"
		return s, s.run(d)
	case has("state.json") && (has("config.json") || has("adapter_config.json")):
		s.Kind = "checkpoint"
		s.verify(d)
		st, err := train.ReadState(d, ".")
		if err != nil {
			return nil, err
		}
		s.Checkpoint = &shownCheckpoint{Name: filepath.Base(filepath.Clean(name)), State: st}
		return s, s.weights(d, ".")
	case has("adapter_config.json"):
		s.Kind = "adapter"
		s.verify(d)
		return s, s.weights(d, ".")
	case has("config.json"):
		s.Kind = "model"
		s.verify(d)
		return s, s.weights(d, ".")
	case has(data.ManifestName):
		s.Kind = "tokens"
		return s, s.tokens(d, all)
	case has(tokenizerFile):
		s.Kind = "tokenizer"
		s.Tokenizer, err = showTokenizer(name)
		return s, err
	}
	return nil, usagef("%s is nothing that forja makes: a run has run.json, a model config.json, an adapter adapter_config.json, a token set %s, a tokenizer %s",
		name, data.ManifestName, tokenizerFile)
}

// bytesBelow adds up the sizes of all files of a folder.
func bytesBelow(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// run reads a run directory.
func (s *shown) run(d vfs.FS) error {
	var ri runInfo
	if err := readJSON(d, "run.json", &ri); err == nil {
		s.Run = &ri
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, skipped, err := latest(d)
	for _, e := range skipped {
		s.Damage = append(s.Damage, e.Error())
	}
	whole := err == nil
	switch {
	case whole:
		dir := path.Join(train.CheckpointDir, name)
		st, err := train.ReadState(d, dir)
		if err != nil {
			return err
		}
		names, err := snapshot.List(d, train.CheckpointDir)
		if err != nil {
			return err
		}
		s.Checkpoint = &shownCheckpoint{Name: name, All: names, State: st}
		if err := s.weights(d, dir); err != nil {
			return err
		}
		s.Verified = &whole
	case errors.Is(err, snapshot.ErrDamaged):
		s.Verified = &whole
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s.Metrics, err = readMetrics(d)
	return err
}

// verify compares a directory with its list of checksums.
func (s *shown) verify(d vfs.FS) {
	if _, err := d.Stat(snapshot.ManifestName); err != nil {
		return // others do not write one
	}
	_, err := snapshot.Verify(d, ".")
	whole := err == nil
	s.Verified = &whole
	if err != nil {
		s.Damage = append(s.Damage, err.Error())
	}
}

// weights describes the model, or the adapter, and the tokenizer in a directory.
func (s *shown) weights(d vfs.FS, dir string) error {
	if _, err := d.Stat(path.Join(dir, tokenizerFile)); err == nil {
		if s.Tokenizer, err = showTokenizer(d.Path(dir)); err != nil {
			return err
		}
	}
	if _, err := d.Stat(path.Join(dir, "adapter_config.json")); err == nil {
		ad, err := hf.OpenAdapter(d, dir)
		if err != nil {
			return err
		}
		s.Adapter = &shownAdapter{LoRA: ad.LoRA, Base: ad.Base, BaseHash: ad.BaseHash}
		return ad.Close()
	}
	f, err := hf.Open(d, dir)
	if err != nil {
		return err
	}
	defer f.Close()
	c := f.Config
	s.Model = &shownModel{Config: c, Parameters: c.Params(), Stored: "f32", FLOPsPerToken: c.FLOPs(c.Context), FLOPsFormula: flopsFormula}
	if f.BF16() {
		s.Model.Stored = "bf16"
	}
	return nil
}

func showTokenizer(file string) (*shownTokenizer, error) {
	e, err := openTokenizer(file)
	if err != nil {
		return nil, err
	}
	t := &shownTokenizer{Vocab: e.VocabSize(), Fingerprint: e.fingerprint, Template: e.template != nil}
	for _, sp := range e.Specials() {
		t.Specials = append(t.Specials, sp.Content)
	}
	return t, nil
}

// tokens describes token shards; the headers are always checked, every byte only on request.
func (s *shown) tokens(d vfs.FS, all bool) error {
	set, err := data.Open(d, ".")
	if err != nil {
		return err
	}
	defer set.Close()
	s.Tokens = &set.Manifest
	if all {
		err := set.Verify()
		whole := err == nil
		s.Verified = &whole
		if err != nil {
			s.Damage = append(s.Damage, err.Error())
		}
	}
	return nil
}

// print writes what was found for people: one line for each subject.
func (s *shown) print(w io.Writer) {
	say := func(subject, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", subject, fmt.Sprintf(format, args...))
	}
	say(s.Kind, "%s · %s", s.Path, size(s.Bytes))
	if r := s.Run; r != nil {
		say("state", "%s %s, step %d of %d · started %s · forja %s, %s", r.Kind, r.State, r.Step, r.Steps, r.Started.Format(time.DateTime), r.Version, r.Go)
		if r.Error != "" {
			say("error", "%s", strings.ReplaceAll(r.Error, "\n", "\n            "))
		}
		say("device", "%s · %s · %d threads · %s planned", r.Device, r.Tier, r.Threads, size(r.Memory))
		if r.Trainable != r.Parameters {
			say("trainable", "%s parameters", count(r.Trainable))
		}
	}
	if m := s.Model; m != nil {
		c := m.Config
		say("weights", "%s · %s parameters · %s", c.Arch, count(m.Parameters), m.Stored)
		say("sizes", "%d layers · %d channels · %d heads, %d of keys and values, of %d · feed-forward %d", c.Layers, c.Channels, c.Heads, c.KVHeads, c.HeadDim, c.FFN)
		say("", "%d ids · context %d · embeddings %s", c.Vocab, c.Context, map[bool]string{true: "tied", false: "not tied"}[c.Tied])
		say("arithmetic", "%s FLOP a token of training at T = %d", count(m.FLOPsPerToken), c.Context)
		say("", "%s", m.FLOPsFormula)
	}
	if ad := s.Adapter; ad != nil {
		say("adapter", "LoRA rank %d · alpha %g · dropout %g · on %s", ad.LoRA.Rank, ad.LoRA.Alpha, ad.LoRA.Dropout, strings.Join(ad.LoRA.Targets, ", "))
		say("base", "%s%s", ad.Base, short(" · sha256 ", ad.BaseHash))
	}
	if t := s.Tokenizer; t != nil {
		say("vocabulary", "%d ids · special %s%s", t.Vocab, strings.Join(t.Specials, " "), short(" · sha256 ", t.Fingerprint))
	}
	if t := s.Tokens; t != nil {
		say("text", "%s tokens in %s documents and %d shards · %s of text, %.2f bytes a token", count(t.Tokens), count(t.Documents), len(t.Shards),
			size(t.TextBytes), float64(t.TextBytes)/float64(max(1, t.Tokens)))
		say("vocabulary", "%d ids%s", t.VocabSize, short(" · sha256 ", t.Fingerprint))
	}
	if c := s.Checkpoint; c != nil {
		say("checkpoint", "%s · step %d · %s samples seen · seed %d%s", c.Name, c.State.Step, count(c.State.Sample), c.State.Seed,
			map[bool]string{true: fmt.Sprintf(" · the newest of %d", len(c.All))}[len(c.All) > 1])
		if e := c.State.Last; e != nil && s.Metrics == nil {
			say("validation", "%.4f nats a token%s, then", e.Loss, bpbNote(e.BPB))
		}
	}
	if m := s.Metrics; m != nil {
		say("training", "%d steps, %s tokens in %s · %s tok/s", m.Steps, count(m.Tokens), span(time.Duration(m.Seconds*float64(time.Second))), count(m.Rate))
		say("", "MFU as printed while training: %s", mfuFormula)
		say("last step", "loss %.4f · gradient norm %.3f · learning rate %.2e", m.Loss, m.GradNorm, m.LearningRate)
		if m.Val != nil {
			say("validation", "%.4f nats a token%s, at step %d", m.Val.Loss, bpbNote(m.Val.BPB), m.ValStep)
		}
	}
	if s.Verified != nil && *s.Verified {
		say("verified", "every byte is as it was saved")
	}
	for _, x := range s.Damage {
		say("damaged", "%s", x)
	}
}

func bpbNote(bpb float64) string {
	if bpb == 0 {
		return ""
	}
	return fmt.Sprintf(", %.4f bits per byte", bpb)
}

// short is the beginning of a hash, with a label; nothing where there is none.
func short(label, hash string) string {
	if hash == "" {
		return ""
	}
	return fmt.Sprintf("%s%.12s…", label, hash)
}
