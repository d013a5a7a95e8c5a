package safetensors_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/format/safetensors"
)

func TestEntriesThatCannotBeAreRefused(t *testing.T) {
	short := safetensors.Entry{Name: "x", DType: safetensors.U8, Shape: []int{4}, Data: safetensors.Bytes(make([]byte, 3))}
	long := safetensors.Entry{Name: "x", DType: safetensors.U8, Shape: []int{4}, Data: safetensors.Bytes(make([]byte, 5))}
	boom := errors.New("boom")
	var huge []safetensors.Entry
	for _, name := range strings.Split("abcdefghi", "") {
		huge = append(huge, safetensors.Entry{Name: name, DType: safetensors.U8, Shape: []int{math.MaxInt / 8}})
	}
	for why, entries := range map[string][]safetensors.Entry{
		`write tensor "x": its data ended 1 bytes early`:                     {short},
		`write tensor "x": its data is at least 1 bytes too long`:            {long},
		`write tensor "x": boom`:                                             {{Name: "x", DType: safetensors.U8, Data: func(io.Writer) error { return boom }}},
		`write safetensors: two tensors are called "x"`:                      {entry("x", safetensors.U8), entry("x", safetensors.F32)},
		`write safetensors: a tensor cannot be called "__metadata__"`:        {entry("__metadata__", safetensors.U8)},
		`write safetensors: a tensor cannot be called "\xff"`:                {entry("\xff", safetensors.U8)},
		`write safetensors: tensor "x": unknown dtype DType(0)`:              {{Name: "x"}},
		`write safetensors: tensor "x": unknown dtype DType(99)`:             {{Name: "x", DType: 99}},
		`write safetensors: tensor "x": shape [-1] has a negative dimension`: {{Name: "x", DType: safetensors.U8, Shape: []int{-1}}},
		`write safetensors: tensor "h": the file would be too large`:         huge,
		`write tensor "x": it has no data`:                                   {{Name: "x", DType: safetensors.U8}},
		`write safetensors: tensor "x": 17 dimensions, at most 16`:           {{Name: "x", DType: safetensors.U8, Shape: make([]int, 17)}},
	} {
		assert.EqualError(t, safetensors.Write(io.Discard, entries, nil), why)
	}
	assert.Error(t, safetensors.Write(io.Discard, nil, map[string]string{"\xff": ""}))
	assert.Error(t, safetensors.Write(io.Discard, make([]safetensors.Entry, 1<<16+1), nil))
}

// failAfter is a writer that has room for n bytes.
type failAfter struct{ n int }

var errFull = errors.New("full")

func (w *failAfter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return 0, errFull
	}
	w.n -= len(b)
	return len(b), nil
}

func TestWriteErrorsReachTheCaller(t *testing.T) {
	size := len(write(t, referenceEntries(), nil))
	for n := range size {
		require.ErrorIs(t, safetensors.Write(&failAfter{n}, referenceEntries(), nil), errFull)
	}
	require.NoError(t, safetensors.Write(&failAfter{size}, referenceEntries(), nil))
}

func TestMetadataIsSortedAndNamesAFormat(t *testing.T) {
	metadata := map[string]string{"b": "2", "a": "1"}
	for range 20 {
		var b bytes.Buffer
		require.NoError(t, safetensors.Write(&b, nil, metadata))
		assert.Equal(t, `{"__metadata__":{"a":"1","b":"2","format":"pt"}}`, b.String()[8:])
	}
	assert.Len(t, metadata, 2, "the caller's map is left alone")
	assert.Equal(t, `{"__metadata__":{"format":"np"}}`, string(write(t, nil, map[string]string{"format": "np"})[8:]))
}
