package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShowSaysWhatAPathIs(t *testing.T) {
	run := trained(t)
	sft := filepath.Join(t.TempDir(), "sft")
	forja(t, "sft", "--base", filepath.Join(run, "model"), "--data.train", pairs(t), "--lora.rank", "2", "--train.steps", "2", "--batch.rows", "1", "-o", sft).done(t)
	for name, c := range map[string]struct {
		path, kind string
		says       []string
	}{
		"run":                   {run, "run", []string{"pretrain done, step 20 of 20", "llama", "6N + 6·L·C·T", "00000020", "the newest of 2", "tok/s", "bits per byte", "verified"}},
		"checkpoint":            {run + "/ckpt/00000020", "checkpoint", []string{"step 20", "80 samples seen", "bits per byte", "verified"}},
		"model":                 {run + "/model", "model", []string{"1 layers · 32 channels", "300 ids", "f32", "verified"}},
		"tokenizer's file":      {run + "/tokenizer.json", "tokenizer", []string{"300 ids", "<|endoftext|>"}},
		"token set":             {run + "/data/train", "tokens", []string{"documents", "bytes a token"}},
		"run of an adapter":     {sft, "run", []string{"sft done", "LoRA rank 2", "trainable"}},
		"adapter":               {sft + "/adapter", "adapter", []string{"LoRA rank 2", "all-linear", run, "sha256"}},
		"checkpoint of adapter": {sft + "/ckpt/00000002", "checkpoint", []string{"LoRA rank 2", "step 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := forja(t, "show", c.path).done(t)
			assert.True(t, strings.HasPrefix(r.stdout, c.kind+" "), "%s", r.stdout)
			for _, s := range c.says {
				assert.Contains(t, r.stdout, s)
			}
			var s shown
			require.NoError(t, json.Unmarshal([]byte(forja(t, "show", c.path, "--json").done(t).stdout), &s))
			assert.Equal(t, c.kind, s.Kind)
			assert.Positive(t, s.Bytes)
		})
	}
}

func TestShowFindsDamage(t *testing.T) {
	flip := func(path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		b[len(b)-1] ^= 1
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
	run := copied(t)
	flip(filepath.Join(run, "ckpt", "00000020", "model.safetensors"))
	r := forja(t, "show", filepath.Join(run, "ckpt", "00000020"))
	assert.Equal(t, exitCheck, r.code)
	assert.Contains(t, r.stdout, "damaged")
	assert.Contains(t, r.err, "SHA-256")

	r = forja(t, "show", run).done(t) // an older one is whole
	assert.Contains(t, r.stdout, "checkpoint  00000015")
	assert.Contains(t, r.stdout, "damaged")
	flip(filepath.Join(run, "ckpt", "00000015", "state.json"))
	assert.Equal(t, exitCheck, forja(t, "show", run).code, "no checkpoint is whole")

	flip(filepath.Join(run, "data", "train", "tokens-00000.bin"))
	forja(t, "show", filepath.Join(run, "data", "train")).done(t)
	assert.Equal(t, exitCheck, forja(t, "show", filepath.Join(run, "data", "train"), "--verify").code)
}

func TestShowRefusesWhatItDoesNotKnow(t *testing.T) {
	r := forja(t, "show", "nowhere")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "there is nothing at nowhere")
	r = forja(t, "show", t.TempDir())
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "nothing that forja makes")
}
