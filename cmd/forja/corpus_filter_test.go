package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
)

// prose is a text that the filters keep.
func prose(topic string) string {
	return "The old report begins with " + topic + " and tells how its owners came to be rich after the war.\n" +
		"Nobody in our village remembers when the first stones were laid, but many have heard that rivers moved them.\n" +
		"A second chapter measures walls, doors, windows and every other part of what still stands today.\n" +
		"Its author walked through fields for eleven weeks, carrying paper, a compass and very little bread.\n" +
		"Later pages describe quarrels between two families, neither of whom could agree where water should flow.\n" +
		"Finally there is an index, made by hand, to help readers find people, places and years quickly.\n"
}

func lineOf(t *testing.T, fields map[string]string) string {
	b, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(b) + "\n"
}

func TestFiltersSayWhyADocumentIsDropped(t *testing.T) {
	docs := lineOf(t, map[string]string{"id": "good", "text": prose("a mill")}) + "\n" + lineOf(t, map[string]string{"id": "short", "text": strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz", ""), " ")}) +
		lineOf(t, map[string]string{"id": "code", "text": prose("a {bracket}")})
	r := forjaIn(t, docs, "corpus", "filter", "--jsonl").done(t)
	assert.Equal(t, `{"id":"good","keep":true,"reason":null,"filter":null}`+"\n"+
		`{"id":"short","keep":false,"reason":"gopher_short_doc","filter":"gopher_quality","value":26}`+"\n"+
		`{"id":"code","keep":false,"reason":"curly_bracket","filter":"c4","value":1}`+"\n", r.stdout)
	assert.Contains(t, r.err, "1 of 3 documents kept")

	r = forjaIn(t, docs, "corpus", "filter", "--jsonl", "--filter.c4.curly_bracket=false", "--filter.gopher_quality.min_words", "1", "--only", "c4").done(t)
	assert.Contains(t, r.stdout, `{"id":"code","keep":true`)
	assert.Contains(t, r.stdout, `"reason":"too_few_sentences"`)

	var report shard.Report
	r = forjaIn(t, docs, "corpus", "filter", "--json").done(t)
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	assert.EqualValues(t, 3, report.Read.Documents)
	assert.Equal(t, "c4/curly_bracket", report.Dropped[0].Reason)
	assert.Equal(t, []string{"code"}, report.Dropped[0].Samples)
}

func TestARecipeSaysWhatTheFlagsOfAFilterDoNot(t *testing.T) {
	docs := lineOf(t, map[string]string{"id": "code", "text": prose("a {bracket}")})
	file := write(t, "code.yaml", "version: 1\nkind: filter\nfilter: {c4: {curly_bracket: false}, gopher_quality: {min_words: 1000}}\n")
	r := forjaIn(t, docs, "corpus", "filter", "--jsonl", "--recipe", file).done(t)
	assert.Contains(t, r.stdout, `"reason":"gopher_short_doc"`)
	r = forjaIn(t, docs, "corpus", "filter", "--jsonl", "--recipe", file, "--filter.gopher_quality.min_words", "10").done(t)
	assert.Contains(t, r.stdout, `"keep":true`)
	r = forjaIn(t, docs, "corpus", "explain", "--filter.fineweb.list_ratio", "x")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "--filter.fineweb.list_ratio: wants a number")
	assert.Equal(t, exitUsage, forjaIn(t, docs, "corpus", "filter", "--recipe", "tiny").code)
}

func TestKeptDocumentsAreCleanedAndKeepTheirFields(t *testing.T) {
	text := prose("a mill") + "Write to jane@host.example.org about all of the rest that we have.\nThis site uses cookies for you.\n"
	docs := lineOf(t, map[string]string{"id": "a", "text": text, "extra": "<kept>"}) + lineOf(t, map[string]string{"id": "b", "text": "x"})
	r := forjaIn(t, docs, "corpus", "filter", "--documents").done(t)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, "<kept>", got["extra"])
	assert.Equal(t, prose("a mill")+"Write to email@example.com about all of the rest that we have.", got["text"])
	r = forjaIn(t, docs, "corpus", "filter", "--documents", "--filter.redact=false").done(t)
	assert.Contains(t, r.stdout, "jane@host")
}

