package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"forja/engine/data"
	"forja/engine/eval"
	"forja/engine/eval/ngram"
	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// An evaluation is what was measured: eval.json.
type evaluation struct {
	Model    string           `json:"model"`
	Adapter  string           `json:"adapter,omitempty"`
	Results  []eval.Result    `json:"results"`
	Text     *eval.Likelihood `json:"text,omitempty"`
	Length   int              `json:"length"` // tokens of a row: the most context
	Seconds  float64          `json:"seconds"`
	Answered []eval.Answered  `json:"-"`
}

// save writes eval.json and, of questions, answers.jsonl.
func (e *evaluation) save(d vfs.FS) error {
	if len(e.Answered) > 0 {
		var b bytes.Buffer
		for _, x := range e.Answered {
			line, err := json.Marshal(x)
			if err != nil {
				return err
			}
			b.Write(append(line, '\n'))
		}
		if err := vfs.WriteFile(d, "answers.jsonl", b.Bytes()); err != nil {
			return err
		}
	}
	return writeJSON(d, "eval.json", e)
}

// stageEval measures a model: eval.json.
func (a *app) stageEval(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	e, err := a.evaluate(ctx, s, "")
	if err != nil {
		return err
	}
	if err := e.save(d); err != nil {
		return err
	}
	var table strings.Builder
	if err := eval.WriteTable(&table, e.Results); err != nil {
		return err
	}
	a.talk.printf("%s", strings.TrimSuffix(table.String(), "\n"))
	return nil
}

// evaluate measures a model, with an adapter perhaps, as an eval stage says.
func (a *app) evaluate(ctx context.Context, s *recipe.Stage, adapter string) (*evaluation, error) {
	start := time.Now()
	e := &evaluation{Model: s.Base, Adapter: adapter}
	var questions []eval.Question
	if slices.Contains(s.Eval.Tasks, "choice") {
		var err error
		if questions, err = readQuestions(s); err != nil {
			return nil, err
		}
	}
	dev, err := a.openDevice(s.Device)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	err = dev.Do(ctx, func(b kernels.Backend) error {
		l, err := loadModel(b, s.Base, adapter)
		if err != nil {
			return err
		}
		defer l.session.Close()
		if err := sameTokenizer(s, l.encoder); err != nil {
			return err
		}
		sc, err := newScorer(l, s)
		if err != nil {
			return err
		}
		e.Length = sc.Length
		a.talk.printf("model   %s · %s parameters · batches of %d × %d tokens", l.dir, count(l.model.Config.Params()), sc.Rows, sc.Length)
		if slices.Contains(s.Eval.Tasks, "ppl") || slices.Contains(s.Eval.Tasks, "bpb") {
			if err := a.evalText(ctx, s, l, sc, e); err != nil {
				return err
			}
		}
		if questions == nil {
			return nil
		}
		sc.Progress = func(done, total int) { a.talk.progress("%d of %d questions", done, total) }
		if e.Answered, err = sc.Choose(ctx, questions, choiceCodec(l)); err != nil {
			return fmt.Errorf("%s: %w", s.Eval.Choices, err)
		}
		e.Results = append(e.Results, eval.Accuracy(stem(s.Eval.Choices), e.Answered)...)
		return nil
	})
	a.talk.clear()
	e.Seconds = time.Since(start).Seconds()
	return e, err
}

// sameTokenizer refuses a recipe's tokenizer that is not the model's own.
func sameTokenizer(s *recipe.Stage, e *encoder) error {
	if s.Tokenizer.Path == "" {
		return nil
	}
	other, err := openTokenizer(s.Tokenizer.Path)
	if err != nil {
		return err
	}
	if other.fingerprint != e.fingerprint {
		return s.Errorf("tokenizer.path", "%s is not the tokenizer of the model in %s", s.Tokenizer.Path, s.Base)
	}
	return nil
}

// stem names a task after its file.
func stem(path string) string {
	base := filepath.Base(filepath.Clean(path))
	if cut := strings.TrimSuffix(base, filepath.Ext(base)); cut != "" {
		return cut
	}
	return base
}

func readQuestions(s *recipe.Stage) ([]eval.Question, error) {
	f, err := os.Open(s.Eval.Choices)
	if err != nil {
		return nil, s.Errorf("eval.choices", "%v", err)
	}
	defer f.Close()
	qs, err := eval.ReadQuestions(f, s.Eval.Choices)
	if err != nil {
		return nil, s.Errorf("eval.choices", "%v", err)
	}
	if n := s.Eval.Limit; n > 0 && n < len(qs) {
		qs = qs[:n]
	}
	return qs, nil
}

