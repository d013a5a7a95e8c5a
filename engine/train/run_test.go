package train_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/format/safetensors"
	"forja/engine/model"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
	"forja/kernels"
)

// counting is a source whose rows are random functions of the sample number.
type counting struct{ length, vocab int }

func (c counting) Samples() uint64 { return 8 }
func (c counting) Length() int     { return c.length }
func (c counting) Fill(b *data.Batch, first uint64) error {
	b.Count, b.Bytes = 0, 0
	for r := range b.Rows {
		rnd := rand.New(rand.NewPCG(first+uint64(r), 3))
		row := b.Row(r)
		x := rnd.IntN(c.vocab)
		for i := range row.Tokens {
			row.Tokens[i], row.Positions[i], row.Lo[i], row.Mask[i] = int32(x), int32(i), 0, 1
			x = (x*3 + rnd.IntN(2)) % c.vocab // learnable
			row.Targets[i] = int32(x)
		}
		b.Count += c.length
		b.Bytes += float64(2 * c.length)
	}
	return nil
}

// start makes a run of a tiny model in a file system.
func start(t *testing.T, b kernels.Backend, fsys vfs.FS, s setting, steps int) *train.Run {
	src := counting{s.shape.Length, s.config.Vocab}
	tr := trainer(t, b, s)
	tr.Spikes = &train.Spikes{Limit: 20}
	tr.Seed = 5
	return &train.Run{Trainer: tr, FS: fsys, Train: src, Val: src,
		Plan:  train.Plan{Steps: steps, EvalEvery: 5, SaveEvery: 3, Keep: 2},
		State: train.State{Tokenizer: "abc"}, Files: map[string][]byte{"tokenizer.json": []byte("{}")}}
}

// weights is the manifest's sum of the finished model.
func weights(t *testing.T, fsys vfs.FS) string {
	m, err := snapshot.Verify(fsys, train.ModelDir)
	require.NoError(t, err)
	var sums []string
	for _, f := range m.Files {
		sums = append(sums, fmt.Sprintf("%s %x", f.Name, f.Sum))
	}
	require.NotEmpty(t, sums)
	return strings.Join(sums, "\n")
}

// losses reads the metrics without timings.
func losses(t *testing.T, fsys vfs.FS) string {
	b, err := vfs.ReadFile(fsys, train.MetricsFile, 1<<20)
	require.NoError(t, err)
	var out []string
	for _, l := range strings.Split(string(b), "\n") {
		var keep []string
		for _, f := range strings.Split(strings.Trim(l, "{}"), ",") {
			if !strings.HasPrefix(f, `"ms"`) && !strings.HasPrefix(f, `"tok_s"`) {
				keep = append(keep, f)
			}
		}
		out = append(out, strings.Join(keep, ","))
	}
	return strings.Join(out, "\n")
}

var settings = map[string]setting{
	"gpt2 f32":   {config: tiny["gpt2"], kind: "adamw", shape: train.Shape{Rows: 4, Micro: 2, Length: 16}, rate: 3e-3},
	"llama bf16": {config: tiny["llama"], kind: "muon", dtype: kernels.BF16, shape: train.Shape{Rows: 4, Micro: 4, Length: 16, Recompute: true}, rate: 3e-3},
	"lora dropout": {config: tiny["qwen2"], kind: "adamw", shape: train.Shape{Rows: 4, Micro: 1, Length: 16}, rate: 3e-3,
		lora: &model.LoRA{Rank: 2, Alpha: 4, Dropout: 0.2, Targets: []string{"q_proj", "down_proj"}}},
}

// Stop anywhere, resume: every later loss and the final weights are those of a run that never stopped.
func TestResumedRunEqualsStraightRun(t *testing.T) {
	const steps = 13
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			b := backend(t)
			straight := vfs.NewMem()
			_, err := start(t, b, straight, s, steps).Do(t.Context())
			require.NoError(t, err)

			stopped := vfs.NewMem()
			for stop := 2; ; stop += 3 {
				ctx, cancel := context.WithCancel(t.Context())
				r := start(t, b, stopped, s, steps)
				r.Hooks.Step = func(st train.Stats) {
					if st.Step == stop {
						cancel()
					}
				}
				_, err := r.Do(ctx)
				r.Trainer.Close()
				cancel()
				if err == nil {
					break
				}
				require.ErrorIs(t, err, train.ErrStopped)
			}
			assert.True(t, losses(t, straight) == losses(t, stopped), "metrics differ")
			assert.Equal(t, weights(t, straight), weights(t, stopped))
		})
	}
}

