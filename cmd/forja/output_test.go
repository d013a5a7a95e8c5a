package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResultsGoToStandardOutputAndTalkToStandardError(t *testing.T) {
	run := trained(t)
	choices := write(t, "choices.jsonl", `{"prompt":"func ","choices":["main","zzz"],"answer":0}`+"\n")
	for name, c := range map[string]struct {
		args         []string
		in, out, err string // err: "" is silence
	}{
		"help":       {[]string{"--help"}, "", "Start here", ""},
		"verb help":  {[]string{"pretrain", "--help"}, "", "--optim.learning_rate", ""},
		"exit codes": {[]string{"exit-codes"}, "", "75  stopped on request", ""},
		"version":    {[]string{"version"}, "", "forja ", ""},
		"recipes":    {[]string{"recipes", "list"}, "", "speedrun", ""},
		"recipe":     {[]string{"recipes", "show", "tiny"}, "", "kind: pretrain", ""},
		"keys":       {[]string{"recipes", "keys"}, "", "optim.learning_rate", ""},
		"plan":       {append([]string{"plan"}, small()...), "", "total, exact", ""},
		"encode":     {[]string{"tokenizer", "encode", run}, "func main", " ", ""},
		"decode":     {[]string{"tokenizer", "decode", run}, "102 117 110 99", "", ""},
		"count":      {[]string{"tokenizer", "count", run}, "func main", "9 bytes", ""},
		"inspect":    {[]string{"tokenizer", "inspect", run}, "", "<|endoftext|>", ""},
		"generate":   {[]string{"generate", run, "func ", "--sample.tokens", "3"}, "", "func ", "tok/s"},
		"quiet":      {[]string{"generate", run, "func ", "--sample.tokens", "3", "-q"}, "", "func ", ""},
		"chat":       {[]string{"chat", run, "--ask", "why?", "--sample.tokens", "3"}, "", "", "tok/s"},
		"eval":       {[]string{"eval", run, "--choices", choices, "--tasks", "choice"}, "", "acc", "*"},
		"show":       {[]string{"show", run}, "", "llama", "*"},
		"compare":    {[]string{"compare", run, run}, "", "", "*"},
		"jobs":       {[]string{"jobs"}, "", "the queue is empty", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := forjaIn(t, c.in, c.args...).done(t)
			assert.Contains(t, r.stdout, c.out)
			assert.NotEmpty(t, r.stdout)
			switch c.err {
			case "":
				assert.Empty(t, r.err)
			case "*":
			default:
				assert.Contains(t, r.err, c.err)
				assert.NotContains(t, r.stdout, c.err)
			}
			for _, s := range []string{r.stdout, r.err} {
				assert.NotContains(t, s, "\x1b", "escape sequences where there is no terminal")
				assert.NotContains(t, s, "\r")
			}
		})
	}
}

func TestEveryResultHasAJSONForm(t *testing.T) {
	run := trained(t)
	choices := write(t, "choices.jsonl", `{"prompt":"func ","choices":["main","zzz"],"answer":0}`+"\n")
	for _, args := range [][]string{
		{"version"}, {"recipes", "list"}, {"recipes", "keys"},
		append([]string{"plan"}, small()...), {"plan", "speedrun"},
		{"tokenizer", "encode", run}, {"tokenizer", "count", run}, {"tokenizer", "inspect", run}, {"tokenizer", "inspect", run, write(t, "text", "func main")},
		{"generate", run, "func ", "--sample.tokens", "3"},
		{"eval", run, "--choices", choices, "--tasks", "choice"}, {"eval", run, "--tasks", "bpb,ppl"},
		{"show", run}, {"show", filepath.Join(run, "model")}, {"show", filepath.Join(run, "tokenizer.json")}, {"show", filepath.Join(run, "data", "train")},
		{"compare", run, run},
	} {
		r := forjaIn(t, "func main", append(args, "--json")...).done(t)
		d := json.NewDecoder(strings.NewReader(r.stdout))
		var v any
		assert.NoError(t, d.Decode(&v), "%v: %s", args, r.stdout)
		assert.NotEmpty(t, v, args)
		assert.False(t, d.More(), "%v: more than one value", args)
	}
}

func TestTextSurvivesEncodingAndDecoding(t *testing.T) {
	run := trained(t)
	text := "func main() {\n\tfmt.Println(\"olá, mundo 🌍\") // \x00 <|endoftext|>\n}"
	ids := forjaIn(t, text, "tokenizer", "encode", run).done(t).stdout
	assert.Equal(t, text, forjaIn(t, ids, "tokenizer", "decode", run).done(t).stdout)
	with := strings.Fields(forjaIn(t, text, "tokenizer", "encode", run, "--specials").done(t).stdout)
	assert.Less(t, len(with), len(strings.Fields(ids)), "special tokens are recognised only when asked for")
}

func TestEveryValidationLeavesSamples(t *testing.T) {
	f, err := os.Open(filepath.Join(trained(t), "samples.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	var steps []float64
	for d := json.NewDecoder(f); d.More(); {
		var s map[string]any
		require.NoError(t, d.Decode(&s))
		assert.Equal(t, "func ", s["prompt"])
		assert.NotEmpty(t, s["text"])
		steps = append(steps, s["step"].(float64))
	}
	assert.Equal(t, []float64{10, 20}, steps)
}

func TestChatUnderstandsItsCommands(t *testing.T) {
	in := "/help\n/set temperature 0\n/set tokens 4\n/set colour 1\n/set top_p 7\n/show\n\nhello\n/retry\n/system be brief\n/retry\nhello\n/system\nhello\n/clear\n/frob\n/bye\nnever read\n"
	r := forjaIn(t, in, "chat", trained(t)).done(t)
	for _, s := range []string{"/retry", "temperature 0 · ", "tokens 4 · ", `no setting "colour"`, "! sample.top_p: 7", "nothing can be generated", "there is no question to answer again", "unknown command /frob"} {
		assert.Contains(t, r.err, s)
	}
	assert.Equal(t, 3, strings.Count(r.err, "tok/s"), "three answers")
}

func TestAMergedAdapterAnswersAsTheTunedModel(t *testing.T) {
	dir := t.TempDir()
	base, sft, merged := filepath.Join(trained(t), "model"), filepath.Join(dir, "sft"), filepath.Join(dir, "merged")
	forja(t, "sft", "--base", base, "--data.train", pairs(t), "-o", sft, "--lora.rank", "4", "--train.steps", "40", "--batch.rows", "2",
		"--optim.learning_rate", "0.03").done(t)
	forja(t, "merge", base, filepath.Join(sft, "adapter"), "-o", merged).done(t)
	ask := func(args ...string) string {
		return forja(t, append([]string{"chat", "--ask", "three?", "--sample.temperature", "0", "--sample.tokens", "12", "-q"}, args...)...).done(t).stdout
	}
	tuned := ask(sft)
	assert.Equal(t, tuned, ask(merged))
	assert.Equal(t, tuned, ask(base, "--adapter", filepath.Join(sft, "adapter")))
	assert.NotEqual(t, tuned, ask(base), "the adapter changes something")
	assert.Equal(t, sums(t, sft), sumsOf(t, merged), "what training exports is what merge makes")

	r := forja(t, "merge", base, filepath.Join(sft, "adapter"), "-o", merged)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "exists already")
}
