package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/tokenizer/split"
)

// referenceWord encodes a word as the definition of BPE says: over and over,
// merge the leftmost pair of the lowest rank.
func referenceWord(b *BPE, word string) []int32 {
	ranks := map[[2]int32]int{}
	for rank, merge := range b.Merges() {
		ranks[merge] = rank
	}
	var ids []int32
	for i := range len(word) {
		ids = append(ids, b.byteIDs[word[i]])
	}
	for {
		best, at := len(ranks), -1
		for i := range len(ids) - 1 {
			if rank, ok := ranks[[2]int32{ids[i], ids[i+1]}]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, b.mergedID[best])
	}
}

// oddBPE has merges in an order that no training gives: products come before
// their parts, and one token has two ways to be made.
func oddBPE(t testing.TB) *BPE {
	t.Helper()
	config := BPEConfig{Split: split.GPT2}
	for c := range 256 {
		config.Tokens = append(config.Tokens, string([]byte{byte(c)}))
	}
	id := func(token string) int32 { return int32(slices.Index(config.Tokens, token)) }
	config.Tokens = append(config.Tokens, "aa", "ab", "ba", "aab", "aba", "abab", "aaaa", "bb", "abb")
	for _, merge := range []string{"ab ab", "aa aa", "a ba", "aa b", "b a", "a b", "b b", "ab a", "a a", "a bb", "a ab", "ab b"} {
		left, right, _ := strings.Cut(merge, " ")
		config.Merges = append(config.Merges, [2]int32{id(left), id(right)})
	}
	b, err := NewBPE(config)
	require.NoError(t, err)
	return b
}

func byteSymbols(b *BPE, word string) (ids []int32) {
	for _, c := range []byte(word) {
		ids = append(ids, b.byteIDs[c])
	}
	return ids
}

