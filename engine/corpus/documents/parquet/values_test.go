package parquet

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	library "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every encoding of strings, on bytes of strangers.
func FuzzValues(f *testing.F) {
	f.Add([]byte{}, int64(1))
	f.Add([]byte{3, 0, 0, 0, 'a', 'b', 'c'}, int64(1))
	f.Add([]byte{1, 2, 0, 3, 0b10101010}, int64(10))                                   // indices of one bit: a run, a pack
	f.Add([]byte{128, 1, 4, 3, 6, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd'}, int64(3))        // lengths
	f.Add([]byte{128, 1, 4, 255, 255, 255, 7, 6, 0, 0, 0, 0, 0}, int64(1<<31-1))       // millions of lengths
	f.Add([]byte{128, 1, 4, 2, 0, 2, 2, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0}, int64(2)) // differences of two bits
	f.Fuzz(func(t *testing.T, b []byte, most int64) {
		most = max(0, min(most, 1<<31-1))
		dictionary, err := newDictionary([]byte("\x01\x00\x00\x00a\x01\x00\x00\x00b"), 2)
		require.NoError(t, err)
		for _, open := range []func() (func() ([]byte, error), error){
			func() (func() ([]byte, error), error) { return plain(b), nil },
			func() (func() ([]byte, error), error) { return indexed(dictionary, b) },
			func() (func() ([]byte, error), error) { return deltaLength(b, most) },
			func() (func() ([]byte, error), error) { return deltaByteArray(b, most) },
		} {
			next, err := open()
			for n := 0; err == nil && n < 1000; n++ {
				var v []byte
				if v, err = next(); len(v) > MaxValue {
					t.Fatalf("%d bytes", len(v))
				}
			}
		}
	})
}

// A few bytes of zstd are a dictionary of millions of empty strings.
func TestADictionaryTakesNoMoreThanItsPage(t *testing.T) {
	const n = 4 << 20
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	page := z.EncodeAll(make([]byte, 4*n), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := &column{codec: codecZstd}
	require.NoError(t, c.dictionaryPage(pageHeader{kind: pageDictionary, uncompressed: 4 * n, compressed: int64(len(page)), values: n}, page))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*4*n), "%d KB of a file", len(page)>>10)
}

// Each byte of a footer can be a column of a group.
func TestAFooterTakesABoundedMemory(t *testing.T) {
	const n = 8 << 20
	footer := append([]byte{4<<4 | thriftList, 1<<4 | thriftStruct, 1<<4 | thriftList, 0xf0 | thriftStruct}, binary.AppendUvarint(nil, n)...)
	b := append(append([]byte(magic), footer...), make([]byte, n+2)...)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(b)-len(magic))), magic...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Open(bytes.NewReader(b), int64(len(b)))
	require.Error(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<30))
}

// A run of values that are not there takes a few bytes, whatever its length.
func TestAFileHasNoMoreRowsThanItsSizeIsWorth(t *testing.T) {
	file := func(rows int64) ([]byte, error) {
		var b bytes.Buffer
		w, err := NewWriter(&b, Column{"text", true})
		require.NoError(t, err)
		require.NoError(t, w.Write([]string{""}))
		w.rows, w.columns[0].run, w.columns[0].count = rows, uint64(rows), rows
		require.NoError(t, w.Close())
		_, err = Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		return b.Bytes(), err
	}
	_, err := file(freeRows)
	require.NoError(t, err)
	b, err := file(1 << 30)
	require.Error(t, err, "%d bytes", len(b))
}

// Every compression, on bytes of strangers that say how much they are.
func FuzzDecompress(f *testing.F) {
	z, err := zstd.NewWriter(nil)
	require.NoError(f, err)
	f.Add(byte(codecZstd), z.EncodeAll(bytes.Repeat([]byte("forja "), 100), nil), 600)
	f.Add(byte(7), []byte{0x1f, 'a', 1, 0, 255, 10, 0}, 285)
	f.Add(byte(1), []byte{3, 8, 'a', 'b', 'c'}, 3)
	f.Fuzz(func(t *testing.T, codec byte, b []byte, size int) {
		size = max(0, min(size, 1<<24))
		if out, err := decompress(int64(codec), b, size); err == nil && len(out) != size {
			t.Fatalf("%d bytes, not %d", len(out), size)
		}
	})
}

func TestLZ4IsWhatOthersWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []byte
		for range rapid.IntRange(0, 50).Draw(t, "pieces") {
			piece := rapid.SliceOfN(rapid.ByteRange('a', 'd'), 0, 40).Draw(t, "piece")
			want = append(want, bytes.Repeat(piece, rapid.IntRange(1, 100).Draw(t, "times"))...)
		}
		b, err := library.Lz4Raw.Encode(nil, want)
		require.NoError(t, err)
		got, err := decompress(7, b, len(want))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		_, err = decompress(7, b, len(want)+1)
		require.Error(t, err)
		if len(want) > 0 {
			_, err = decompress(7, b, len(want)-1)
			require.Error(t, err)
		}
	})
}
