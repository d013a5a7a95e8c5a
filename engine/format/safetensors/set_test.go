package safetensors_test

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/format/safetensors"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

func put(t *testing.T, fsys vfs.FS, name, content string) {
	t.Helper()
	require.NoError(t, vfs.WriteFile(fsys, name, []byte(content)))
}

// create returns a WriteSet target: the files of a directory.
func create(fsys vfs.FS, dir string) func(string, func(io.Writer) error) error {
	return func(name string, write func(io.Writer) error) error {
		return vfs.WriteStream(fsys, path.Join(dir, name), write)
	}
}

func names(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func layers(n int) (entries []safetensors.Entry) {
	for i := range n {
		entries = append(entries, entry(fmt.Sprintf("layer.%d", i), safetensors.F32, 5))
	}
	return entries
}

func TestASetIsOneFileOrShardsWithAnIndex(t *testing.T) {
	for maxBytes, want := range map[int64][]string{
		safetensors.MaxShardBytes: {"model.safetensors"},
		40: {
			"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
			"model.safetensors.index.json",
		},
	} {
		m := vfs.NewMem()
		entries := layers(5)
		require.NoError(t, safetensors.WriteSet(create(m, "."), "model", entries, maxBytes, map[string]string{"k": "v"}))
		assert.Equal(t, want, names(t, m, "."))
		s, err := safetensors.OpenDir(m, ".")
		require.NoError(t, err)
		assert.Equal(t, []string{"layer.0", "layer.1", "layer.2", "layer.3", "layer.4"}, s.Names())
		assert.Equal(t, "v", s.Metadata()["k"])
		for _, e := range entries {
			info, ok := s.Tensor(e.Name)
			require.True(t, ok)
			assert.Equal(t, e.Shape, info.Shape)
			data := make([]byte, 20)
			require.NoError(t, s.ReadTensor(e.Name, data))
			assert.Equal(t, pattern(20), data)
			require.NoError(t, s.ReadF32(e.Name, make([]float32, 5)))
			section, err := s.Section(e.Name)
			require.NoError(t, err)
			assert.Equal(t, int64(20), section.Size())
		}
		_, ok := s.Tensor("none")
		assert.False(t, ok)
		assert.ErrorIs(t, s.ReadTensor("none", nil), safetensors.ErrNoTensor)
		assert.ErrorIs(t, s.ReadF32("none", nil), safetensors.ErrNoTensor)
		_, err = s.Section("none")
		assert.ErrorIs(t, err, safetensors.ErrNoTensor)
		require.NoError(t, s.Close())
	}
}

func TestTheIndexIsTheOneOfTransformers(t *testing.T) {
	m := vfs.NewMem()
	require.NoError(t, safetensors.WriteSet(create(m, "."), "optim", layers(2), 1, nil))
	b, err := vfs.ReadFile(m, "optim.safetensors.index.json", 1000)
	require.NoError(t, err)
	assert.Equal(t, `{
  "metadata": {
    "total_size": 40
  },
  "weight_map": {
    "layer.0": "optim-00001-of-00002.safetensors",
    "layer.1": "optim-00002-of-00002.safetensors"
  }
}
`, string(b))
}

func TestATensorLargerThanAShardHasItsOwn(t *testing.T) {
	shards, err := safetensors.PlanShards("model", []safetensors.Entry{
		entry("a", safetensors.U8, 1), entry("b", safetensors.U8, 9), entry("c", safetensors.U8, 3), entry("d", safetensors.U8, 2),
	}, 5)
	require.NoError(t, err)
	require.Len(t, shards, 3)
	assert.Len(t, shards[0].Entries, 1)
	assert.Len(t, shards[1].Entries, 1)
	assert.Len(t, shards[2].Entries, 2)
	shards, err = safetensors.PlanShards("model", nil, 5)
	require.NoError(t, err)
	assert.Equal(t, []safetensors.Shard{{Name: "model.safetensors"}}, shards, "no tensors are still a file")
	_, err = safetensors.PlanShards("model", []safetensors.Entry{{Name: "x"}}, 5)
	assert.Error(t, err)
	assert.Error(t, safetensors.WriteSet(create(vfs.NewMem(), "."), "m", append(layers(1), layers(1)...), 1, nil), "one name in two shards")
}

func TestASetInASnapshotIsReadBack(t *testing.T) {
	m := vfs.NewMem()
	require.NoError(t, snapshot.Save(m, "ckpt", "00000001", func(w *snapshot.Writer) error {
		return safetensors.WriteSet(w.File, "model", layers(3), 20, nil)
	}))
	_, err := snapshot.Verify(m, "ckpt/00000001")
	require.NoError(t, err)
	s, err := safetensors.OpenDir(m, "ckpt/00000001")
	require.NoError(t, err)
	assert.Len(t, s.Names(), 3)
	require.NoError(t, s.Close())
}

func TestADirectoryWithoutAModelSaysWhatItHas(t *testing.T) {
	m := vfs.NewMem()
	_, err := safetensors.OpenDir(m, ".")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "no model.safetensors and no model.safetensors.index.json in .:")
	put(t, m, "pytorch_model.bin", "PK\x03\x04")
	_, err = safetensors.OpenDir(m, ".")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "pytorch_model.bin looks like a pickle: loading one can run any program, so forja never does")
	_, err = safetensors.OpenDir(m, "none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	put(t, m, "model.safetensors", "PK\x03\x04 a renamed pickle")
	_, err = safetensors.OpenDir(m, ".")
	require.ErrorIs(t, err, safetensors.ErrFormat)
	assert.ErrorContains(t, err, "model.safetensors: not a valid safetensors file: it is a pickle")
}

