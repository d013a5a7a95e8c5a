package safetensors_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/format/safetensors"
)

// pattern is the content of the tensors in reference.safetensors.
func pattern(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 % 251)
	}
	return b
}

func entry(name string, dtype safetensors.DType, shape ...int) safetensors.Entry {
	e := safetensors.Entry{Name: name, DType: dtype, Shape: shape}
	size, _ := e.Size()
	e.Data = safetensors.Bytes(pattern(size))
	return e
}

// referenceEntries are the tensors of testdata/reference.py.
func referenceEntries() []safetensors.Entry {
	return []safetensors.Entry{
		entry("bool", safetensors.Bool, 3), entry("u8", safetensors.U8, 5), entry("i8", safetensors.I8, 1, 3),
		entry("f8e5m2", safetensors.F8E5M2, 2), entry("f8e4m3", safetensors.F8E4M3, 2), entry("f8e8m0", safetensors.F8E8M0, 2),
		entry("f8e4m3fnuz", safetensors.F8E4M3FNUZ, 2), entry("f8e5m2fnuz", safetensors.F8E5M2FNUZ, 2),
		entry("f4", safetensors.F4, 8), entry("i16", safetensors.I16, 2), entry("u16", safetensors.U16, 2),
		entry("f16", safetensors.F16, 2, 2), entry("model.layers.0.weight", safetensors.BF16, 2, 3),
		entry("i32", safetensors.I32, 1), entry("u32", safetensors.U32, 1), entry("scalar", safetensors.F32),
		entry("empty", safetensors.F32, 0, 4), entry("odd \"name\"\\\n\x01\té", safetensors.F32, 2),
		entry("c64", safetensors.C64, 1), entry("f64", safetensors.F64, 1), entry("i64", safetensors.I64, 1), entry("u64", safetensors.U64, 1),
	}
}

func write(t testing.TB, entries []safetensors.Entry, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, entries, metadata))
	return b.Bytes()
}

func TestWritesTheBytesOfTheReferenceImplementation(t *testing.T) {
	want, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(t, err)
	entries := referenceEntries()
	assert.Equal(t, want, write(t, entries, nil))
	slices.Reverse(entries)
	assert.Equal(t, want, write(t, entries, map[string]string{"format": "pt"}), "in another order")
}

func TestReadsWhatTheReferenceImplementationWrote(t *testing.T) {
	b, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(t, err)
	f, err := safetensors.Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	var names []string
	for _, e := range referenceEntries() {
		names = append(names, e.Name)
		got, ok := f.Tensor(e.Name)
		require.True(t, ok, e.Name)
		size, err := e.Size()
		require.NoError(t, err)
		assert.Equal(t, e.DType, got.DType)
		assert.Equal(t, append([]int{}, e.Shape...), got.Shape)
		assert.Equal(t, size, got.Size)
		data := make([]byte, size)
		require.NoError(t, f.ReadTensor(e.Name, data))
		assert.Equal(t, pattern(size), data, e.Name)
		assert.Equal(t, data, b[got.Offset:got.Offset+got.Size])
	}
	slices.Sort(names)
	assert.Equal(t, names, f.Names())
}
