package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/vfs"
)

func TestProcessesThatShareThePackingMakeASetToTrainOn(t *testing.T) {
	in, alone, together := documentStore(t, 5, 20), t.TempDir(), t.TempDir()
	tok := filepath.Join(t.TempDir(), "tok")
	forja(t, "tokenizer", "train", filepath.Join(in, "county0"), "-o", tok, "--tokenizer.vocab", "300").done(t)
	pack := func(out string, more ...string) result {
		return forja(t, append([]string{"corpus", "pack", "--in", in, "--out", out, "--tokenizer.path", tok, "--data.val_fraction", "0.1"}, more...)...)
	}
	var results []packResult
	require.NoError(t, json.Unmarshal([]byte(pack(alone, "--json").done(t).stdout), &results))
	require.Len(t, results, 2)
	assert.EqualValues(t, 100, results[0].Set.Documents+results[1].Set.Documents)

	assert.Contains(t, pack(together, "--step", "merge").err, "5 of 5 files")
	for _, share := range []string{"1/2", "0/2"} {
		pack(together, "--shard", share).done(t)
	}
	pack(together, "--step", "merge").done(t)
	assert.Equal(t, storeFiles(t, alone), storeFiles(t, together))
	pack(together, "--step", "merge").done(t)
	assert.Equal(t, storeFiles(t, alone), storeFiles(t, together))

	local := filepath.Join(t.TempDir(), "local") // the same documents, as one stream
	forja(t, "corpus", "pack", in, "-o", local, "--tokenizer.path", tok, "--data.val_fraction", "0.1").done(t)
	for i, side := range []string{"train", "val"} {
		var whole data.Manifest
		b, err := os.ReadFile(filepath.Join(local, side, data.ManifestName))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &whole))
		assert.Equal(t, packedSet{len(results[i].shards(t, together)), whole.Documents, whole.Tokens, whole.TextBytes}, *results[i].Set)
		disk, err := vfs.OS(filepath.Join(together, side))
		require.NoError(t, err)
		defer disk.Close()
		set, err := data.Open(disk, ".")
		require.NoError(t, err)
		require.NoError(t, set.Verify())
		require.NoError(t, set.Close())
	}
	pretrained := filepath.Join(t.TempDir(), "run")
	forja(t, "pretrain", "--tokenizer.path", tok, "--data.train", filepath.Join(together, "train"), "--data.val", filepath.Join(together, "val"), "-o", pretrained,
		"--model.layers", "1", "--model.channels", "16", "--model.heads", "1", "--model.context", "32", "--batch.rows", "2", "--train.steps", "2",
		"--device", "cpu").done(t)

	require.NoError(t, os.WriteFile(filepath.Join(tok, "tokenizer.json"), []byte(`{"version":"1.0"}`), 0o644))
	assert.NotEqual(t, exitDone, pack(together, "--step", "merge").code)
}

// shards are the files of a side that hold tokens.
func (r packResult) shards(t *testing.T, dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, r.Side, "*", "*"+tokenEnding))
	require.NoError(t, err)
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			names = append(names, name)
		}
	}
	return names
}
