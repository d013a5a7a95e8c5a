package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copiesStore makes a store of files of documents, of which many are nearly the same, and gives all lines too.
func copiesStore(t *testing.T, files, documents int) (dir, lines string) {
	dir = t.TempDir()
	for f := range files {
		var b strings.Builder
		for d := range documents {
			text := prose(fmt.Sprintf("mill %d", d%7)) + strings.Repeat(fmt.Sprintf("In year %d it was sold to house %d.\n", f, f*d), d%5)
			b.WriteString(lineOf(t, map[string]string{"id": fmt.Sprintf("%d-%d", f, d), "text": text}))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.jsonl", f)), []byte(b.String()), 0o644))
		lines += b.String()
	}
	return dir, lines
}

// unpacked are the lines of all files of a store's root.
func unpacked(t *testing.T, dir string) (lines string) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	require.NoError(t, err)
	for _, name := range names {
		f, err := os.Open(name)
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		b, err := io.ReadAll(z)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		lines += string(b)
	}
	return lines
}

func TestProcessesTogetherRemoveTheCopiesThatOneStreamHas(t *testing.T) {
	in, lines := copiesStore(t, 5, 20)
	for _, exact := range [][]string{nil, {"--dedup.exact", "line"}} {
		want := forjaIn(t, lines, append([]string{"corpus", "dedup", "--jsonl"}, exact...)...).done(t).stdout
		require.Less(t, len(want), len(lines))
		alone, together := t.TempDir(), t.TempDir()
		r := forja(t, append([]string{"corpus", "dedup", "--in", in, "--out", alone}, exact...)...).done(t)
		assert.Contains(t, r.stdout, "of 100 documents kept")
		assert.Equal(t, want, unpacked(t, alone))

		args := append([]string{"corpus", "dedup", "--in", in, "--out", together, "--temp", t.TempDir()}, exact...)
		shares := func(step string) {
			a := start(t, append(args, "--step", step, "--shard", "0/2")...)
			b := start(t, append(args, "--step", step, "--shard", "1/2")...)
			require.NoError(t, a.Wait(), a.stderr.String())
			require.NoError(t, b.Wait(), b.stderr.String())
		}
		shares("sign")
		assert.Contains(t, forja(t, append(args, "--step", "merge")...).done(t).stdout, "5 files, 100 documents")
		shares("remove")
		assert.Equal(t, storeFiles(t, alone), storeFiles(t, together))
	}
}

func TestDeduplicationThatWasKilledGoesOn(t *testing.T) {
	in, lines := copiesStore(t, 12, 60)
	want := forjaIn(t, lines, "corpus", "dedup", "--jsonl").done(t).stdout
	out := t.TempDir()
	for try := range 4 {
		p := start(t, "corpus", "dedup", "--in", in, "--out", out, "--temp", t.TempDir())
		time.Sleep(time.Duration(20+40*try) * time.Millisecond)
		_ = p.Process.Kill()
		_ = p.Wait()
	}
	forja(t, "corpus", "dedup", "--in", in, "--out", out).done(t)
	assert.Equal(t, want, unpacked(t, out))
}

func TestWrongUseOfDeduplicationStartsNothing(t *testing.T) {
	in, _ := copiesStore(t, 2, 2)
	stores := []string{"--in", in, "--out", t.TempDir()}
	for _, args := range [][]string{
		{"--step", "sign"}, {"--in", in}, append(stores, "--jsonl"), append(stores, "--step", "sort"), append(stores, "--shard", "0/2"),
		append(stores, "--shard", "0/2", "--step", "merge"), append(stores, "--dedup.exact", "word"), append(stores, "FILE"),
	} {
		r := forja(t, append([]string{"corpus", "dedup"}, args...)...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
	}
	r := forja(t, append([]string{"corpus", "dedup", "--step", "merge"}, stores...)...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "2 of 2 files")
	assert.Contains(t, r.err, "00.jsonl")
	forja(t, append([]string{"corpus", "dedup", "--step", "sign"}, stores...)...).done(t)
	r = forja(t, append([]string{"corpus", "dedup", "--step", "remove"}, stores...)...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "the step merge makes it")
}
