package data

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/vfs"
)

// all reads every token of a set.
func all(t testing.TB, s *Set) []int32 {
	var ids []int32
	for _, shard := range s.shards {
		part := make([]int32, shard.tokens)
		_, err := shard.read(part, 0, nil)
		require.NoError(t, err)
		ids = append(ids, part...)
	}
	return ids
}

func TestBuildPutsBoundariesAroundDocumentsAndCutsShardsBetweenThem(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(beginID, endID), ShardTokens: 6}, "ab", "", "cde", "f")
	require.Equal(t, []int32{beginID, 'a', 'b', endID, beginID, 'c', 'd', 'e', endID, beginID, 'f', endID}, all(t, set))
	require.Len(t, set.Shards, 2)
	require.Equal(t, []int64{2, 1}, []int64{set.Shards[0].Documents, set.Shards[1].Documents})
	require.Equal(t, int64(6), set.TextBytes)
	require.Equal(t, int64(3), set.Documents)
	require.NoError(t, set.Verify())
}

func TestBuildIsTheSameWhateverTheWorkers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		docs := rapid.SliceOfN(rapid.StringN(1, 40, 200), 1, 30).Draw(rt, "docs")
		format := byteFormat(int32(rapid.SampledFrom([]int{-1, beginID}).Draw(rt, "begin")), endID)
		if rapid.Bool().Draw(rt, "wide") {
			format.VocabSize = 70_000
		}
		limit := rapid.IntRange(1, 500).Draw(rt, "shard")
		var want []int32
		for _, doc := range docs {
			if format.Begin >= 0 {
				want = append(want, format.Begin)
			}
			want = append(byteEncoder{}.EncodeTo(want, doc), endID)
		}
		var first Manifest
		for _, workers := range []int{1, 3} {
			set := buildSet(t, BuildOptions{Format: format, ShardTokens: limit, Workers: workers}, docs...)
			require.Equal(rt, want, all(t, set))
			if workers == 1 {
				first = set.Manifest
			}
			require.Equal(rt, first, set.Manifest)
		}
	})
}

func TestBuildReplacesAnEarlierSet(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.OS(dir)
	require.NoError(t, err)
	o := BuildOptions{Format: byteFormat(-1, endID), ShardTokens: 1}
	_, err = Build(context.Background(), disk, ".", texts("a", "b", "c"), byteEncoder{}, o)
	require.NoError(t, err)
	_, err = Build(context.Background(), disk, ".", texts("d"), byteEncoder{}, o)
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)

	broken := func(yield func(Document, error) bool) {
		_ = yield(Document{Text: "e"}, nil) && yield(Document{}, errors.New("disk on fire"))
	}
	_, err = Build(context.Background(), disk, ".", broken, byteEncoder{}, o)
	require.ErrorContains(t, err, "disk on fire")
	_, err = Open(disk, ".")
	require.ErrorContains(t, err, "not a set of token shards")
}

func TestBuildRefuses(t *testing.T) {
	disk, err := vfs.OS(t.TempDir())
	require.NoError(t, err)
	build := func(f Format, list ...string) error {
		_, err := Build(context.Background(), disk, "s", texts(list...), byteEncoder{}, BuildOptions{Format: f})
		return err
	}
	require.ErrorIs(t, build(byteFormat(-1, -1)), ErrEmpty)
	require.ErrorIs(t, build(byteFormat(-1, -1), "", ""), ErrEmpty)
	require.ErrorContains(t, build(Format{VocabSize: 100, Begin: -1, End: -1}, "z"), "id 122, outside its vocabulary of 100")
	require.ErrorContains(t, build(byteFormat(-1, 300), "z"), "boundary id 300")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("interrupted"))
	_, err = Build(ctx, disk, "s", texts("a"), byteEncoder{}, BuildOptions{Format: byteFormat(-1, -1)})
	require.ErrorContains(t, err, "interrupted")
}

func TestProgressEndsWithTheTotals(t *testing.T) {
	var last BuildProgress
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID), ShardTokens: 1 << 17, Progress: func(p BuildProgress) {
		require.Greater(t, p.Tokens, last.Tokens)
		last = p
	}}, strings.Repeat("a", chunkBytes), strings.Repeat("b", 1000), "c")
	require.Equal(t, BuildProgress{set.Documents, set.Tokens, set.TextBytes}, last)
}

func TestCheckNamesBothTokenizers(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, "a")
	require.NoError(t, set.Check([32]byte{1, 2, 3}, 258))
	err := set.Check([32]byte{9}, 300)
	require.ErrorIs(t, err, ErrTokenizer)
	require.ErrorContains(t, err, "010203000000")
	require.ErrorContains(t, err, "300 ids")
}

// inMemory opens damaged copies of one shard.
type inMemory struct {
	vfs.FS
	content []byte
}

type memReader struct{ *strings.Reader }

func (memReader) Close() error { return nil }

func (m inMemory) Open(string) (vfs.Reader, error) {
	return memReader{strings.NewReader(string(m.content))}, nil
}
func (m inMemory) Path(name string) string { return name }

