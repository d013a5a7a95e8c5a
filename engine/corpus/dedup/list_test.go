package dedup

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var someHeader = header{keysList, "0123456789abcdef", "a/b.jsonl.gz", 1 << 40}

func writeEntries(t require.TestingT, h header, entries []entry) []byte {
	var b bytes.Buffer
	l, err := newListWriter(&b, h)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, l.add(e.numbers, e.id))
	}
	require.NoError(t, l.close())
	return b.Bytes()
}

func readEntries(b []byte) (h header, entries []entry, err error) {
	l, err := openList(bytes.NewReader(b))
	if err != nil {
		return h, nil, err
	}
	for e, err := range l.entries() {
		if err != nil {
			return l.header, entries, err
		}
		entries = append(entries, entry{slices.Clone(e.numbers), e.id})
	}
	return l.header, entries, nil
}

func TestListsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOf(rapid.Custom(func(t *rapid.T) entry {
			return entry{rapid.SliceOfN(rapid.Uint64(), 1, 20).Draw(t, "numbers"), rapid.String().Draw(t, "id")}
		})).Draw(t, "entries")
		h, got, err := readEntries(writeEntries(t, someHeader, entries))
		require.NoError(t, err)
		assert.Equal(t, someHeader, h)
		require.Len(t, got, len(entries))
		for i := range got {
			assert.Equal(t, entries[i], got[i])
		}
	})
}

func TestEveryChangeOfAListIsNoticed(t *testing.T) {
	whole := writeEntries(t, someHeader, []entry{{[]uint64{1, 2}, "x"}, {nil, ""}, {[]uint64{3}, "yz"}})
	for n := range whole {
		_, _, err := readEntries(whole[:n])
		require.Error(t, err, "the first %d bytes", n)
		changed := slices.Clone(whole)
		changed[n] ^= 1
		_, _, err = readEntries(changed)
		require.Error(t, err, "byte %d changed", n)
	}
	_, _, err := readEntries(append(whole, 0))
	require.ErrorContains(t, err, "follows the end")
}

func TestLongIDsAreCutBetweenCharacters(t *testing.T) {
	_, got, err := readEntries(writeEntries(t, someHeader, []entry{{[]uint64{1}, strings.Repeat("€", 1000)}}))
	require.NoError(t, err)
	assert.Len(t, got[0].id, 1023)
	assert.True(t, utf8.ValidString(got[0].id))
}

func TestListsThatCouldNotBeReadAreNotWritten(t *testing.T) {
	_, err := newListWriter(&bytes.Buffer{}, header{settings: "0123456789abcdef", input: strings.Repeat("x", maxName+1)})
	assert.Error(t, err)
	_, err = newListWriter(&bytes.Buffer{}, header{settings: "short"})
	assert.Error(t, err)
	l, err := newListWriter(&bytes.Buffer{}, someHeader)
	require.NoError(t, err)
	assert.Error(t, l.add(make([]uint64, maxNumbers+1), ""))
}

func FuzzList(f *testing.F) {
	f.Add(writeEntries(f, someHeader, []entry{{[]uint64{1, 2}, "x"}, {nil, ""}}))
	f.Add([]byte(listMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, entries, err := readEntries(b)
		if err != nil {
			return
		}
		if !utf8.Valid(b) { // ids may be cut elsewhere
			return
		}
		assert.Equal(t, fmt.Sprintf("%x", b), fmt.Sprintf("%x", writeEntries(t, h, entries)))
	})
}