// newScorer settles the batch: rows as long as the model's context, but not longer than a batch that is fast.
func newScorer(l *loaded, s *recipe.Stage) (*eval.Scorer, error) {
	length := s.Batch.Context
	if length == 0 {
		length = min(l.model.Context, microTokens)
	}
	if length > l.model.Context {
		return nil, s.Errorf("batch.context", "batch.context: rows of %d tokens do not fit the model's context of %d", length, l.model.Context)
	}
	rows := s.Batch.Micro
	if rows == 0 {
		rows = max(1, microTokens/length)
	}
	return eval.New(l.session, l.model, rows, length)
}

// evalText measures the likelihood of held-out text.
func (a *app) evalText(ctx context.Context, s *recipe.Stage, l *loaded, sc *eval.Scorer, e *evaluation) error {
	set, closer, err := a.heldOut(ctx, s, l.encoder)
	if err != nil {
		return err
	}
	defer closer()
	src, err := data.NewSequential(set, sc.Length)
	if err != nil {
		return err
	}
	sc.Progress = func(done, total int) { a.talk.progress("%d of %d rows of text", done, total) }
	text, err := sc.Likelihood(ctx, src, s.Eval.Limit)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Data.Val, err)
	}
	e.Text = &text
	for _, r := range text.Results(stem(s.Data.Val)) {
		if slices.Contains(s.Eval.Tasks, r.Metric) {
			e.Results = append(e.Results, r)
		}
	}
	return nil
}

// heldOut opens token shards; documents are tokenized into a temporary directory.
func (a *app) heldOut(ctx context.Context, s *recipe.Stage, e *encoder) (set *data.Set, closer func() error, err error) {
	if isSet(s.Data.Val) {
		set, err = openSet(s.Data.Val, e)
		if err != nil {
			return nil, nil, err
		}
		return set, set.Close, nil
	}
	if !exists(s.Data.Val) {
		return nil, nil, s.Errorf("data.val", "there is no file or folder %q", s.Data.Val)
	}
	temp, err := os.MkdirTemp("", "forja-eval-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() error { return os.RemoveAll(temp) }
	d, err := vfs.OS(temp)
	if err != nil {
		return nil, nil, errors.Join(err, clean())
	}
	if err = a.pack(ctx, d, "val", data.Read(s.Data.Val, data.ReadOptions{}), e, 0); err == nil {
		set, err = openSet(d.Path("val"), e)
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close(), clean())
	}
	return set, func() error { return errors.Join(set.Close(), d.Close(), clean()) }, nil
}

// choiceCodec encodes prompts for a model. One that knows a token for the beginning of a text, and only for that, has
// seen every text begin with it.
func choiceCodec(l *loaded) eval.Codec {
	c := eval.Codec{Encode: l.encoder.Encode, Start: l.encoder.end}
	if len(l.model.BOS) == 0 {
		return c
	}
	bos := l.model.BOS[0]
	c.Start = bos
	if bos != l.encoder.end && !slices.Contains(l.model.EOS, bos) {
		c.Encode = func(text string) []int32 { return append([]int32{bos}, l.encoder.Encode(text)...) }
	}
	return c
}

// An ngramResult is what the baseline reached: ngram.json.
type ngramResult struct {
	Order     int          `json:"order"`
	Tokens    int          `json:"tokens"` // targets counted in training
	Length    int          `json:"length"` // tokens of a row
	Loss      float64      `json:"loss"`   // nats per token of held-out text
	BPB       float64      `json:"bpb"`
	ValTokens int          `json:"val_tokens"`
	ValBytes  float64      `json:"val_bytes"`
	Estimated float64      `json:"estimated_bpb"` // with the discounts that counts of counts give
	Discounts [][3]float64 `json:"discounts"`     // fitted
	Seconds   float64      `json:"seconds"`
}

// fitTargets is how much held-out text the baseline's discounts are fitted to. That favours the baseline.
const fitTargets = 100_000

// A reading is what the baseline is trained and measured on.
type reading struct {
	train, val data.Source
	vocab      int
	targets    int // most of val; 0 is all
	close      func() error
}