func TestAnIndexThatDoesNotMatchItsFilesIsRefused(t *testing.T) {
	const a, b = `"layer.0":"model-00001-of-00002.safetensors"`, `"layer.1":"model-00002-of-00002.safetensors"`
	for index, why := range map[string]string{
		`{"weight_map":{` + a + `}}`:                                                             "", // the second file is not opened
		`{"weight_map":{},"weight_map":{}}`:                                                      "two weight_map",
		`{"weight_map":{` + a + `,` + a + `}}`:                                                   `two entries for tensor "layer.0"`,
		`{"metadata":{}}`:                                                                        "no weight_map",
		`{"weight_map":{"x":"../secret.safetensors"}}`:                                           "want the name of a .safetensors file beside the index",
		`{"weight_map":{"x":"/etc/passwd"}}`:                                                     "want the name of a .safetensors file beside the index",
		`{"weight_map":{"x":"sub/model.safetensors"}}`:                                           "want the name of a .safetensors file beside the index",
		`{"weight_map":{"x":"model.bin"}}`:                                                       "want the name of a .safetensors file beside the index",
		`{"weight_map":{"x":1}}`:                                                                 `want '"', got '1'`,
		`{"weight_map":{"layer.9":"model-00001-of-00002.safetensors"}}`:                          `model-00001-of-00002.safetensors has no tensor "layer.9"`,
		`{"weight_map":{"layer.0":"model-00003-of-00002.safetensors"}}`:                          "a file of model.safetensors.index.json: open model-00003",
		`{"weight_map":{` + a + `},"metadata":` + strings.Repeat("[", 99):                        "too deeply nested",
		`{"metadata":{"a":[1,-2.5e3,true,null,{"b":"c"}]},"weight_map":{` + a + `,` + b + "}}\n": "",
		`{"metadata":nul,"weight_map":{}}`:                                                       "want a value, got 'n'",
		`{"metadata":nan,"weight_map":{}}`:                                                       "want a value, got 'n'",
		`{"weight_map":{}} x`:                                                                    "want nothing after the object, got 'x'",
		"{\"weight_map\":{\"\xff\":\"\"}}":                                                       "not UTF-8",
	} {
		m := vfs.NewMem()
		require.NoError(t, safetensors.WriteSet(create(m, "."), "model", layers(2), 1, nil))
		put(t, m, "model.safetensors.index.json", index)
		_, err := safetensors.OpenDir(m, ".")
		if why == "" {
			require.NoError(t, err, index)
			continue
		}
		assert.ErrorContains(t, err, why, index)
	}
	m := vfs.NewMem()
	require.NoError(t, safetensors.WriteSet(create(m, "."), "model", layers(2), 40, nil))
	require.NoError(t, m.Rename("model.safetensors", "all.safetensors"))
	put(t, m, "model.safetensors.index.json", `{"weight_map":{"layer.0":"all.safetensors"}}`)
	_, err := safetensors.OpenDir(m, ".")
	assert.ErrorContains(t, err, "it lists 1 tensors, its files have 2")
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":40},"weight_map":{"layer.0":"model-00001-of-00002.safetensors"}}`))
	f.Add([]byte(`{"metadata":[1e5,{"a":null}],"weight_map":{"a":"a.safetensors","a":"a.safetensors"}}`))
	m := vfs.NewMem()
	require.NoError(f, safetensors.WriteSet(create(m, "."), "model", layers(2), 1, nil))
	f.Fuzz(func(t *testing.T, index []byte) {
		require.NoError(t, vfs.WriteFile(m, "model.safetensors.index.json", index))
		if s, err := safetensors.OpenDir(m, "."); err == nil {
			for _, name := range s.Names() {
				info, ok := s.Tensor(name)
				require.True(t, ok)
				require.NoError(t, s.ReadTensor(name, make([]byte, info.Size)))
			}
			require.NoError(t, s.Close())
		}
	})
}
