package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"

	"forja/engine/corpus"
)

// languageOf makes of a locale's name the code of a language: regions and scripts are joined.
func languageOf(locale string) string {
	l := strings.ToLower(locale)
	l = strings.FieldsFunc(l, func(r rune) bool { return r == '_' || r == '-' || r == '@' })[0]
	if l == "c" {
		return "en"
	}
	return l
}

// unwanted languages have too little text of their own there, or differ from another more in name than in writing.
var unwanted = map[string]bool{"as": true, "ast": true, "bs": true, "oc": true, "szl": true, "ug": true, "uz": true, "bofh": true, "debian": true}

// minText is the shortest text that is used, in characters.
const minText = 15

// read collects texts by language from the packages and corpora.
func read(packages, corpora string) (map[string][]string, error) {
	texts := map[string][]string{}
	add := func(locale, text string) {
		if strings.HasSuffix(locale, "@latin") { // Serbian in Latin letters cannot be told from Croatian so
			return
		}
		text = strings.Join(strings.Fields(text), " ")
		if l := languageOf(locale); !unwanted[l] && utf8.RuneCountInString(text) >= minText && utf8.ValidString(text) {
			texts[l] = append(texts[l], text)
		}
	}
	err := filepath.WalkDir(packages, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(packages, path)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(rel), "/")
		name := parts[0]
		after := func(dir string) string { // the folder below one, which is named after a locale
			for i := len(parts) - 3; i > 0; i-- {
				if parts[i] == dir {
					return parts[i+1]
				}
			}
			return ""
		}
		locale := ""
		switch {
		case strings.HasPrefix(name, "libreoffice-l10n-") && strings.HasSuffix(path, ".mo"):
			if strings.Contains(path, "@latin") {
				return nil // Serbian, as above
			}
			return readCatalogue(path, func(text string) { add(strings.TrimPrefix(name, "libreoffice-l10n-"), text) })
		case strings.HasPrefix(name, "libreoffice-help-") && strings.HasSuffix(path, ".html"):
			locale = strings.TrimPrefix(name, "libreoffice-help-")
		case name == "gnome-user-docs" && strings.HasSuffix(path, ".page"):
			locale = after("help")
		case strings.HasPrefix(name, "installation-guide") && strings.HasSuffix(path, ".html"):
			locale = after(name)
		case strings.HasPrefix(name, "fortunes-") && slices.Contains(parts, "fortunes") && filepath.Ext(path) == "":
			locale = strings.TrimPrefix(name, "fortunes-")
			if locale == "br" {
				locale = "pt"
			}
			b, err := os.ReadFile(path)
			for part := range bytes.SplitSeq(b, []byte("\n%\n")) {
				add(locale, string(part))
			}
			return err
		}
		if locale == "" {
			return nil
		}
		return readMarkup(path, func(text string) { add(locale, text) })
	})
	if err != nil || corpora == "" {
		return texts, err
	}
	for _, l := range []string{"en", "pt"} {
		files, err := filepath.Glob(filepath.Join(corpora, l+"-*.jsonl.gz"))
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			if err := readCorpus(path, func(text string) { add(l, text) }); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return texts, nil
}

// readCatalogue reads the translations of a .mo file of gettext that differ from what they translate.
func readCatalogue(path string, visit func(string)) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	bad := fmt.Errorf("%s: not a catalogue of gettext", path)
	if len(b) < 28 || binary.LittleEndian.Uint32(b) != 0x950412de {
		return bad
	}
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	n, originals, translations := u32(8), u32(12), u32(16)
	if n > len(b)/8 || originals > len(b)-8*n || translations > len(b)-8*n {
		return bad
	}
	for i := range n {
		var pair [2][]byte
		for j, table := range []int{originals, translations} {
			size, at := u32(table+8*i), u32(table+8*i+4)
			if at > len(b) || size > len(b)-at {
				return bad
			}
			pair[j] = b[at : at+size]
		}
		original := pair[0][bytes.IndexByte(pair[0], 4)+1:] // after the context
		if len(original) == 0 || bytes.Equal(original, pair[1]) {
			continue
		}
		for form := range bytes.SplitSeq(pair[1], []byte{0}) {
			visit(string(form))
		}
	}
	return nil
}

// readMarkup reads the paragraphs of HTML or of XML that looks like it.
func readMarkup(path string, visit func(string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var b strings.Builder
	skip := 0
	for z := html.NewTokenizer(f); ; {
		kind := z.Next()
		switch kind {
		case html.ErrorToken:
			visit(b.String())
			return nil
		case html.TextToken:
			if skip == 0 {
				b.Write(z.Text())
			}
			continue
		case html.CommentToken, html.DoctypeToken:
			continue
		}
		tag, _ := z.TagName()
		switch string(tag) {
		case "a", "b", "i", "em", "strong", "span", "acronym", "abbr", "gui", "guiseq", "app", "link", "key", "keyseq", "input", "file", "sys", "cmd":
			continue
		case "script", "style", "code", "pre", "screen", "nav", "credit", "revision":
			if kind == html.StartTagToken {
				skip++
			} else if kind == html.EndTagToken {
				skip = max(0, skip-1)
			}
		}
		visit(html.UnescapeString(b.String()))
		b.Reset()
	}
}

func readCorpus(path string, visit func(string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for line, err := range corpus.Lines(z) {
		if err != nil {
			return err
		}
		var d struct{ Text string }
		if err := json.Unmarshal(line.JSON, &d); err != nil {
			return err
		}
		if line.Number%4 != 0 { // there is more than enough
			continue
		}
		for part := range strings.SplitSeq(d.Text, "\n\n") {
			visit(part)
		}
	}
	return nil
}

// declared maps languages to the names of their declarations of human rights.
var declared = strings.Fields(`af:afr ar:arb be:bel bg:bul bn:ben br:bre ca:cat cs:ces cy:cym da:dan de:deu_1996 el:ell_monotonic en:eng eo:epo es:spa
	et:est eu:eus fa:pes_1 fi:fin fr:fra ga:gle gd:gla gl:glg gu:guj he:heb hi:hin hr:hrv hu:hun id:ind is:isl it:ita ja:jpn ka:kat kk:kaz km:khm kmr:kmr kn:kan
	ko:kor lt:lit lv:lav mk:mkd ml:mal mn:khk mr:mar nb:nob ne:nep nl:nld nn:nno pa:pan pl:pol pt:por_BR pt:por_PT ro:ron_2006 ru:rus si:sin sk:slk
	sl:slv sq:als sr:srp_cyrl sv:swe ta:tam te:tel th:tha tr:tur uk:ukr vi:vie zh:cmn_hans zh:cmn_hant`)

// readDeclarations cuts declarations into lines of 200 characters.
func readDeclarations(dir string, languages []string) (map[string][]string, error) {
	cut := map[string][]string{}
	for _, d := range declared {
		l, name, _ := strings.Cut(d, ":")
		if !slices.Contains(languages, l) {
			continue
		}
		var texts []string
		err := readMarkup(filepath.Join(dir, name+".html"), func(text string) { texts = append(texts, strings.Join(strings.Fields(text), " ")) })
		if os.IsNotExist(err) {
			fmt.Fprintln(os.Stderr, "no declaration", name)
			continue
		} else if err != nil {
			return nil, err
		}
		cut[l] = append(cut[l], lines(texts)...)
	}
	return cut, nil
}
