package data_test

import (
	"bytes"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/vfs"
)

type byteTokens struct{}

func (byteTokens) EncodeTo(dst []int32, text string) []int32 {
	for _, b := range []byte(text) {
		dst = append(dst, int32(b))
	}
	return dst
}

func sequence(docs []data.Document) iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestASetOfPartsHoldsTheTokensOfTheWhole(t *testing.T) {
	var docs []data.Document
	for i := range 100 {
		docs = append(docs, data.Document{Text: fmt.Sprint("document ", i*i)})
	}
	o := data.BuildOptions{Format: data.Format{VocabSize: 257, Begin: -1, End: 256}}
	disk := vfs.NewMem()
	want, err := data.Build(t.Context(), disk, "whole", sequence(docs), byteTokens{}, o)
	require.NoError(t, err)

	var m data.Merger
	require.NoError(t, vfs.MkdirAll(disk, "parts/a"))
	for i, part := range [][]data.Document{docs[:30], docs[30:31], nil, docs[31:]} {
		var b bytes.Buffer
		made, err := data.EncodeShard(t.Context(), &b, sequence(part), byteTokens{}, o)
		require.NoError(t, err)
		assert.Equal(t, int64(len(part)), made.Documents)
		if len(part) == 0 {
			assert.Zero(t, b.Len())
			continue
		}
		name := fmt.Sprintf("a/part-%d.bin", i)
		require.NoError(t, vfs.WriteFile(disk, "parts/"+name, b.Bytes()))
		require.NoError(t, m.Add(name, &b))
	}
	got, manifest, err := m.Manifest()
	require.NoError(t, err)
	assert.Equal(t, []int64{want.Documents, want.Tokens, want.TextBytes}, []int64{got.Documents, got.Tokens, got.TextBytes})
	require.NoError(t, vfs.WriteFile(disk, "parts/"+data.ManifestName, manifest))

	whole, parts := open(t, disk, "whole"), open(t, disk, "parts")
	require.NoError(t, parts.Verify())
	for sample := range uint64(20) {
		assert.Equal(t, row(t, whole, sample), row(t, parts, sample))
	}
}

func open(t *testing.T, disk vfs.FS, dir string) *data.Set {
	s, err := data.Open(disk, dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// row is the tokens of a sample in a fixed order of samples.
func row(t *testing.T, s *data.Set, sample uint64) []int32 {
	l, err := data.NewLoader(s, 32, 7)
	require.NoError(t, err)
	b := data.NewBatch(1, 32)
	require.NoError(t, l.Fill(b, sample))
	return append([]int32(nil), b.Tokens...)
}

func TestAMergerRefusesPartsThatDoNotBelongTogether(t *testing.T) {
	shard := func(vocab int) *bytes.Buffer {
		var b bytes.Buffer
		_, err := data.EncodeShard(t.Context(), &b, sequence([]data.Document{{Text: "text"}}), byteTokens{},
			data.BuildOptions{Format: data.Format{VocabSize: vocab, Begin: -1, End: -1}})
		require.NoError(t, err)
		return &b
	}
	var m data.Merger
	_, _, err := m.Manifest()
	require.ErrorIs(t, err, data.ErrEmpty)
	require.NoError(t, m.Add("one", shard(256)))
	require.ErrorIs(t, m.Add("two", shard(300)), data.ErrTokenizer)
	require.ErrorContains(t, m.Add("cut", bytes.NewReader(shard(256).Bytes()[:100])), "shorter than a header")
	require.ErrorContains(t, m.Add("none", bytes.NewReader(make([]byte, 200))), "none: not a token shard")
}