// A power loss at any file operation: the run resumes from what was committed and ends the same.
func TestPowerLossDuringARunChangesNothing(t *testing.T) {
	const steps = 7
	s := settings["gpt2 f32"]
	b := backend(t)
	straight := vfs.NewMem()
	_, err := start(t, b, straight, s, steps).Do(t.Context())
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(8, 8))
	for trial := range 6 {
		disk := vfs.NewMem()
		for crashes := 0; ; crashes++ {
			r := start(t, b, disk, s, steps)
			committed := -1
			r.Hooks.Saved = func(step int, _ string, _ time.Duration) { committed = step }
			disk.Hook = vfs.FailNth(rnd.IntN(160), fmt.Errorf("power lost"))
			_, err := r.Do(t.Context())
			r.Trainer.Close()
			if err == nil {
				break
			}
			disk.Hook = nil
			disk = disk.Crash(rnd, []float64{0, 0.5, 0.9}[trial%3])
			if committed >= 0 {
				name, _, err := snapshot.Latest(disk, train.CheckpointDir)
				require.NoError(t, err)
				require.GreaterOrEqual(t, name, fmt.Sprintf("%08d", committed), "a committed checkpoint is never lost")
			}
			require.Less(t, crashes, 200)
		}
		require.True(t, losses(t, straight) == losses(t, disk), "metrics differ")
		assert.Equal(t, weights(t, straight), weights(t, disk))
	}
}

func TestDamagedCheckpointFallsBackToTheOneBefore(t *testing.T) {
	s := settings["gpt2 f32"]
	b := backend(t)
	disk := vfs.NewMem()
	_, err := start(t, b, disk, s, 7).Do(t.Context())
	require.NoError(t, err)
	names, err := snapshot.List(disk, train.CheckpointDir)
	require.NoError(t, err)
	require.Equal(t, []string{"00000006", "00000007"}, names)
	disk.Damage(path.Join(train.CheckpointDir, "00000007", "optim.safetensors"), func(x []byte) []byte {
		x[len(x)/2] ^= 1
		return x
	})
	r := start(t, b, disk, s, 9)
	resumed, skipped := -1, 0
	r.Hooks.Resumed = func(step int, bad []error) { resumed, skipped = step, len(bad) }
	_, err = r.Do(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 6, resumed)
	assert.Equal(t, 1, skipped)
}

func TestAnotherTokenizerOrBaseIsRefused(t *testing.T) {
	b := backend(t)
	disk := vfs.NewMem()
	_, err := start(t, b, disk, settings["gpt2 f32"], 3).Do(t.Context())
	require.NoError(t, err)
	r := start(t, b, disk, settings["gpt2 f32"], 5)
	r.State.Tokenizer = "xyz"
	_, err = r.Do(t.Context())
	assert.ErrorContains(t, err, "another tokenizer")
	r = start(t, b, disk, settings["gpt2 f32"], 5)
	r.State.BaseHash = "xyz"
	_, err = r.Do(t.Context())
	assert.ErrorContains(t, err, "another base")
}

func TestFullDiskKeepsTheLastCheckpoint(t *testing.T) {
	b := backend(t)
	disk := vfs.NewMem()
	disk.Capacity = 900_000 // one checkpoint fits, two do not
	_, err := start(t, b, disk, settings["gpt2 f32"], 12).Do(t.Context())
	require.ErrorIs(t, err, vfs.ErrNoSpace)
	disk.Capacity = 100_000_000
	r := start(t, b, disk, settings["gpt2 f32"], 12)
	resumed := 0
	r.Hooks.Resumed = func(step int, _ []error) { resumed = step }
	_, err = r.Do(t.Context())
	require.NoError(t, err)
	assert.Positive(t, resumed)
}

func TestNaNStopsBeforeTheUpdateAndNamesItsSource(t *testing.T) {
	b := backend(t)
	disk := vfs.NewMem()
	r := start(t, b, disk, settings["gpt2 f32"], 4)
	x, err := train.Floats(r.Trainer.Session(), r.Trainer.Model.Params()[4])
	require.NoError(t, err)
	x[3] = float32(math.Inf(1))
	require.NoError(t, train.SetFloats(r.Trainer.Session(), r.Trainer.Model.Params()[4], x))
	_, err = r.Do(t.Context())
	var nf *train.NotFiniteError
	require.ErrorAs(t, err, &nf)
	assert.Contains(t, nf.First, "Linear at forward.go:")
	assert.Zero(t, r.Trainer.Step)

	f, err := disk.Open("debug/00000001.safetensors")
	require.NoError(t, err)
	info, err := disk.Stat("debug/00000001.safetensors")
	require.NoError(t, err)
	set, err := safetensors.Open(f, info.Size())
	require.NoError(t, err)
	saved, err := train.ReadBatch(set)
	require.NoError(t, err)
	want := data.NewBatch(4, 16)
	require.NoError(t, r.Train.Fill(want, 0))
	assert.Equal(t, want.Tokens, saved.Tokens)
	assert.Equal(t, want.Targets, saved.Targets)
}
