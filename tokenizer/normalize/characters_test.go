package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// characters are all of the planes that hold some, and a few of the others.
func characters() (all []rune) {
	for r := range rune(0x32000) {
		if r < 0xd800 || r >= 0xe000 {
			all = append(all, r)
		}
	}
	for r := rune(0xe0000); r < 0xe0200; r++ {
		all = append(all, r)
	}
	return append(all, 0xf0000, 0xffffd, 0xfffff, 0x10fffd, 0x10ffff)
}

// The sums are those of testdata/make_hf_characters.py, tokenizers 0.23.3.
func TestEveryCharacterIsNormalizedAsHuggingFaceDoes(t *testing.T) {
	for name, c := range map[string]struct {
		n   Normalizer
		sum string
	}{
		"Lowercase":    {Lowercase{}, "92c0ffee076d0c9bfaeb1f7fe70d3d4d6af6f0839d738d307403b79c4694d7e6"},
		"NFD":          {NFD, "ce748cc554c25ca43d8779c62c8a87592bb6e784860b8ef73cee49609ea93765"},
		"NFC":          {NFC, "1f54f908278d371887cf1b6dc7f5278bcdb192c7a1b34bc778c452fba1debe1b"},
		"NFKD":         {NFKD, "c301c9a54c6395881f69b77fd7958df18a9529e3ab6fe82e3d67b729ee51cc32"},
		"NFKC":         {NFKC, "01748ce9142b1be986b99f7b4fe27d66e0416b86ff8563bdd38ea3069c4cdaba"},
		"Nmt":          {Nmt{}, "f616fbdc46315246149eac986fbe5b77595c52deaba3072d4c5481945d0245d5"},
		"StripAccents": {StripAccents{}, "75e1bfac4d83864cef63efa4e6d05c858f298c9fb916616b141b710dfa589833"},
		"Strip":        {Strip{Left: true, Right: true}, "db176e4d3925dc3ac470cf9aaf5e18f73780aee92376e3296132f12698cd6638"},
		"Bert":         {Bert{true, true, true, true}, "ba4513297a32f087e4ba2c13e8b729341d7f6ae4aaf343eb264fbcc133171e60"},
		"Bert cased":   {Bert{CleanText: true, Chinese: true}, "d8092704a8cb3679c7533ccdd4276f5280c711fb30998d87a0a50474cf9ce64c"},
		"Bert accents": {Bert{StripAccents: true}, "4ac5b9d08fc8ef35c4274dbbc1f285a3d9552def8eb14298cbb14d62781edb43"},
		"ByteLevel":    {ByteLevel{}, "1988223f537a90108d7390cb5258d67a264aaed3a7479eece48e0a2a0d016e95"},
	} {
		hash := sha256.New()
		for _, r := range characters() {
			if s := c.n.Normalize(Of(string(r), false)).S; s != string(r) {
				fmt.Fprintf(hash, "%x %s\n", r, s)
			}
		}
		assert.Equal(t, c.sum, hex.EncodeToString(hash.Sum(nil)), name)
	}
}

func TestFormsAreThoseOfTheStandard(t *testing.T) {
	alphabet := []string{"a", "e", "ö", "\u0301", "\u0323", "\u0308", "\u0345", "ﬁ", "½", "각", "\u1100", "\u1161", "\u11a8", "Å", "\u0f71", "\u0f72", "क\u093c", "\u0344", " ", "日"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 20).Draw(t, "text"), "")
		for _, f := range []Form{NFC, NFD, NFKC, NFKD} {
			require.Equal(t, f.form.String(text), f.Normalize(Of(text, false)).S, "%s %q", f.Name(), text)
			require.Equal(t, f.form.String(text), f.slow(text), "%s %q by the definition", f.Name(), text)
		}
	})
}

func TestSequencesOfMarksOfAnyLengthAreNormalized(t *testing.T) {
	text := "x" + strings.Repeat("\u0301\u0323", 40) + "o" + strings.Repeat("\u0323", 40) + "\u0302y"
	want := "x" + strings.Repeat("\u0323", 40) + strings.Repeat("\u0301", 40) + "\u1ed9" + strings.Repeat("\u0323", 39) + "y"
	got := NFC.Normalize(Of(text, false)).S
	assert.Equal(t, want, got)
	assert.NotContains(t, norm.NFC.String("x"), "\u034f")
	assert.NotContains(t, got, "\u034f", "a joiner that x/text inserts")
}

