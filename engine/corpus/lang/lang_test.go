package lang

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"forja/engine/corpus"
	"forja/internal/shareddata"
)

// sentences are translations of one text in the words of the testers.
var sentences = map[string]string{
	"en": "Yesterday we walked along the river and talked about the books that our teacher had given us.",
	"pt": "Ontem caminhamos ao longo do rio e conversamos sobre os livros que a nossa professora nos tinha dado.",
	"es": "Ayer caminamos a lo largo del río y hablamos de los libros que nos había dado nuestra maestra.",
	"fr": "Hier nous avons marché le long de la rivière et parlé des livres que notre professeur nous avait donnés.",
	"it": "Ieri abbiamo camminato lungo il fiume e parlato dei libri che la nostra insegnante ci aveva dato.",
	"de": "Gestern sind wir am Fluss entlang gegangen und haben über die Bücher gesprochen, die uns unser Lehrer gegeben hatte.",
	"nl": "Gisteren liepen we langs de rivier en praatten we over de boeken die onze leraar ons had gegeven.",
	"sv": "I går gick vi längs floden och pratade om böckerna som vår lärare hade gett oss.",
	"da": "I går gik vi langs floden og talte om de bøger, som vores lærer havde givet os.",
	"pl": "Wczoraj szliśmy wzdłuż rzeki i rozmawialiśmy o książkach, które dała nam nasza nauczycielka.",
	"cs": "Včera jsme šli podél řeky a mluvili o knihách, které nám dala naše učitelka.",
	"ru": "Вчера мы гуляли вдоль реки и говорили о книгах, которые дала нам наша учительница.",
	"uk": "Учора ми гуляли вздовж річки й говорили про книжки, які дала нам наша вчителька.",
	"el": "Χθες περπατήσαμε κατά μήκος του ποταμού και μιλήσαμε για τα βιβλία που μας είχε δώσει η δασκάλα μας.",
	"tr": "Dün nehir boyunca yürüdük ve öğretmenimizin bize verdiği kitaplar hakkında konuştuk.",
	"fi": "Eilen kävelimme jokea pitkin ja puhuimme kirjoista, jotka opettajamme oli antanut meille.",
	"hu": "Tegnap a folyó mentén sétáltunk, és a könyvekről beszélgettünk, amelyeket a tanárunk adott nekünk.",
	"ja": "昨日、私たちは川沿いを歩きながら、先生がくれた本について話しました。",
	"zh": "昨天我们沿着河边散步，谈论老师送给我们的书。",
	"ko": "어제 우리는 강을 따라 걸으며 선생님이 주신 책에 대해 이야기했습니다.",
	"ar": "مشينا أمس على طول النهر وتحدثنا عن الكتب التي أعطانا إياها معلمنا.",
	"he": "אתמול הלכנו לאורך הנהר ודיברנו על הספרים שהמורה שלנו נתנה לנו.",
	"hi": "कल हम नदी के किनारे टहले और उन किताबों के बारे में बात की जो हमारे शिक्षक ने हमें दी थीं।",
	"vi": "Hôm qua chúng tôi đi dọc bờ sông và nói về những cuốn sách mà cô giáo đã tặng cho chúng tôi.",
	"th": "เมื่อวานเราเดินเลียบแม่น้ำและคุยกันเรื่องหนังสือที่ครูให้เรามา",
}

func TestLanguagesOfSentencesAreTold(t *testing.T) {
	for want, text := range sentences {
		for _, form := range []string{text, strings.ToUpper(text), "  12. " + text + " (1999) http://"} {
			g := Default().Detect(form)
			assert.Equal(t, want, g.Lang, "%s", form)
			g = Default().Detect(strings.Repeat(form+"\n", 6))
			assert.Equal(t, want, g.Lang, "%s", form)
			assert.Greater(t, g.Score, 0.9, "%s", form)
		}
	}
}

func TestAccentsOnTheirOwnAreThoseOfTheirLetters(t *testing.T) {
	for _, language := range []string{"vi", "pt", "cs"} {
		text := sentences[language]
		assert.Equal(t, features(nil, text), features(nil, norm.NFD.String(text)), language)
	}
}

func TestAModelKnowsFortyLanguagesAndMore(t *testing.T) {
	languages := Default().Languages()
	assert.GreaterOrEqual(t, len(languages), 40)
	for want := range sentences {
		assert.Contains(t, languages, want)
	}
}

func TestATextWithoutLettersHasNoLanguage(t *testing.T) {
	for _, text := range []string{"", " ", "1234 !?", "…"} {
		assert.Equal(t, Guess{}, Default().Detect(text), "%q", text)
	}
}

func TestLongTextsAreLookedAtInSeveralPlaces(t *testing.T) {
	long := strings.Repeat(sentences["en"]+" ", 30) + strings.Repeat(sentences["pt"]+" ", 200)
	assert.Equal(t, "pt", Default().Detect(long).Lang)
	assert.Equal(t, "ja", Default().Detect(strings.Repeat(sentences["ja"], 500)).Lang)
}

func TestScoresAreProbabilities(t *testing.T) {
	m := Default()
	rapid.Check(t, func(t *rapid.T) {
		g := m.Detect(rapid.String().Draw(t, "text"))
		if g.Lang != "" {
			assert.Contains(t, m.Languages(), g.Lang)
			assert.GreaterOrEqual(t, g.Score, 1/float64(maxLanguages)-1e-9)
			assert.LessOrEqual(t, g.Score, 1.0)
		}
	})
}

