package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// damage changes one file.
type damage func(t *testing.T, path string)

func flipped(at int) damage {
	return func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
}

func halved(t *testing.T, path string) {
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()/2))
}

func removed(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }

func TestADamagedModelIsRefusedByName(t *testing.T) {
	for _, file := range []string{"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "SHA256SUMS"} {
		for how, d := range map[string]damage{"flipped": flipped(40), "flipped at the end": flipped(-4), "halved": halved, "removed": removed} {
			if file == "SHA256SUMS" && how == "removed" {
				continue // then nothing can be compared
			}
			run := copied(t)
			d(t, filepath.Join(run, "model", file))
			for _, args := range [][]string{
				{"generate", filepath.Join(run, "model"), "func ", "--sample.tokens", "2"},
				{"chat", filepath.Join(run, "model"), "--ask", "why?"},
				{"sft", "--base", filepath.Join(run, "model"), "--data.train", pairs(t), "-o", filepath.Join(run, "sft")},
			} {
				r := forja(t, args...)
				assert.NotZero(t, r.code, "%s %s", file, how)
				assert.Contains(t, r.err, file, "%s %s", file, how)
				assert.Contains(t, r.err, run, "%s %s", file, how)
				assert.Empty(t, r.stdout)
				assert.NoDirExists(t, filepath.Join(run, "sft"))
			}
		}
	}
}

func TestAModelOfOthersHasNoListOfChecksums(t *testing.T) {
	run := copied(t)
	removed(t, filepath.Join(run, "model", "SHA256SUMS"))
	forja(t, "generate", run, "func ", "--sample.tokens", "2").done(t)
	halved(t, filepath.Join(run, "model", "model.safetensors"))
	r := forja(t, "generate", run, "func ")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, filepath.Join(run, "model", "model.safetensors"))
	assert.Contains(t, r.err, "cut short")
}

func TestResumePassesOverADamagedCheckpoint(t *testing.T) {
	for _, file := range []string{"model.safetensors", "optim.safetensors", "state.json", "tokenizer.json", "SHA256SUMS"} {
		for how, d := range map[string]damage{"flipped": flipped(-9), "halved": halved, "removed": removed} {
			run := copied(t)
			d(t, filepath.Join(run, "ckpt", "00000020", file))
			r := forja(t, "pretrain", "--resume", run).done(t)
			assert.Contains(t, r.err, filepath.Join("ckpt", "00000020", file)+" is damaged", "%s %s", file, how)
			assert.Contains(t, r.err, "resumed at step 15")
			assert.Equal(t, sums(t, trained(t)), sums(t, run), "%s %s: the way back leads to the same model", file, how)
			assert.Equal(t, metrics(t, trained(t)), metrics(t, run))
		}
	}
}

func TestResumeWithoutAGoodCheckpointSaysSo(t *testing.T) {
	run := copied(t)
	for _, step := range []string{"00000015", "00000020"} {
		halved(t, filepath.Join(run, "ckpt", step, "model.safetensors"))
	}
	before := tree(t, filepath.Join(run, "ckpt"))
	r := forja(t, "pretrain", "--resume", run)
	assert.Equal(t, exitFailed, r.code)
	for _, s := range []string{"00000015", "00000020", filepath.Join(run, "ckpt"), "begin anew"} {
		assert.Contains(t, r.err, s)
	}
	assert.Equal(t, before, tree(t, filepath.Join(run, "ckpt")), "nothing is removed")
}

func TestDamagedTokensAndTokenizersAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		file string
		how  damage
		says string
	}{
		{"data/train/tokens-00000.bin", halved, "tokenize the corpus again"},
		{"data/train/tokens-00000.bin", flipped(9), "tokenize the corpus again"},
		{"data/train/tokens-00000.bin", flipped(50000), "tokenize the corpus again"},
		{"data/train/tokens-00000.bin", removed, "tokenize the corpus again"},
		{"data/train/tokens.json", halved, "tokenize the corpus again"},
		{"data/val/tokens-00000.bin", halved, "tokenize the corpus again"},
		{"tokenizer.json", halved, "restore it"},
		{"tokenizer.json", flipped(-30), "restore it"},
		{"recipe.yaml", halved, "recipe.yaml:"},
	} {
		run := copied(t)
		c.how(t, filepath.Join(run, c.file))
		r := forja(t, "pretrain", "--resume", run, "--train.steps", "60")
		assert.NotZero(t, r.code, c.file)
		assert.Contains(t, r.err, filepath.Join(run, c.file))
		assert.Contains(t, r.err, c.says)
		assert.DirExists(t, filepath.Join(run, "ckpt", "00000020"), "what was saved stays")
	}
}