func TestEvaluationSetsAndBlockListsDropDocuments(t *testing.T) {
	set := write(t, "eval.jsonl", lineOf(t, map[string]string{"question": "Which old report begins with a mill and tells how its owners came to be rich?"}))
	domains := write(t, "domains.txt", "# bad\nbad.example\n")
	docs := lineOf(t, map[string]string{"id": "a", "text": prose("a mill")}) + lineOf(t, map[string]string{"id": "b", "text": prose("a castle")}) +
		lineOf(t, map[string]string{"id": "c", "url": "http://www.bad.example/x", "text": prose("a house")})
	r := forjaIn(t, docs, "corpus", "filter", "--jsonl", "--filter.decontaminate", set, "--filter.url.domains", domains).done(t)
	assert.Contains(t, r.stdout, `{"id":"a","keep":false,"reason":"contaminated"`)
	assert.Contains(t, r.stdout, `{"id":"b","keep":true`)
	assert.Contains(t, r.stdout, `{"id":"c","keep":false,"reason":"domain"`)
}

func TestOneDocumentIsExplainedRuleByRule(t *testing.T) {
	docs := write(t, "docs.jsonl", lineOf(t, map[string]string{"id": "a", "text": "x"})+lineOf(t, map[string]string{"id": "b", "text": prose("a mill")}))
	out := forja(t, "corpus", "explain", docs).done(t).stdout
	assert.Regexp(t, `DROP +gopher_quality +gopher_short_doc +1 +at least 50\n`, out)
	assert.Contains(t, out, "dropped by gopher_quality: gopher_short_doc")
	assert.Contains(t, forja(t, "corpus", "explain", docs, "--id", "b").done(t).stdout, "\nkept: ")
	packed := t.TempDir()
	forja(t, "corpus", "filter", "--in", filepath.Dir(docs), "--out", packed, "--format", "jsonl.zst").done(t)
	assert.Contains(t, forja(t, "corpus", "explain", filepath.Join(packed, "docs.jsonl.zst"), "--id", "b").done(t).stdout, "\nkept: ")
	r := forja(t, "corpus", "explain", docs, "--id", "z")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, `no document "z"`)
	var e explanation
	require.NoError(t, json.Unmarshal([]byte(forjaIn(t, prose("a mill"), "corpus", "explain", "--json").done(t).stdout), &e))
	assert.True(t, e.Keep)
	assert.Greater(t, len(e.Findings), 25)
}

func TestNearAndExactDuplicatesAreRemoved(t *testing.T) {
	near := strings.Replace(prose("a mill"), "very little bread", "some cheese", 1)
	docs := lineOf(t, map[string]string{"id": "a", "text": prose("a mill")}) + lineOf(t, map[string]string{"id": "b", "text": "Something else, altogether different from it."}) +
		lineOf(t, map[string]string{"id": "c", "text": near}) + lineOf(t, map[string]string{"id": "d", "text": prose("a mill")})
	lines := strings.SplitAfter(docs, "\n")
	r := forjaIn(t, docs, "corpus", "dedup", "--jsonl").done(t)
	assert.Equal(t, lines[0]+lines[1], r.stdout)
	assert.Contains(t, r.err, "2 of 4 documents kept")
	r = forjaIn(t, docs, "corpus", "dedup", "--jsonl", "--clusters", "--temp", t.TempDir()).done(t)
	assert.Equal(t, `{"id":"a","cluster":0}`+"\n"+`{"id":"b","cluster":1}`+"\n"+`{"id":"c","cluster":0}`+"\n"+`{"id":"d","cluster":0}`+"\n", r.stdout)
	r = forjaIn(t, docs, "corpus", "dedup", "--jsonl", "--dedup.exact", "document").done(t)
	assert.Equal(t, strings.Join(lines[:3], ""), r.stdout)
	r = forjaIn(t, docs, "corpus", "dedup", "--jsonl", "--dedup.exact", "line").done(t)
	assert.Contains(t, r.stdout, `{"id":"c","text":"`)
	assert.Equal(t, 3, strings.Count(r.stdout, "\n"))
	assert.Contains(t, forjaIn(t, docs, "corpus", "dedup", "--json").done(t).stdout, `"kept": 2`)
}

