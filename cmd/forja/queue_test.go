package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/sched"
)

// A job as `forja jobs --json` shows it.
type queued struct {
	ID      string        `json:"id"`
	Attempt int           `json:"attempt"`
	Result  *sched.Result `json:"result"`
	Process struct {
		PID int `json:"pid"`
	} `json:"process"`
}

// queue is the list of jobs by id.
func queue(t testing.TB) map[string]queued {
	t.Helper()
	var list []queued
	require.NoError(t, json.Unmarshal([]byte(forja(t, "jobs", "--json").done(t).stdout), &list))
	jobs := map[string]queued{}
	for _, j := range list {
		jobs[j.ID] = j
	}
	return jobs
}

// outcome waits for a job's end.
func outcome(t testing.TB, id string) sched.Result {
	t.Helper()
	until(t, "job "+id+" has ended", func() bool { return queue(t)[id].Result != nil })
	return *queue(t)[id].Result
}

func submit(t testing.TB, args ...string) (id string) {
	t.Helper()
	return strings.TrimSpace(forja(t, append([]string{"run"}, args...)...).done(t).stdout)
}

// endless is a job that ends only when it is told to; it saves seldom, so that a checkpoint tells of a signal.
func endless(dir string, more ...string) []string {
	return append(small("-o", dir, "--train.steps", "10000000", "--train.save_every", "0", "--train.eval_every", "0"), more...)
}

