package data

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// byteEncoder gives every byte its own id.
type byteEncoder struct{}

func (byteEncoder) EncodeTo(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

const (
	beginID = 256
	endID   = 257
)

func byteFormat(begin, end int32) Format {
	return Format{VocabSize: 258, Begin: begin, End: end, Fingerprint: [32]byte{1, 2, 3}}
}

func texts(list ...string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i, text := range list {
			if !yield(Document{ID: fmt.Sprint(i), Text: text}, nil) {
				return
			}
		}
	}
}

// buildSet makes a set in memory and opens it.
func buildSet(t testing.TB, o BuildOptions, list ...string) *Set {
	t.Helper()
	mem := vfs.NewMem()
	_, err := Build(context.Background(), mem, "set", texts(list...), byteEncoder{}, o)
	require.NoError(t, err)
	set, err := Open(mem, "set")
	require.NoError(t, err)
	t.Cleanup(func() { set.Close() })
	return set
}

func TestFilterAndHeldOutSplitByText(t *testing.T) {
	var list []string
	for i := range 2000 {
		list = append(list, fmt.Sprintf("document %d", i%1000)) // every text twice
	}
	held := HeldOut(7, 0.1)
	val := map[string]int{}
	for doc, err := range Filter(texts(list...), held) {
		require.NoError(t, err)
		val[doc.Text]++
	}
	require.InDelta(t, 100, len(val), 40)
	for text, n := range val {
		require.Equal(t, 2, n, "%s is on both sides of the split", text)
	}
	require.False(t, HeldOut(7, 0)(Document{Text: "x"}))
	require.True(t, HeldOut(7, 1)(Document{Text: "x"}))
}

func TestFilterPassesErrorsOn(t *testing.T) {
	docs := ReadJSONL(strings.NewReader("{\"text\":\"a\"}\nnope\n"), "in", ReadOptions{})
	var last error
	for _, err := range Filter(docs, func(Document) bool { return false }) {
		last = err
	}
	require.ErrorContains(t, last, "in:2")
}