func TestLanguagesOfDocumentsAreTold(t *testing.T) {
	docs := lineOf(t, map[string]string{"id": "a", "text": prose("a mill")}) + "{\"id\":7,\"text\":\"O moinho antigo ficava perto do rio, e ninguém na aldeia sabia quem o construíra.\"}\n"
	r := forjaIn(t, docs, "corpus", "lang", "--jsonl").done(t)
	assert.Regexp(t, `^{"id":"a","lang":"en","score":(1.0000|0.99..)}\n{"id":7,"lang":"pt","score":0.9...}\n$`, r.stdout)
	assert.Contains(t, forjaIn(t, docs, "corpus", "lang", "--documents").done(t).stdout, `{"id":7,"lang":"pt","text":`)
	assert.Regexp(t, `^en  1.000\n$`, forjaIn(t, prose("a mill"), "corpus", "lang").done(t).stdout)
	assert.Contains(t, forja(t, "corpus", "lang", "--list").done(t).stdout, " pt ")
	docs = lineOf(t, map[string]string{"id": "a", "text": prose("a mill")})
	assert.Contains(t, forjaIn(t, docs, "corpus", "filter", "--jsonl", "--filter.languages", "pt,es").done(t).stdout, `"reason":"language"`)
	assert.Contains(t, forjaIn(t, docs, "corpus", "filter", "--jsonl", "--filter.languages", "en").done(t).stdout, `"keep":true`)
}

func TestWrongUseOfFiltersStartsNothing(t *testing.T) {
	for _, args := range [][]string{
		{"filter", "--only", "magic"}, {"filter", "--jsonl", "--documents"}, {"filter", "--filter.url.words", "nowhere"}, {"filter", "--filter.decontaminate", "nowhere"},
		{"filter", "--in", "nowhere", "--out", t.TempDir()}, {"filter", "--in", t.TempDir()}, {"filter", "--in", t.TempDir(), "--out", t.TempDir(), "--jsonl"},
		{"filter", "--in", t.TempDir(), "--out", t.TempDir(), "--shard", "2/2"}, {"filter", "--in", t.TempDir(), "--out", t.TempDir(), "--format", "csv"},
		{"dedup", "--clusters"}, {"dedup", "--dedup.exact", "word"}, {"dedup", "--dedup.bands", "0"}, {"dedup", "--dedup.memory", "0"}, {"explain", "--id", "a"}, {"lang", "--jsonl", "--documents"},
	} {
		r := forjaIn(t, "{}\n", append([]string{"corpus"}, args...)...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
	}
	for _, verb := range []string{"filter", "dedup", "lang"} {
		r := forjaIn(t, "{\"text\":\"a\"}\nnonsense\n", "corpus", verb, "--jsonl")
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, "not a document")
	}
}

func TestTheTextSaysItsLanguageNotTheDocument(t *testing.T) {
	docs := lineOf(t, map[string]string{"id": "named wrongly", "lang": "de", "text": prose("a mill")}) +
		lineOf(t, map[string]string{"id": "of another language", "lang": "en", "text": strings.Repeat("Der Müller und seine Frau wohnten am Fluss, und jeden Morgen brachten die Bauern ihr Korn. ", 9)}) +
		lineOf(t, map[string]string{"id": "unknown to the classifier", "lang": "tlh", "text": prose("a mill")})
	r := forjaIn(t, docs, "corpus", "filter", "--jsonl", "--only", "language", "--filter.languages", "en,tlh").done(t)
	var kept []string
	for line := range strings.Lines(r.stdout) {
		var v struct {
			ID   string
			Keep bool
		}
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		if v.Keep {
			kept = append(kept, v.ID)
		}
	}
	assert.Equal(t, []string{"named wrongly", "unknown to the classifier"}, kept)
}
