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

	for _, side := range []string{"train", "val"} {
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