func TestPlacesLeadBackToTheInput(t *testing.T) {
	all := []Normalizer{NFC, NFKD, Lowercase{}, StripAccents{}, Strip{Left: true, Right: true}, Prepend{"▁"}, NewReplace(" ", "▁"), NewReplace("ab", ""),
		Nmt{}, ByteLevel{}, Bert{true, true, true, true}, SentencePiece{Prefix: true, RemoveExtra: true, Escape: true}}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ab \tÀé日İ\x{301}\x{00a0}]{0,20}`)).Draw(t, "text")
		var s Sequence
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			s = append(s, rapid.SampledFrom(all).Draw(t, "normalizer"))
		}
		tracked, plain := s.Normalize(Of(text, true)), s.Normalize(Of(text, false))
		require.Equal(t, plain.S, tracked.S)
		last := 0
		for i := range tracked.S {
			p := tracked.Place(i, i+1)
			require.True(t, 0 <= p.Start && p.Start <= p.End && p.End <= len(text), "%v of %q", p, text)
			require.GreaterOrEqual(t, p.End, last)
			last = p.End
		}
	})
}

func TestSentencePieceKeepsWhatItIsToldToKeep(t *testing.T) {
	for _, c := range []struct {
		rules    SentencePiece
		in, want string
	}{
		{SentencePiece{Prefix: true, RemoveExtra: true, Escape: true}, "  a  b ", "▁a▁b"},
		{SentencePiece{Prefix: true, RemoveExtra: true, Escape: true}, "   ", ""},
		{SentencePiece{Prefix: true, Escape: true}, " a  b ", "▁▁a▁▁b▁"},
		{SentencePiece{Escape: true}, "", ""},
		{SentencePiece{Prefix: true, Suffix: true, Escape: true}, "a b", "a▁b▁"},
		{SentencePiece{Prefix: true}, "a\xffb", " a\ufffdb"},
		{SentencePiece{Prefix: true, Escape: true, RemoveExtra: true, Verbatim: func(s string) int {
			if strings.HasPrefix(s, "< >") {
				return 3
			}
			return 0
		}}, "a < >b", "▁a▁<▁>b"},
	} {
		assert.Equal(t, c.want, c.rules.Normalize(Of(c.in, false)).S, "%+v %q", c.rules.Prefix, c.in)
	}
}

func TestDamagedCharsmapsAreRefused(t *testing.T) {
	for _, blob := range []string{"", "abc", "\x00\x00\x00\x00", "\x08\x00\x00\x00abcd", "\x03\x00\x00\x00abcdefg", "\x04\x00\x00\x00abcd", "\x04\x00\x00\x00abcdx"} {
		_, err := ParseCharsmap([]byte(blob))
		assert.Error(t, err, "%q", blob)
	}
}

func FuzzCharsmap(f *testing.F) {
	f.Add([]byte("\x04\x00\x00\x00\x00\x04\x00\x00a\x00"), "abc é")
	f.Add([]byte("\x10\x00\x00\x00aaaabbbbccccddddx\x00y\x00"), "\u00a0\ufb01")
	f.Fuzz(func(t *testing.T, blob []byte, text string) {
		m, err := ParseCharsmap(blob)
		if err != nil {
			return
		}
		Precompiled{m}.Normalize(Of(text, true))
		SentencePiece{Map: m, Prefix: true, RemoveExtra: true, Escape: true}.Normalize(Of(text, true))
	})
}

func TestCharsmapRulesDoNotDependOnWhatIsTracked(t *testing.T) {
	// Two rules: "e\u0301" to "é", and "\t" to " ".
	m := testCharsmap(t)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "e", "\u0301", "\t", " ", "é", "日", "\xff", "ab"}), 0, 20).Draw(t, "text"), "")
		rules := SentencePiece{Map: m, Prefix: rapid.Bool().Draw(t, "prefix"), Suffix: rapid.Bool().Draw(t, "suffix"), RemoveExtra: rapid.Bool().Draw(t, "remove"), Escape: rapid.Bool().Draw(t, "escape")}
		require.Equal(t, rules.Normalize(Of(text, true)).S, rules.Normalize(Of(text, false)).S, "%q", text)
	})
	assert.Equal(t, "▁é▁b", SentencePiece{Map: m, Prefix: true, RemoveExtra: true, Escape: true}.Normalize(Of("\te\u0301\t\tb", false)).S)
}

// testCharsmap builds a double array by hand: the root's offset is 256, and
// each node's is its own place above 256.
func testCharsmap(t *testing.T) *Charsmap {
	t.Helper()
	units := make([]uint32, 4096)
	for i := range units {
		units[i] = 1 << 31 // a value: no label matches it
	}
	place := func(from int, offset uint32, label byte, hasValue bool, next uint32) int {
		at := int(uint32(from)^offset) ^ int(label)
		units[at] = uint32(label) | (uint32(at)^next)<<10
		if hasValue {
			units[at] |= 1 << 8
		}
		return at
	}
	texts := "é\x00 \x00"
	units[0] = 256 << 10
	e := place(0, 256, 'e', false, 512)
	cc := place(e, uint32(e)^512, 0xcc, false, 1024)
	place(cc, uint32(cc)^1024, 0x81, true, 1536)
	units[1536] = 1 << 31
	place(0, 256, '\t', true, 2048)
	units[2048] = 1<<31 | 3
	blob := []byte{0, 64, 0, 0}
	for _, u := range units {
		blob = append(blob, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	m, err := ParseCharsmap(append(blob, texts...))
	require.NoError(t, err)
	return m
}
