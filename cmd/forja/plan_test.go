package main

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
	"forja/kernels"
	"forja/kernels/cpu"
)

// TestPlanIsWhatTrainingAllocates compares `forja plan` with the device's own count at its highest, over a whole run:
// validation, samples, checkpoints and the finished model included.
func TestPlanIsWhatTrainingAllocates(t *testing.T) {
	base := filepath.Join(trained(t), "model")
	tuned := []string{"--base", base, "--data.train", pairs(t), "--train.steps", "2", "--train.eval_tokens", "64"}
	for name, c := range map[string]struct {
		kind string
		args []string
	}{
		"tiny, shrunk":     {"pretrain", small("--train.steps", "2")},
		"muon":             {"pretrain", small("--train.steps", "2", "--optim.kind", "muon")},
		"bf16":             {"pretrain", small("--train.steps", "2", "--precision", "bf16")},
		"accumulation":     {"pretrain", small("--train.steps", "2", "--batch.micro", "2")},
		"recompute":        {"pretrain", small("--train.steps", "2", "--memory.recompute", "block", "--model.layers", "3")},
		"long samples":     {"pretrain", small("--train.steps", "2", "--batch.context", "8", "--batch.rows", "1")},
		"gpt2":             {"pretrain", small("--train.steps", "2", "--model.arch", "gpt2", "--model.kv_heads", "2")},
		"LoRA":             {"sft", append(tuned, "--lora.rank", "4")},
		"LoRA and dropout": {"sft", append(tuned, "--lora.rank", "4", "--lora.dropout", "0.1", "--batch.rows", "2")},
		"every weight":     {"sft", tuned},
	} {
		t.Run(name, func(t *testing.T) {
			if c.kind == "pretrain" {
				c.args = append(c.args, "--optim.warmup", "0")
			}
			dir := filepath.Join(t.TempDir(), "run")
			file := write(t, "recipe.yaml", string(resolved(t, c.kind, c.args)))
			var plan planResult
			require.NoError(t, json.Unmarshal([]byte(forja(t, "plan", file, "--json").done(t).stdout), &plan))

			peak := allocated(t, file, dir)
			assert.Equal(t, plan.Bytes, peak)
			assert.Equal(t, plan.Bytes, plan.VarBytes+plan.ArenaBytes)
		})
	}
}

// resolved is the recipe that a verb's flags make.
func resolved(t *testing.T, kind string, args []string) []byte {
	name := ""
	if len(args)%2 == 1 {
		name, args = args[0], args[1:]
	}
	var s []setting
	for i := 0; i < len(args); i += 2 {
		s = append(s, setting{args[i][2:], args[i+1]})
	}
	r, err := loadRecipe(name, kind, s)
	require.NoError(t, err)
	return r.Marshal()
}

// allocated trains a recipe and returns the most bytes that the device held, as it counts them itself.
func allocated(t *testing.T, file, dir string) (peak int) {
	a := &app{talk: &talk{w: io.Discard, quiet: true}, stdout: io.Discard}
	r, err := loadRecipe(file, "", nil)
	require.NoError(t, err)
	d, err := vfs.MakeOS(dir)
	require.NoError(t, err)
	defer d.Close()
	ctx := context.Background()
	e, err := a.stageEncoder(ctx, &r.Stage, d)
	require.NoError(t, err)
	j, err := newJob(&r.Stage, e.VocabSize())
	require.NoError(t, err)
	src, err := a.openSources(ctx, &r.Stage, e, d, j.length)
	require.NoError(t, err)
	defer src.close()
	dev, err := kernels.OpenDevice(func() (kernels.Backend, error) { return cpu.Open(cpu.Options{}) })
	require.NoError(t, err)
	defer dev.Close()
	require.NoError(t, dev.Do(ctx, func(b kernels.Backend) error {
		err := a.train(ctx, b, j, 1e12, e, src, d)
		assert.Zero(t, b.Usage().Now, "everything is freed at the end")
		peak = b.Usage().Peak
		return err
	}))
	return peak
}