func TestAQueueOutlivesItsSchedulerAndItsJobs(t *testing.T) {
	t.Setenv("FORJA_HOME", t.TempDir())
	dir := t.TempDir()
	trains := func(run string) func() bool {
		return func() bool { return lines(filepath.Join(dir, run, "metrics.jsonl")) > 3 }
	}

	// Verbs work without a scheduler.
	low := submit(t, endless(filepath.Join(dir, "low"), "--job.priority", "10")...)
	gone := submit(t, small("-o", filepath.Join(dir, "gone"))...)
	assert.Nil(t, queue(t)[low].Result)
	forja(t, "cancel", gone).done(t)
	assert.Equal(t, sched.Cancelled, outcome(t, gone).Outcome)
	r := forja(t, "logs", low)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "has not been started")

	// One scheduler executes the queue, and a second one is refused.
	first := start(t, "scheduler")
	until(t, "the low job trains", trains("low"))
	r = forja(t, "scheduler")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "another forja")

	// A job of higher priority takes the device: the low one saves, waits, and goes on afterwards.
	high := submit(t, small("-o", filepath.Join(dir, "high"), "--job.priority", "90")...)
	assert.Equal(t, sched.Succeeded, outcome(t, high).Outcome)
	assert.FileExists(t, filepath.Join(dir, "high", "model", "model.safetensors"))
	saved, err := filepath.Glob(filepath.Join(dir, "low", "ckpt", "*", "SHA256SUMS"))
	require.NoError(t, err)
	assert.Len(t, saved, 1, "the preempted job saved itself")
	until(t, "the low job runs again", func() bool { return queue(t)[low].Attempt == 2 && queue(t)[low].Process.PID != 0 })

	// A killed scheduler loses no job: the next one finds the child still running.
	pid := queue(t)[low].Process.PID
	require.NoError(t, first.Process.Kill())
	first.end(t)
	second := start(t, "scheduler")
	until(t, "the job is adopted", func() bool { return strings.Contains(second.stderr.String(), "adopted   "+low) })
	assert.Equal(t, pid, queue(t)[low].Process.PID)
	assert.Equal(t, 2, queue(t)[low].Attempt)

	// A cancelled job saves what it has.
	until(t, "it trains again", func() bool {
		return strings.Contains(forja(t, "logs", low).stdout, "resumed at step") || trains("low")()
	})
	forja(t, "cancel", low).done(t)
	assert.Equal(t, sched.Cancelled, outcome(t, low).Outcome)
	var info runInfo
	b, err := os.ReadFile(filepath.Join(dir, "low", "run.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &info))
	assert.Equal(t, "stopped", info.State)

	// A job whose recipe can never run is tried once; -f follows a log to its end.
	bad := submit(t, small("-o", filepath.Join(dir, "bad"), "--model.context", "65536", "--batch.rows", "100000", "--batch.micro", "100000")...)
	assert.Equal(t, sched.Failed, outcome(t, bad).Outcome)
	assert.Equal(t, exitUsage, outcome(t, bad).Code)
	good := submit(t, small("-o", filepath.Join(dir, "good"), "--train.log_every", "1")...)
	assert.Equal(t, sched.Succeeded, outcome(t, good).Outcome)
	assert.Equal(t, sums(t, filepath.Join(dir, "high")), sums(t, filepath.Join(dir, "good")), "the same recipe makes the same model")
	forja(t, "logs", "-f", good).done(t)

	require.NoError(t, second.Process.Signal(os.Interrupt))
	assert.Zero(t, second.end(t), second.stderr.String())
}

func TestAPipelineSkipsWhatIsDoneAndGoesOnAfterAKill(t *testing.T) {
	file := write(t, "pipeline.yaml", `version: 1
name: short
stages:
  - {name: corpus, kind: corpus, data: {source: dir, path: TEXT}}
  - {name: tokenizer, kind: tokenizer, data: {train: "@corpus/train"}, tokenizer: {vocab: 300}}
  - {name: pack, kind: pack, data: {train: "@corpus/train", val: "@corpus/val"}, tokenizer: {path: "@tokenizer"}}
  - name: pretrain
    kind: pretrain
    tokenizer: {path: "@tokenizer"}
    model: {arch: llama, layers: 1, channels: 32, heads: 2, context: 32}
    data: {train: "@pack/train", val: "@pack/val"}
    batch: {rows: 4}
    train: {steps: 120, eval_every: 0, eval_tokens: 256, save_every: 20}
`)
	text := write(t, "text.jsonl", animals())
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(b), "TEXT", text, 1)), 0o644))

	straight := filepath.Join(t.TempDir(), "straight")
	forja(t, "run", file, "-o", straight, "--now").done(t)
	again := forja(t, "run", file, "-o", straight, "--now").done(t)
	assert.Equal(t, 4, strings.Count(again.err, "done before, skipped"))

	out := filepath.Join(t.TempDir(), "out")
	p := start(t, "run", file, "-o", out, "--now")
	until(t, "the last stage trains", func() bool { return exists(filepath.Join(out, "pretrain", "ckpt", "00000020")) })
	require.NoError(t, p.Process.Kill())
	p.end(t)
	r := forja(t, "run", file, "-o", out, "--now").done(t)
	assert.Equal(t, 3, strings.Count(r.err, "done before, skipped"), r.err)
	assert.Equal(t, sums(t, filepath.Join(straight, "pretrain")), sums(t, filepath.Join(out, "pretrain")))
	assert.Equal(t, metrics(t, filepath.Join(straight, "pretrain")), metrics(t, filepath.Join(out, "pretrain")))

	r = forja(t, "run", file, "-o", out, "--now", "--stages.pretrain.train.steps", "125").done(t)
	assert.Equal(t, 3, strings.Count(r.err, "done before, skipped"), "only the changed stage runs")
	assert.NotEqual(t, sums(t, filepath.Join(straight, "pretrain")), sums(t, filepath.Join(out, "pretrain")))

	require.NoError(t, os.WriteFile(filepath.Join(out, "tokenizer", "tokenizer.json"), []byte("{}"), 0o644))
	r = forja(t, "run", file, "-o", out, "--now")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, filepath.Join(out, "tokenizer", "tokenizer.json"), "the damaged input is named by the stage that reads it")
	require.NoError(t, os.RemoveAll(filepath.Join(out, "tokenizer")))
	r = forja(t, "run", file, "-o", out, "--now").done(t)
	assert.Equal(t, 2, strings.Count(r.err, "done before, skipped"), "a result that was removed is made again: %s", r.err)
	assert.Equal(t, sums(t, filepath.Join(straight, "pretrain")), sums(t, filepath.Join(out, "pretrain")))

	r = forja(t, "run", file, "-o", out, "--now", "--stages.corpus.data.path", write(t, "empty.jsonl", ""))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "stage corpus")
	assert.Contains(t, r.err, filepath.Join("stages", "corpus.log"))
}

func TestSpeedrunLearnsFromOtherText(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := forja(t, "speedrun", "--corpus", write(t, "text.jsonl", animals()), "-o", out, "--json", "--stages.tokenizer.tokenizer.vocab", "300",
		"--stages.corpus.data.val_fraction", "0.1", "--stages.pretrain.model.layers", "1", "--stages.pretrain.model.channels", "96",
		"--stages.pretrain.model.context", "32", "--stages.pretrain.train.steps", "60", "--stages.pretrain.batch.rows", "4").done(t)
	var report speedReport
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	require.NotNil(t, report.Pretrain)
	assert.Less(t, report.Pretrain.Last.BPB, 0.5*report.Pretrain.First.BPB, "it learns")
	require.NotNil(t, report.Ngram)
	assert.Positive(t, report.Ngram.BPB)
	assert.Nil(t, report.SFT)
	assert.NotEmpty(t, report.Samples)
	assert.Len(t, report.Stages, 5)
}

// animals is a small set of documents.
func animals() string {
	var b strings.Builder
	for i := range 200 {
		b.WriteString(`{"text":"`)
		for j := range 40 {
			b.WriteString([]string{"the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog "}[(i*7+j*j+i*j)%9])
		}
		b.WriteString(`"}` + "\n")
	}
	return b.String()
}