// readingOf is exactly what a run has read: its rows so far, those it has read twice once, and the targets that it
// validates with.
func (a *app) readingOf(ctx context.Context, run string) (*reading, error) {
	d, err := vfs.OS(run)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	src, err := vfs.ReadFile(d, "recipe.yaml", 4<<20)
	if err != nil {
		return nil, fmt.Errorf("there is no run in %s: %w", run, err)
	}
	r, err := recipe.Parse(d.Path("recipe.yaml"), src)
	if err == nil {
		err = r.Resolve()
	}
	if err != nil {
		return nil, err
	}
	name, _, err := latest(d)
	if err != nil {
		return nil, err
	}
	st, err := train.ReadState(d, path.Join(train.CheckpointDir, name))
	if err != nil {
		return nil, err
	}
	e, err := a.stageEncoder(ctx, &r.Stage, d)
	if err != nil {
		return nil, err
	}
	j, err := newJob(&r.Stage, e.VocabSize())
	if err != nil {
		return nil, err
	}
	if j.base != nil {
		defer j.base.Close()
	}
	text, err := a.openSources(ctx, &r.Stage, e, d, j.length)
	if err != nil {
		return nil, err
	}
	if text.val == nil {
		return nil, errors.Join(fmt.Errorf("the run in %s has no held-out text to compare on", run), text.close())
	}
	return &reading{firstRows{text.train, min(st.Sample, text.train.Samples())}, text.val, e.VocabSize(), r.Train.EvalTokens, text.close}, nil
}

// readingFrom is what a recipe names: token shards, or their first ngram.tokens tokens.
func readingFrom(s *recipe.Stage) (*reading, error) {
	open := func(path string) (*data.Set, error) {
		d, err := vfs.OS(path)
		if err != nil {
			return nil, fmt.Errorf("token shards: %w", err)
		}
		return data.Open(d, ".")
	}
	text, err := open(s.Data.Train)
	if err != nil {
		return nil, err
	}
	val, err := open(s.Data.Val)
	if err != nil {
		return nil, errors.Join(err, text.Close())
	}
	closer := func() error { return errors.Join(text.Close(), val.Close()) }
	if text.Fingerprint != val.Fingerprint {
		return nil, errors.Join(fmt.Errorf("%s and %s: %w", s.Data.Train, s.Data.Val, data.ErrTokenizer), closer())
	}
	all, err := data.NewSequential(text, ngramLength)
	if err != nil {
		return nil, errors.Join(err, closer())
	}
	held, err := data.NewSequential(val, ngramLength)
	if err != nil {
		return nil, errors.Join(err, closer())
	}
	rows := all.Samples()
	if s.Ngram.Tokens > 0 {
		rows = min(rows, (uint64(s.Ngram.Tokens)+ngramLength-1)/ngramLength)
	}
	return &reading{firstRows{all, rows}, held, text.VocabSize, 0, closer}, nil
}

// ngramLength is the row of a baseline without a run.
const ngramLength = 512

// stageNgram trains the n-gram baseline and measures it: ngram.json. With a base it is given exactly what that run has
// read, else token shards.
func (a *app) stageNgram(ctx context.Context, s *recipe.Stage, d *vfs.Disk) (err error) {
	start := time.Now()
	var r *reading
	if s.Base != "" {
		r, err = a.readingOf(ctx, s.Base)
	} else {
		r, err = readingFrom(s)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	m, err := ngram.Train(ctx, r.train, r.vocab, s.Ngram.Order, 0)
	if err != nil {
		return err
	}
	estimated, err := m.Likelihood(ctx, r.val, r.targets)
	if err != nil {
		return err
	}
	if err := m.Fit(ctx, r.val, fitTargets); err != nil {
		return err
	}
	l, err := m.Likelihood(ctx, r.val, r.targets)
	if err != nil {
		return err
	}
	a.talk.printf("ngram   Kneser-Ney of order %d on %s tokens: %.4f nats a token, %.4f bits per byte of %s held-out tokens", m.Order,
		count(m.Targets), l.Loss, l.BPB, count(l.Tokens))
	return writeJSON(d, "ngram.json", ngramResult{Order: m.Order, Tokens: m.Targets, Length: r.val.Length(), Loss: l.Loss, BPB: l.BPB,
		ValTokens: l.Tokens, ValBytes: l.Bytes, Estimated: estimated.BPB, Discounts: m.Discounts, Seconds: time.Since(start).Seconds()})
}

// firstRows are the first rows that a source deals out.
type firstRows struct {
	data.Source
	rows uint64
}

func (f firstRows) Samples() uint64 { return f.rows }