func TestSumsAreThoseOfWeights(t *testing.T) {
	m := newModel(Default().Languages())
	for row := range m.rows {
		for l := range maxLanguages {
			m.set(row, l, uint8((row*7+l*3)%(maxWeight+1)))
		}
	}
	for _, n := range []int{0, 1, 7, 8, 9, 5000} {
		var rows []uint32
		var want, got sums
		for i := range n {
			row := uint32(i * 40503 % len(m.rows))
			rows = append(rows, row)
			for l := range maxLanguages {
				want.all[l] += (row*7 + uint32(l)*3) % (maxWeight + 1)
			}
		}
		want.n = n
		got.add(m, rows)
		assert.Equal(t, want, got, "%d rows", n)
	}
	var rows []uint32
	var got sums
	m.rows[3] = [lanes]uint64{}
	for l := range maxLanguages {
		m.set(3, l, maxWeight)
	}
	for range 3 * 2048 {
		rows = append(rows, 3)
	}
	got.add(m, rows)
	for l := range maxLanguages {
		require.EqualValues(t, 3*2048*maxWeight, got.all[l], "the greatest sums do not run over")
	}
}

func TestATrainedModelIsReadAsItWasWritten(t *testing.T) {
	trainer, err := NewTrainer([]string{"pt", "en"})
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, trainer.Add("en", sentences["en"]))
		require.NoError(t, trainer.Add("pt", sentences["pt"]))
	}
	assert.ErrorContains(t, trainer.Add("xx", "a"), "not among")
	m := trainer.Model()
	m.Calibrate(map[string][]string{"en": {"the river and the books"}, "pt": {"o rio e os livros"}})
	assert.Equal(t, "en", m.Detect("the river and the books").Lang)
	assert.Equal(t, "pt", m.Detect("o rio e os livros da professora").Lang)
	var b bytes.Buffer
	require.NoError(t, m.Write(&b))
	again, err := Read(&b)
	require.NoError(t, err)
	assert.Equal(t, m, again)
	for _, languages := range [][]string{nil, {"a", "a"}, make([]string, 65)} {
		_, err := NewTrainer(languages)
		assert.Error(t, err)
	}
}

func TestDamagedModelsAreRefused(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, newModel([]string{"en"}).Write(&b))
	for _, bad := range [][]byte{nil, []byte("not a model"), b.Bytes()[:30], b.Bytes()[:len(b.Bytes())-20], []byte(magic + strings.Repeat("a ", 65) + "\n")} {
		_, err := Read(bytes.NewReader(bad))
		assert.Error(t, err)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("a\u0301 b\xff \u0300")
	f.Fuzz(func(_ *testing.T, text string) { Default().Detect(text) })
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	require.NoError(f, newModel([]string{"en", "pt"}).Write(&b))
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Read(bytes.NewReader(b)) })
}

// Many pages are translated in part only.
func TestATextInTwoLanguagesIsNotSurelyInOne(t *testing.T) {
	whole := func(language string) string {
		return strings.Repeat(sentences[language]+"\n", 4000/len(sentences[language]))
	}
	for _, language := range []string{"en", "pt", "ru", "zh"} {
		g := Default().Detect(whole(language))
		assert.Equal(t, language, g.Lang)
		assert.Greater(t, g.Score, 0.99)
	}
	for _, text := range []string{whole("en") + whole("pt"), strings.Repeat(sentences["en"]+"\n"+sentences["pt"]+"\n", 40), whole("ru") + whole("en")} {
		assert.Less(t, Default().Detect(text).Score, 0.65)
	}
}

func BenchmarkDetect(b *testing.B) {
	m := Default()
	for _, language := range []string{"en", "pt", "ru", "zh"} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"200", 200}, {"2k", 2000}, {"20k", 20000}} {
			text := strings.Repeat(sentences[language]+" ", 1+size.bytes/len(sentences[language]))[:size.bytes]
			b.Run(language+"/"+size.name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					m.Detect(text)
				}
			})
		}
	}
}

// Every fourth document has been trained on; the others have not.
func TestEnglishAndPortugueseDocumentsAreTold(t *testing.T) {
	for _, name := range []string{"en-01", "pt-01"} {
		f, err := os.Open(shareddata.Path(t, "corpus/"+name+".jsonl.gz"))
		require.NoError(t, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		documents, right, sure := 0, 0, 0
		for line, err := range corpus.Lines(z) {
			require.NoError(t, err)
			if line.Number%4 == 0 {
				continue
			}
			var d struct{ Text string }
			require.NoError(t, json.Unmarshal(line.JSON, &d))
			documents++
			if g := Default().Detect(d.Text); g.Lang == name[:2] {
				right++
				if g.Score > 0.65 {
					sure++
				}
			}
			if documents == 1000 {
				break
			}
		}
		t.Logf("%s: %d of %d documents, %d of them with a score above 0.65", name, right, documents, sure)
		assert.GreaterOrEqual(t, float64(right)/float64(documents), 0.99)
		assert.GreaterOrEqual(t, float64(sure)/float64(documents), 0.98)
	}
}

func BenchmarkDetectLines(b *testing.B) {
	for _, name := range []string{"en-01", "pt-01"} {
		f, err := os.Open(shareddata.Path(b, "corpus/"+name+".jsonl.gz"))
		require.NoError(b, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		require.NoError(b, err)
		var lines []string
		bytes := 0
		for d, err := range corpus.Read(z) {
			require.NoError(b, err)
			for text := d.Text; len(text) > 200 && bytes < 4<<20; text = text[200:] {
				lines = append(lines, text[:200])
				bytes += 200
			}
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				for _, line := range lines {
					Default().Detect(line)
				}
			}
		})
	}
}