func TestShortAndLongWordsAreMergedByTheDefinition(t *testing.T) {
	trained := train(t, []string{strings.Repeat("abracadabra banana cabana ", 3) + "aaaa aaaaaaa abababab bbbb bbaabb"}, TrainOptions{VocabSize: 290})
	odd := oddBPE(t)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab]{1,120}|[abrcdn ]{1,120}|a{1,120}`).Draw(t, "word")
		for _, b := range []*BPE{trained, odd} {
			want := referenceWord(b, word)
			require.Equal(t, want, newLongWord(len(b.mergedID)).merge(&b.mergeTable, byteSymbols(b, word)))
			if len(word) <= maxShortWord {
				require.Equal(t, want, b.mergeShort(byteSymbols(b, word)))
			}
		}
	})
}

func TestQueuesAreEmptyBetweenWords(t *testing.T) {
	odd := oddBPE(t)
	l := newLongWord(len(odd.mergedID))
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		var word strings.Builder
		for range 1 + rng.IntN(200) {
			word.WriteByte("ab"[rng.IntN(2)])
		}
		require.Equal(t, referenceWord(odd, word.String()), l.merge(&odd.mergeTable, byteSymbols(odd, word.String())))
		require.Equal(t, noRank, l.queued.min())
	}
}

func TestRankSetIsASortedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 63, 64, 65, 4096, 4097, 300_000}).Draw(t, "n")
		set, model := newRankSet(n), map[uint32]bool{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			rank := uint32(rapid.IntRange(0, n-1).Draw(t, "rank"))
			if rapid.Bool().Draw(t, "add") {
				require.Equal(t, !model[rank], set.add(rank))
				model[rank] = true
			} else {
				set.remove(rank)
				delete(model, rank)
			}
			want := noRank
			for r := range model {
				want = min(want, r)
			}
			require.Equal(t, want, set.min())
		}
	})
}

func TestCacheForgetsButNeverLies(t *testing.T) {
	c := newWordCache()
	rng := rand.New(rand.NewPCG(1, 1))
	ids := func(word string) []int32 {
		out := make([]int32, 1+len(word)%9)
		for i := range out {
			out[i] = int32(len(word))<<8 | int32(word[i%len(word)])
		}
		return out
	}
	hits := 0
	for range 400_000 {
		word := strings.Repeat(string(rune('a'+rng.IntN(26))), 1+rng.IntN(maxCachedWord-4)) + fmt.Sprint(rng.IntN(99))
		word = word[:min(len(word), maxCachedWord)]
		if got, ok := c.find(keyOf(word), word); ok {
			hits++
			require.Equal(t, ids(word), got)
		} else {
			c.add(keyOf(word), word, ids(word))
		}
	}
	assert.Greater(t, hits, 10_000)
	assert.LessOrEqual(t, len(c.slots), maxSlots)
	assert.LessOrEqual(t, len(c.words), maxCachedBytes)
	assert.LessOrEqual(t, len(c.ids), maxCachedIDs)
}

func TestShortWordsAreTheirKeys(t *testing.T) {
	seen := map[wordKey]string{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		word := make([]byte, 1+rng.IntN(maxKeyWord))
		for i := range word {
			word[i] = "\x00\x01a\xff"[rng.IntN(4)]
		}
		key := keyOf(string(word))
		if other, ok := seen[key]; ok {
			require.Equal(t, other, string(word))
		}
		seen[key] = string(word)
	}
}

func TestShortWordsOfOneLengthNeverShareAHash(t *testing.T) {
	seen := map[uint64]string{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		word := make([]byte, exactHash)
		for i := range word {
			word[i] = byte(rng.Uint32())
		}
		h := hashWord(string(word))
		if other, ok := seen[h]; ok {
			require.Equal(t, other, string(word))
		}
		seen[h] = string(word)
	}
}

func TestDecodingGivesTheBytesBack(t *testing.T) {
	b := train(t, []string{"the theme of the thesis, 世界 é 😀 'twas"}, TrainOptions{VocabSize: 300, Specials: []string{"<s>"}})
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		ids := b.Encode(text)
		require.Equal(t, text, b.Decode(ids))
		require.Equal(t, len(ids), b.Count(text))
		for _, id := range ids {
			token, ok := b.Token(id)
			require.True(t, ok && !token.Special)
		}
	})
}

func TestAwkwardTextsRoundTrip(t *testing.T) {
	b := train(t, []string{strings.Repeat("aaaa      \n\n\n\n base64 'st 的一是了", 9)}, TrainOptions{VocabSize: 300})
	for name, text := range awkwardTexts(300_000) {
		ids := b.Encode(text)
		assert.True(t, text == b.Decode(ids), name)
		assert.Equal(t, len(ids), b.Count(text), name)
	}
}

func TestOneTokenizerServesManyGoroutines(t *testing.T) {
	b := train(t, []string{strings.Repeat("abracadabra banana cabana ", 3)}, TrainOptions{VocabSize: 280})
	var texts []string
	var want [][]int32
	for i := range 200 {
		texts = append(texts, strings.Repeat(fmt.Sprintf("word%d ban%dana abra ", i, i), 20)+strings.Repeat("ab", i))
		want = append(want, b.Encode(texts[i]))
	}
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for i, text := range texts {
				assert.Equal(t, want[i], b.Encode(text))
				assert.Equal(t, len(want[i]), b.Count(text))
			}
		})
	}
	g.Wait()
}

func TestCountAndReusedSlicesDoNotAllocate(t *testing.T) {
	b := train(t, []string{strings.Repeat("abracadabra banana cabana ", 3)}, TrainOptions{VocabSize: 280})
	text := strings.Repeat("banana abracadabra cabanas ", 50)
	w, dst, out := newWorkspace(), b.Encode(text), []byte(text)
	assert.Zero(t, testing.AllocsPerRun(20, func() { b.count(w, text) }))
	assert.Zero(t, testing.AllocsPerRun(20, func() { dst = b.encode(w, dst[:0], text) }))
	assert.Zero(t, testing.AllocsPerRun(20, func() { out = b.DecodeTo(out[:0], dst) }))
}

func TestTokensAreFoundByIdAndContent(t *testing.T) {
	b := byteTokenizer(t, Special{Content: "<s>"})
	b2, err := NewBPE(BPEConfig{Tokens: append(slices.Clone(b.config.Tokens), "", "", "ab", ""), Merges: [][2]int32{{64, 65}}, Split: split.GPT2, Specials: []Special{{ID: 257, Content: "<s>"}}})
	require.NoError(t, err)
	assert.Equal(t, 259, b2.VocabSize())
	for id := range int32(b2.VocabSize()) {
		token, ok := b2.Token(id)
		require.Equal(t, id != 256, ok, id)
		if ok {
			got, found := b2.ID(token.Bytes)
			require.True(t, found)
			assert.Equal(t, id, got)
			assert.Equal(t, id == 257, token.Special)
		}
	}
	for _, id := range []int32{-1, 256, 259, 1 << 30} {
		_, ok := b2.Token(id)
		assert.False(t, ok)
	}
	_, ok := b2.ID("nothing")
	assert.False(t, ok)
	assert.Equal(t, "ab<s>", b2.Decode([]int32{258, -5, 256, 257, 259, 1 << 30}))
}

func TestFingerprintTellsTokenizersApart(t *testing.T) {
	base := BPEConfig{Split: split.GPT2, Specials: []Special{{ID: 256, Content: "<s>"}}}
	base.Tokens = append(byteTokenizer(t).config.Tokens, "", "ab", "ba")
	base.Merges = [][2]int32{{64, 65}, {65, 64}}
	seen := map[string]string{}
	for name, edit := range map[string]func(c *BPEConfig){
		"base":    func(*BPEConfig) {},
		"split":   func(c *BPEConfig) { c.Split = split.CL100K },
		"special": func(c *BPEConfig) { c.Specials = []Special{{ID: 256, Content: "<x>"}} },
		"order":   func(c *BPEConfig) { c.Merges = [][2]int32{{65, 64}, {64, 65}} },
		"merges":  func(c *BPEConfig) { c.Merges = c.Merges[:1] },
		"ids":     func(c *BPEConfig) { c.Tokens[257], c.Tokens[258] = "ba", "ab" },
		"whole":   func(c *BPEConfig) { c.WholeWords = true },
		"NFC":     func(c *BPEConfig) { c.NFC = true },
	} {
		c := base
		c.Tokens = slices.Clone(base.Tokens)
		edit(&c)
		b, err := NewBPE(c)
		require.NoError(t, err)
		print := Fingerprint(b)
		assert.Len(t, print, 64)
		assert.Empty(t, seen[print], name)
		seen[print] = name
	}
}

func TestNormalizationFormCIsAppliedBeforeEncoding(t *testing.T) {
	c := byteTokenizer(t).config
	c.NFC = true
	b, err := NewBPE(c)
	require.NoError(t, err)
	assert.Equal(t, "é", b.Decode(b.Encode("e\u0301")))
	assert.Equal(t, 2, b.Count("e\u0301"))
}

func TestDamagedTiktokenFilesAreRefused(t *testing.T) {
	var good strings.Builder
	for c := range 256 {
		fmt.Fprintf(&good, "%s %d\n", base64.StdEncoding.EncodeToString([]byte{byte(c)}), c)
	}
	b, err := LoadTiktoken(strings.NewReader(good.String()+"\r\nYWI= 256\r\n"), split.GPT2, Special{ID: 257, Content: "<s>"})
	require.NoError(t, err)
	assert.Equal(t, []int32{256, 'a'}, b.Encode("aba"))
	for tail, want := range map[string]string{
		"YWI=":                "line 257: no blank",
		"YW= 256":             "line 257: the token is not base64",
		" 256":                "line 257: the token is not base64",
		"YWI= x":              `line 257: rank "x" is not a number`,
		"YWI= -1":             `rank "-1" is not a number`,
		"YWI= 1048576":        `rank "1048576" is not a number below 1048576`,
		"YWI= 4294967295":     "is not a number below",
		"YWI= 255":            `line 257: rank 255 is already that of "\xff"`,
		"YWI= 256\nYWI= 257":  `token "ab" has two ids, 256 and 257`,
		"PHM+ 256\nYWI= 257":  `special token "<s>" with id 257 is also the ordinary token 256`,
		"YWI= 257":            `special token "<s>" has the id 257 of the ordinary token "ab"`,
		"\n\nYWI= 1 2":        "line 259: rank",
		"YWI= 256\x00garbage": "line 257",
	} {
		_, err := LoadTiktoken(strings.NewReader(good.String()+tail), split.GPT2, Special{ID: 257, Content: "<s>"})
		assert.ErrorContains(t, err, want, tail)
	}
	_, err = LoadTiktoken(strings.NewReader(""), split.GPT2)
	assert.ErrorContains(t, err, "byte 0x00 is not a token")
	_, err = LoadTiktoken(strings.NewReader(good.String()), nil)
	assert.ErrorContains(t, err, "no split pattern")
}

func FuzzLoadTiktoken(f *testing.F) {
	var good bytes.Buffer
	for c := range 256 {
		fmt.Fprintf(&good, "%s %d\n", base64.StdEncoding.EncodeToString([]byte{byte(c)}), c)
	}
	f.Add([]byte("YWI= 256\nYWJj 257\n"))
	f.Add([]byte("YWI= 1\n"))
	f.Add([]byte("YWI 300 \n\xff"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		b, err := LoadTiktoken(bytes.NewReader(append(good.Bytes(), tail...)), split.CL100K)
		if err == nil {
			text := string(tail)
			require.Equal(t, text, b.Decode(b.Encode(text)))
		}
	})
}

func FuzzEncode(f *testing.F) {
	b := train(f, []string{strings.Repeat("the theme, abab aaaa 世界 ", 4)}, TrainOptions{VocabSize: 300})
	f.Add("hello the theme 世界\n\n  \xff")
	f.Add(strings.Repeat("a", 200))
	f.Fuzz(func(t *testing.T, text string) {
		ids := b.Encode(text)
		require.Equal(t, text, b.Decode(ids))
		require.Equal(t, len(ids), b.Count(text))
		var want []int32
		for word := range split.GPT2.All(text) {
			want = append(want, referenceWord(b, word)...)
		}
		require.True(t, slices.Equal(want, ids))
	})
}

func TestBlocksAndRunsAreMergedByTheDefinition(t *testing.T) {
	trained := train(t, []string{strings.Repeat("abracadabra banana cabana ", 3) + "aaaa aaaaaaa aaaaaaaaaaaaaaaaaaaaaa abababab bbbb bbaabb"}, TrainOptions{VocabSize: 300})
	odd := oddBPE(t)
	rng := rand.New(rand.NewPCG(7, 7))
	settled := 0
	w := newWorkspace()
	for range 80 {
		letters := "abracdbn"[:1+rng.IntN(8)]
		var word strings.Builder
		for n := 49 + rng.IntN(200); word.Len() < n; {
			word.WriteString(strings.Repeat(string(letters[rng.IntN(len(letters))]), 1+rng.IntN(3)))
		}
		for _, b := range []*BPE{trained, odd} {
			ids, ok := w.blocks.merge(&b.mergeTable, byteSymbols(b, word.String()))
			if ok {
				settled++
				require.Equal(t, referenceWord(b, word.String()), ids, word.String())
			}
		}
	}
	assert.Greater(t, settled, 50)
	for range 20 { // one workspace for all, as EncodeTo has it
		word := strings.Repeat("ab"[:1+rng.IntN(2)], 30+rng.IntN(100)) + strings.Repeat("banana", rng.IntN(20))
		require.Equal(t, referenceWord(trained, word), trained.Encode(word))
	}
	runs := 0
	for n := 4 * longRun; n < 4*longRun+9; n++ {
		for _, letter := range []string{"a", "b", "n"} {
			for _, b := range []*BPE{trained, odd} {
				w := newWorkspace()
				w.long = newLongWord(len(b.mergedID))
				symbols := byteSymbols(b, strings.Repeat(letter, n))
				want := slices.Clone(w.long.merge(&b.mergeTable, slices.Clone(symbols)))
				if ids, ok := b.mergeRun(w, symbols); ok {
					runs++
					require.Equal(t, want, ids, "%d %s", n, letter)
				}
			}
		}
	}
	assert.Greater(t, runs, 30)
}
