package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/eval"
)

const quiz = `{"question": "Which is a keyword of Go?", "choices": ["func", "banana"], "answer": 0}
{"prompt": "package ", "choices": ["main", "x"], "answer": 1}
`

// evaluated decodes the output of eval --json.
func evaluated(t *testing.T, r result) (e evaluation) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &e), "%s", r.stdout)
	return e
}

func TestEvalMeasuresARunOnItsOwnHeldOutText(t *testing.T) {
	run := trained(t)
	r := forja(t, "eval", run).done(t)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	require.Len(t, lines, 4)
	assert.Regexp(t, `^\|task\|n-shot\|metric\|`, lines[0])
	assert.Regexp(t, `^\|val +\| +0\|ppl +\|↓\|`, lines[2])
	assert.Regexp(t, `^\|val +\| +0\|bpb +\|↓\|`, lines[3])
	assert.Contains(t, r.err, filepath.Join(run, "data", "val"))

	// The first tokens of it are what training measured last.
	var ri runInfo
	b, err := os.ReadFile(filepath.Join(run, "run.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &ri))
	e := evaluated(t, forja(t, "eval", run, "--limit", "512", "--json").done(t))
	assert.InDelta(t, ri.Last.Loss, e.Text.Loss, 1e-5)
	assert.InDelta(t, ri.Last.BPB, e.Text.BPB, 1e-5)
	assert.GreaterOrEqual(t, e.Text.Tokens, 512)
	assert.Equal(t, []string{"ppl", "bpb"}, []string{e.Results[0].Metric, e.Results[1].Metric})
}

func TestEvalReadsDocumentsAndQuestions(t *testing.T) {
	run, out := trained(t), filepath.Join(t.TempDir(), "out")
	text := write(t, "greeting.txt", "package main // hello, world\n\nfunc main() {}\n")
	e := evaluated(t, forja(t, "eval", run, "--data.val", text, "--tasks", "bpb,choice", "--choices", write(t, "quiz.jsonl", quiz), "--json", "-o", out).done(t))
	require.Len(t, e.Results, 3)
	assert.Equal(t, "greeting bpb", e.Results[0].Task+" "+e.Results[0].Metric)
	assert.Equal(t, "quiz acc", e.Results[1].Task+" "+e.Results[1].Metric)
	assert.Equal(t, "quiz acc_norm", e.Results[2].Task+" "+e.Results[2].Metric)
	assert.Equal(t, 2, e.Results[1].N)

	b, err := os.ReadFile(filepath.Join(out, "answers.jsonl"))
	require.NoError(t, err)
	right := 0.0
	for line := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n") {
		var x eval.Answered
		require.NoError(t, json.Unmarshal([]byte(line), &x))
		if x.Picked == x.Answer {
			right++
		}
	}
	assert.Equal(t, right/2, e.Results[1].Value)
	var saved evaluation
	b, err = os.ReadFile(filepath.Join(out, "eval.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &saved))
	assert.Equal(t, e.Results, saved.Results)
}

func TestABoundThatIsNotMetEndsWithItsOwnCode(t *testing.T) {
	run := trained(t)
	r := forja(t, "eval", run, "--limit", "64", "--max", "bpb=0.01", "--min", "ppl=1")
	assert.Equal(t, exitCheck, r.code)
	assert.Contains(t, r.err, "--max bpb=0.01 is not met")
	assert.NotContains(t, r.err, "--min")
	assert.Contains(t, r.stdout, "|ppl", "the result is printed all the same")
	forja(t, "eval", run, "--limit", "64", "--max", "bpb=100", "--min", "bpb=0.01").done(t)
}

func TestMistakesInAnEvaluationAreFoundBeforeItStarts(t *testing.T) {
	run := trained(t)
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"nothing to measure":     {[]string{run + "/model", "--tasks", "choice"}, []string{"--tasks choice needs --choices FILE"}},
		"no model":               {[]string{t.TempDir()}, []string{"there is no model in"}},
		"task":                   {[]string{run, "--tasks", "ppl,bbp"}, []string{`"bbp" is not one of ppl, bpb, choice`}},
		"bound":                  {[]string{run, "--min", "acc"}, []string{`--min "acc" is not METRIC=VALUE`}},
		"bound of another task":  {[]string{run, "--min", "acc=0.3"}, []string{"the metrics of these tasks are ppl, bpb"}},
		"text is not there":      {[]string{run, "--data.val", "nowhere"}, []string{`there is no file or folder "nowhere"`}},
		"questions are not":      {[]string{run, "--choices", "nowhere"}, []string{"nowhere"}},
		"question without words": {[]string{run, "--choices", write(t, "q.jsonl", "{}\n")}, []string{"q.jsonl:1:"}},
		"row is too long":        {[]string{run, "--batch.context", "64"}, []string{"model's context of 32"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := forja(t, append([]string{"eval"}, c.args...)...)
			assert.Equal(t, exitUsage, r.code, "%s", r.err)
			assert.Empty(t, r.stdout)
			for _, s := range c.says {
				assert.Contains(t, r.err, s)
			}
		})
	}
	r := forja(t, "eval", run+"/model", "--data.val", write(t, "bad.txt", "\xff\xfe"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "not UTF-8")
}

func TestTheBaselineOfARunReadsWhatTheRunHasRead(t *testing.T) {
	run, out := trained(t), filepath.Join(t.TempDir(), "ngram")
	forja(t, "stage", write(t, "ngram.yaml", "version: 1\nkind: ngram\nbase: "+run+"\n"), "-o", out).done(t)
	var n ngramResult
	b, err := os.ReadFile(filepath.Join(out, "ngram.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &n))
	assert.Equal(t, 32, n.Length)
	assert.InDelta(t, 20*4*32, n.Tokens, 20, "every row that the run has read, less a target for each end of a document")
	e := evaluated(t, forja(t, "eval", run, "--limit", "512", "--json").done(t))
	assert.Equal(t, e.Text.Tokens, n.ValTokens, "and is measured on the run's own targets")
	assert.InDelta(t, e.Text.Bytes, n.ValBytes, 1e-6)
}

func TestTheBaselineIsMeasuredOnTheModelsTargets(t *testing.T) {
	run, dir := trained(t), t.TempDir()
	stage := func(name, text string) string {
		t.Helper()
		out := filepath.Join(dir, name)
		forja(t, "stage", write(t, name+".yaml", "version: 1\n"+text), "-o", out).done(t)
		return out
	}
	sets := "data: {train: " + run + "/data/train, val: " + run + "/data/val}\n"
	var all, few ngramResult
	for into, ngram := range map[*ngramResult]string{&all: "ngram: {order: 3}\n", &few: "ngram: {order: 3, tokens: 5000}\n"} {
		b, err := os.ReadFile(filepath.Join(stage("ngram", "kind: ngram\n"+sets+ngram), "ngram.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, into))
	}
	assert.Less(t, all.BPB, few.BPB, "more text makes a better baseline")
	assert.LessOrEqual(t, all.BPB, all.Estimated, "fitting its discounts makes it no worse")
	assert.InDelta(t, 5000, few.Tokens, 600, "whole rows, less one target for each document")
	assert.Len(t, all.Discounts, 3)

	var e evaluation
	b, err := os.ReadFile(filepath.Join(stage("eval", "kind: eval\nbase: "+run+"\ndata: {val: "+run+"/data/val}\n"), "eval.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &e))
	assert.Equal(t, e.Text.Tokens, all.ValTokens)
	assert.InDelta(t, e.Text.Bytes, all.ValBytes, 1e-3)
}