func TestAnotherTokenizerIsRefused(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	forja(t, "tokenizer", "train", "-o", other, "--tokenizer.vocab", "290", "--data.max_bytes", "30000").done(t)

	run := copied(t) // trained with its own: shards and checkpoints tell
	b, err := os.ReadFile(filepath.Join(other, "tokenizer.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(run, "tokenizer.json"), b, 0o644))
	r := forja(t, "pretrain", "--resume", run)
	assert.NotZero(t, r.code)
	assert.Contains(t, r.err, "tokenizer")
	assert.Contains(t, r.err, filepath.Join(run, "data", "train"))

	require.NoError(t, os.RemoveAll(filepath.Join(run, "data"))) // tokenized anew by the wrong one: the checkpoint tells
	r = forja(t, "pretrain", "--resume", run)
	assert.NotZero(t, r.code)
	assert.Contains(t, r.err, "was trained with another tokenizer")
	assert.Contains(t, r.err, "ckpt/00000020")

	run = copied(t) // a model whose tokenizer was replaced by a larger one
	forja(t, "tokenizer", "train", "-o", other+"2", "--tokenizer.vocab", "600", "--data.max_bytes", "60000").done(t)
	b, err = os.ReadFile(filepath.Join(other+"2", "tokenizer.json"))
	require.NoError(t, err)
	removed(t, filepath.Join(run, "model", "SHA256SUMS"))
	require.NoError(t, os.WriteFile(filepath.Join(run, "model", "tokenizer.json"), b, 0o644))
	r = forja(t, "generate", run, "func ")
	assert.NotZero(t, r.code)
	assert.Contains(t, r.err, "600 ids")
	assert.Contains(t, r.err, "do not belong together")
}

func TestTextThatCannotBeLearntFromIsRefused(t *testing.T) {
	lines := strings.Repeat("some words in a line\n", 50)
	for name, c := range map[string]struct{ file, text, says string }{
		"no text":       {"a.txt", "", "no documents"},
		"one document":  {"a.txt", lines, "documents"},
		"not UTF-8":     {"a.txt", lines + "caf\xe9\n", "UTF-8"},
		"not JSON":      {"a.jsonl", "{\"text\": \"a\"}\n{\"text\": \n", "a.jsonl:2"},
		"not UTF-8 too": {"a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"caf\xe9\"}\n", "a.jsonl:2"},
		"no text field": {"a.jsonl", "{\"body\": \"a\"}\n", "a.jsonl:1"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		r := forja(t, "corpus", "build", write(t, c.file, c.text), "-o", out, "--data.val_fraction", "0.2")
		assert.Equal(t, exitFailed, r.code, "%s: %s", name, r.err)
		assert.Contains(t, r.err, c.says, name)
		assert.NoFileExists(t, filepath.Join(out, "corpus.json"), name)
	}
	empty := t.TempDir()
	r := forja(t, "corpus", "build", empty, "-o", filepath.Join(empty, "out"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "documents")
	for _, kind := range []string{"jsonl", "dir"} {
		out := filepath.Join(t.TempDir(), "out")
		r = forja(t, pretrain(out, "--data.source", kind, "--data.path", write(t, "none.jsonl", ""))...)
		assert.Equal(t, exitFailed, r.code)
		assert.NotContains(t, r.err, "panic")
		assert.NoDirExists(t, filepath.Join(out, "ckpt"))
	}
}

func TestAHeldOutSideWithoutTextIsRefused(t *testing.T) {
	var docs bytes.Buffer
	for range 30 {
		docs.WriteString(`{"text":"the quick brown fox jumps over the lazy dog, and again, and again"}` + "\n")
	}
	out := filepath.Join(t.TempDir(), "out")
	r := forja(t, pretrain(out, "--data.source", "jsonl", "--data.path", write(t, "a.jsonl", docs.String()), "--data.val_fraction", "0")...)
	assert.Equal(t, exitFailed, r.code, r.err)
	assert.Contains(t, r.err, "val")
	assert.NoDirExists(t, filepath.Join(out, "ckpt"))
}

func TestExamplesThatTeachNothingAreRefused(t *testing.T) {
	base := filepath.Join(trained(t), "model")
	for name, c := range map[string]struct{ text, says string }{
		"empty":         {"", "chat.jsonl"},
		"not JSON":      {"{\n", "chat.jsonl"},
		"not UTF-8":     {"{\"prompt\":\"caf\xe9\",\"completion\":\"b\"}\n", "chat.jsonl"},
		"unknown shape": {`{"ask":"a","say":"b"}` + "\n", "chat.jsonl"},
		"no assistant":  {`{"messages":[{"role":"user","content":"hi"}]}` + "\n", "chat.jsonl"},
		"unknown role":  {`{"messages":[{"role":"user","content":"hi"},{"role":"bot","content":"ho"}]}` + "\n", "bot"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		r := forja(t, "sft", "--base", base, "--data.train", write(t, "chat.jsonl", c.text), "-o", out)
		assert.NotZero(t, r.code, name)
		assert.Contains(t, r.err, c.says, name)
		assert.NoDirExists(t, filepath.Join(out, "ckpt"))
	}
}

func TestARunDirectoryHasOneProcess(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	p := start(t, pretrain(run, "--train.steps", "1000000")...)
	until(t, "it trains", func() bool { return exists(filepath.Join(run, "ckpt", "00000005")) })
	r := forja(t, "pretrain", "--resume", run)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, run)
	assert.Contains(t, r.err, "pid "+strconv.Itoa(p.Process.Pid))
	assert.NoError(t, p.Process.Kill())
	p.end(t)
	forja(t, "pretrain", "--resume", run, "--train.steps", "30").done(t) // the lock of a dead process does not hold
}
