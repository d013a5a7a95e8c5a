package main

import (
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sums is the list of checksums of a run's finished model.
func sums(t testing.TB, run string) string {
	t.Helper()
	return sumsOf(t, filepath.Join(run, "model"))
}

func sumsOf(t testing.TB, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	require.NoError(t, err)
	return string(b)
}

// metrics are the lines of a run's metrics and samples, without what a clock says.
func metrics(t testing.TB, run string) (lines []map[string]any) {
	t.Helper()
	for _, name := range []string{"metrics.jsonl", "samples.jsonl"} {
		f, err := os.Open(filepath.Join(run, name))
		require.NoError(t, err)
		defer f.Close()
		for d := json.NewDecoder(f); d.More(); {
			var m map[string]any
			require.NoError(t, d.Decode(&m))
			delete(m, "ms")
			delete(m, "tok_s")
			lines = append(lines, m)
		}
	}
	return lines
}

// tree lists the files below a directory.
func tree(t testing.TB, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}

// TestKilledRunsEndAsIfNothingHadHappened kills runs at random moments, from the training of the tokenizer to the writing
// of the model, and resumes them, until so many have been killed. FORJA_LONG=1 kills 50.
func TestKilledRunsEndAsIfNothingHadHappened(t *testing.T) {
	kills := 6
	if os.Getenv("FORJA_LONG") == "1" {
		kills = 50
	}
	dir := t.TempDir()
	args := func(run string) []string { return pretrain(run, "--train.steps", "60", "--train.save_every", "4") }
	straight := filepath.Join(dir, "straight")
	began := time.Now()
	p := start(t, args(straight)...)
	require.Zero(t, p.end(t), p.stderr.String())
	whole := time.Since(began)
	wantSums, wantMetrics := sums(t, straight), metrics(t, straight)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, a run takes %v", seed, whole)
	random := rand.New(rand.NewPCG(seed, 0))
	for killed, n := 0, 0; killed < kills; n++ {
		run := filepath.Join(dir, strconv.Itoa(n))
		line := args(run)
		for {
			p := start(t, line...)
			if killed < kills {
				kill := time.AfterFunc(time.Duration(random.Float64()*float64(whole)), func() { _ = p.Process.Kill() })
				code := p.end(t)
				kill.Stop()
				if code == -1 {
					killed++
					if isRun(run) { // else it died before there was anything to resume
						line = []string{"pretrain", "--resume", run}
					}
					continue
				}
				require.Zero(t, code, p.stderr.String())
			} else {
				require.Zero(t, p.end(t), p.stderr.String())
			}
			break
		}
		require.Equal(t, wantSums, sums(t, run), "run %d", n)
		require.Equal(t, wantMetrics, metrics(t, run), "run %d", n)
	}
}

func TestSignalsSaveAndSayHowToGoOn(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, exitPreempted}, {syscall.SIGINT, exitInterrupted}} {
		run := filepath.Join(t.TempDir(), "run")
		p := start(t, pretrain(run, "--train.steps", "1000000", "--train.save_every", "0", "--train.eval_every", "0")...)
		until(t, "it trains", func() bool { return lines(filepath.Join(run, "metrics.jsonl")) > 3 })
		require.NoError(t, p.Process.Signal(c.signal))
		assert.Equal(t, c.code, p.end(t), p.stderr.String())
		assert.Contains(t, p.stderr.String(), "resume with: forja pretrain --resume "+run)
		assert.NotContains(t, p.stderr.String(), "error")
		assert.Empty(t, p.stdout.String())

		var info runInfo
		b, err := os.ReadFile(filepath.Join(run, "run.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &info))
		assert.Equal(t, "stopped", info.State)
		r := forja(t, "pretrain", "--resume", run, "--train.steps", strconv.Itoa(info.Step+20)).done(t)
		assert.Contains(t, r.err, "resumed at step "+strconv.Itoa(info.Step))
		assert.Contains(t, r.err, "changed train.steps")
	}
}

func TestASignalBeforeTrainingEndsQuietly(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "corpus", "build", "-o", filepath.Join(dir, "corpus"))
	until(t, "it reads", func() bool { return exists(filepath.Join(dir, "corpus", "train")) })
	require.NoError(t, p.Process.Signal(os.Interrupt))
	assert.Equal(t, exitInterrupted, p.end(t), p.stderr.String())
	assert.NotContains(t, p.stderr.String(), "error")
	assert.NoFileExists(t, filepath.Join(dir, "corpus", "corpus.json"))
}

// lines counts the lines of a file, 0 if there is none.
func lines(path string) (n int) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}