// readAll opens a shard from bytes and reads every token of it.
func readAll(b []byte) ([]int32, error) {
	s, err := openShard(inMemory{content: b}, "x.bin")
	if err != nil {
		return nil, err
	}
	ids := make([]int32, s.tokens)
	_, err = s.read(ids, 0, nil)
	return ids, err
}

func shardBytes(f Format, list ...string) []byte {
	s := shardBuilder{Format: f}
	for _, text := range list {
		if err := s.add(byteEncoder{}.EncodeTo(nil, text), len(text)); err != nil {
			panic(err)
		}
	}
	front, tokens, _ := s.encode()
	return append(front, tokens...)
}

func TestEveryBitFlipAndEveryTruncationIsDetected(t *testing.T) {
	whole := shardBytes(byteFormat(-1, endID), strings.Repeat("some text. ", 9), "b")
	_, err := readAll(whole)
	require.NoError(t, err)
	for bit := range 8 * len(whole) {
		damaged := append([]byte(nil), whole...)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := readAll(damaged)
		require.Error(t, err, "bit %d of byte %d", bit%8, bit/8)
		require.ErrorContains(t, err, "x.bin")
	}
	for n := range whole {
		_, err := readAll(whole[:n])
		require.Error(t, err, "cut to %d bytes", n)
	}
	_, err = readAll(append(whole, 0))
	require.ErrorContains(t, err, "its header says")
}

func TestAFlipInALaterBlockIsFoundWhereItIsRead(t *testing.T) {
	whole := shardBytes(byteFormat(-1, endID), strings.Repeat("0123456789", 4000))
	whole[len(whole)-1] ^= 4
	s, err := openShard(inMemory{content: whole}, "x.bin")
	require.NoError(t, err)
	ids := make([]int32, 10)
	_, err = s.read(ids, 0, nil)
	require.NoError(t, err)
	_, err = s.read(ids, s.tokens-10, nil)
	require.ErrorContains(t, err, "checksum of tokens 32768 to 40000 does not match")
	require.ErrorContains(t, s.verify(), "SHA-256")
}

func TestAnIDOutsideTheVocabularyIsRefusedEvenUnderAGoodChecksum(t *testing.T) {
	s := shardBuilder{Format: byteFormat(-1, endID)}
	require.NoError(t, s.add([]int32{1, 2}, 2))
	s.tokens[0], s.tokens[1] = 0xff, 0xff
	front, tokens, _ := s.encode()
	_, err := readAll(append(front, tokens...))
	require.ErrorContains(t, err, "id 65535, outside the vocabulary of 258 ids")
}

func TestASwappedShardIsNoticed(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.OS(dir)
	require.NoError(t, err)
	o := BuildOptions{Format: byteFormat(-1, endID), ShardTokens: 1}
	_, err = Build(context.Background(), disk, ".", texts("a", "b"), byteEncoder{}, o)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, "tokens-00001.bin"), filepath.Join(dir, "tokens-00000.bin")))
	_, err = Open(disk, ".")
	require.ErrorContains(t, err, "not the shard that the manifest describes")
}

// reseal makes the checksums of a damaged shard right again, so that the
// checks behind them are reached.
func reseal(b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) < headerSize {
		return b
	}
	le := binary.LittleEndian
	seal := func() { le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli)) }
	seal()
	h, err := decodeHeader(b)
	if err != nil || h.fileSize() != int64(len(b)) {
		return b
	}
	tokens := b[h.tokensAt():]
	for i := range h.blocks() {
		le.PutUint32(b[h.tokensAt()+4*(i-h.blocks()):], crc32.Checksum(tokens[i*blockSize:min((i+1)*blockSize, int64(len(tokens)))], castagnoli))
	}
	le.PutUint32(b[120:], crc32.Checksum(b[headerSize:h.tokensAt()], castagnoli))
	seal()
	return b
}

func FuzzShard(f *testing.F) {
	whole := shardBytes(byteFormat(beginID, endID), "hello", "world")
	f.Add(whole)
	f.Add(whole[:headerSize])
	f.Add([]byte(shardMagic))
	f.Add(shardBytes(Format{VocabSize: 1 << 20, Begin: -1, End: -1}, "wide"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, reseal(b)} {
			ids, err := readAll(b)
			if err != nil {
				require.NotEmpty(t, err.Error())
				continue
			}
			for _, id := range ids {
				require.True(t, id >= 0 && id < MaxVocab)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"vocab_size":258,"begin":-1,"end":257,"shards":[{"file":"tokens-00000.bin","documents":1}]}`))
	f.Add([]byte(`{"version":1,"shards":[{"file":"../x"}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`[`))
	dir := f.TempDir()
	disk, err := vfs.OS(dir)
	require.NoError(f, err)
	require.NoError(f, os.WriteFile(filepath.Join(dir, "tokens-00000.bin"), shardBytes(byteFormat(-1, endID), "a"), 0o666))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, ManifestName), b, 0o666))
		if set, err := Open(disk, "."); err == nil {
			require.NoError(t, set.Verify(), string(b))
			set.Close()
		}
	})
}
