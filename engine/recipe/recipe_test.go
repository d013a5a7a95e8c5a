package recipe

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const gpt2 = `# gpt2-124m: reproduces GPT-2 small.
# second line
version: 1
model:
  arch: gpt2            # gpt2 | llama | qwen2
  layers: 12
  channels: 768
  heads: 12
  context: 1024
data:
  train: data/fineweb/train
  val:   data/fineweb/val
tokenizer: {path: tokenizers/gpt2}
batch:
  tokens: 524288
  micro: auto
optim:
  kind: adamw
  learning_rate: 6e-4
  warmup: 7e2
  schedule: cosine
  decay: 0.1
  clip: 1.0
train:
  steps: 19560
  eval_every: 250
  sample: ["The meaning of life is", "A linguagem é"]
`

func mustParse(t testing.TB, text string) *Recipe {
	t.Helper()
	r, err := Parse("dir/gpt2-124m.yaml", []byte(text))
	require.NoError(t, err)
	return r
}

func TestParseReadsAPretrainingRecipe(t *testing.T) {
	r := mustParse(t, gpt2)
	require.NoError(t, r.Resolve())
	assert.Equal(t, "gpt2-124m", r.Name, "the run is called after its file")
	assert.Equal(t, "pretrain", r.Kind)
	assert.Equal(t, 12, r.Model.Layers)
	assert.Zero(t, r.Batch.Micro, "auto")
	assert.Nil(t, r.Model.Tied)
	assert.Equal(t, 6e-4, r.Optim.LearningRate)
	assert.Equal(t, Steps{N: 700}, r.Optim.Warmup)
	assert.Equal(t, [2]float64{0.9, 0.95}, r.Optim.Betas, "a default")
	assert.Equal(t, 1e-8, r.Optim.Eps)
	assert.Equal(t, []string{"The meaning of life is", "A linguagem é"}, r.Train.Sample)
	assert.True(t, r.IsSet("optim.clip"))
	assert.False(t, r.IsSet("optim.eps"))
}

func TestParseReadsAFineTuningRecipe(t *testing.T) {
	r := mustParse(t, `version: 1
base: models/SmolLM2-135M
lora: { rank: 16, alpha: 32, dropout: 0.0, targets: all-linear }
data:
  train: data/alpaca-pt.jsonl
  template: base
  roles: {bot: assistant, human: user}
batch: { rows: 64, context: 1024, packing: true }
optim: { learning_rate: 2e-4, warmup: 3%, cooldown: 0 }
train: { eval_every: 1e2 }
job: { stop_duration: 90s }
`)
	require.NoError(t, r.Resolve())
	assert.Equal(t, "sft", r.Kind, "a base makes it fine-tuning")
	assert.Equal(t, []string{"all-linear"}, r.LoRA.Targets)
	assert.Equal(t, Steps{Share: 0.03}, r.Optim.Warmup)
	assert.Equal(t, 30, r.Optim.Warmup.Of(1000))
	assert.Equal(t, 100, r.Train.EvalEvery)
	assert.Equal(t, 1.0, r.Train.Epochs)
	assert.Equal(t, 90*time.Second, r.Job.StopDuration)
	assert.Equal(t, map[string]string{"bot": "assistant", "human": "user"}, r.Data.Roles)
}

func TestOrdinaryWordsStayText(t *testing.T) {
	r := mustParse(t, "version: 1\nname: no\nmodel: {preset: 1e2}\ndata:\n  train: 3\n  val: |\n    x\n")
	assert.Equal(t, "no", r.Name)
	assert.Equal(t, "1e2", r.Model.Preset)
	assert.Equal(t, "3", r.Data.Train)
}

func TestByteOrderMarkAndCarriageReturns(t *testing.T) {
	r := mustParse(t, "\ufeff"+strings.ReplaceAll(gpt2, "\n", "\r\n"))
	require.NoError(t, r.Resolve())
	assert.Equal(t, 768, r.Model.Channels)
}

func TestSetReadsAndRefusesAsTheFileDoes(t *testing.T) {
	r := mustParse(t, gpt2)
	for key, value := range map[string]string{
		"optim.learning_rate": "3e-4", "optim.betas": "[0.8, 0.9]", "train.sample": "one, only", "optim.warmup": "5%",
		"data.roles": "bot=assistant, human=user", "data.val": "true", "model.tied": "false", "name": "other",
		"job.priority": "80", "batch.micro": "auto", "tokenizer.specials": `["<a>", "<b>"]`,
	} {
		require.NoError(t, r.Set(key, value), key)
	}
	require.NoError(t, r.Set("data.roles.gpt", "assistant"))
	assert.Equal(t, 3e-4, r.Optim.LearningRate)
	assert.Equal(t, [2]float64{0.8, 0.9}, r.Optim.Betas)
	assert.Equal(t, []string{"one, only"}, r.Train.Sample)
	assert.Equal(t, map[string]string{"bot": "assistant", "human": "user", "gpt": "assistant"}, r.Data.Roles)
	assert.Equal(t, "true", r.Data.Val, "a shell has no quotes: text stays text")
	assert.False(t, *r.Model.Tied)
	assert.Equal(t, []string{"<a>", "<b>"}, r.Tokenizer.Specials)

	for key, want := range map[string][2]string{
		"optim.learning_rat": {"1", "--optim.learning_rat: unknown key \"learning_rat\" in optim\n   did you mean \"learning_rate\"?"},
		"optim.clip":         {"high", "--optim.clip: wants a number, found the text \"high\""},
		"train.steps":        {"3.5", "--train.steps: wants a whole number or auto, found 3.5"},
		"optim":              {"x", "--optim: optim is a section: set one of its keys"},
		"stages":             {"x", "stages is a section"},
		"optim.clip.x":       {"1", "optim.clip has no keys below it"},
		"data.roles":         {"bot", "wants name=name"},
		"optim.betas":        {"[1", "is not a list"},
		"model.layers":       {"0", "--model.layers: 0 is too small: at least 1"},
		"stages.a.seed":      {"1", "the recipe has no stage \"a\""},
	} {
		assert.ErrorContains(t, r.Set(key, want[0]), want[1], key)
	}
}

func TestRulesBlameTheFlagThatBrokeThem(t *testing.T) {
	r := mustParse(t, gpt2)
	require.NoError(t, r.Set("model.heads", "10"))
	assert.ErrorContains(t, r.Resolve(), "--model.heads: 768 channels cannot be split into 10 heads")
}

func TestFlagReplacesTheFilesOtherLength(t *testing.T) {
	r := mustParse(t, gpt2)
	require.NoError(t, r.Set("train.epochs", "2"))
	require.NoError(t, r.Set("batch.rows", "32"))
	require.NoError(t, r.Resolve())
	assert.Zero(t, r.Train.Steps)
	assert.Equal(t, 2.0, r.Train.Epochs)
	assert.Zero(t, r.Batch.Tokens)
}

func TestAsRefusesAnotherKind(t *testing.T) {
	r := mustParse(t, gpt2+"kind: pretrain\n")
	require.NoError(t, r.As("pretrain"))
	assert.ErrorContains(t, r.As("sft"), "this recipe is for pretrain, not sft")
	r = mustParse(t, gpt2)
	require.NoError(t, r.As("pretrain"))
}

func TestMarshalIsCompleteAndReadsBack(t *testing.T) {
	r := mustParse(t, gpt2)
	require.NoError(t, r.Resolve())
	text := string(r.Marshal())
	assert.True(t, strings.HasPrefix(text, "# gpt2-124m: reproduces GPT-2 small.\n# second line\nversion: 1\n"), text)
	for _, line := range []string{"  learning_rate: 0.0006\n", "  micro: auto\n", "  eps: 1e-08\n", "  betas: [0.9, 0.95]\n",
		"  stop_duration: 5m\n", "  warmup: 700\n", `  sample: [The meaning of life is, "A linguagem é"]` + "\n"} {
		assert.Contains(t, text, line)
	}
	assert.NotContains(t, text, "lora", "pretraining does not read it")
	again := mustParse(t, text)
	require.NoError(t, again.Resolve(), text)
	assert.Equal(t, text, string(again.Marshal()))
	assert.Equal(t, r.Optim, again.Optim)
	assert.Equal(t, r.Train, again.Train)
}

// Any value that a program may put into a recipe survives being written and read.
func TestMarshalRoundTripsAnyValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New("x")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("a 0'\":#-@&*!|>%\\\n\t[]{},?é\u2028\U0001F600\u0085~.")), 0, 12, -1)
		r.Kind = "sft"
		r.Base, r.Data.Train = text.Draw(t, "base"), rapid.String().Draw(t, "train")
		r.Train.Sample = rapid.SliceOfN(text, 0, 4).Draw(t, "sample")
		if len(r.Train.Sample) == 0 {
			r.Train.Sample = nil
		}
		r.LoRA.Targets = rapid.SliceOfN(text, 1, 3).Draw(t, "targets")
		r.Data.Roles = rapid.MapOfN(text, text, 1, 3).Draw(t, "roles")
		r.Optim.LearningRate = rapid.Float64Range(1e-300, 10).Draw(t, "rate")
		r.Optim.Warmup = Steps{N: rapid.IntMin(0).Draw(t, "warmup")}
		r.Job.StopDuration = time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "stop"))
		if strings.ContainsRune(r.Base+r.Data.Train, 0) {
			t.Skip("text with zero bytes is not a path")
		}
		written := r.Marshal()
		again, err := Parse("x.yaml", written)
		if err != nil {
			t.Fatalf("%s\n%v", written, err)
		}
		assert.Equal(t, plain(r), plain(again), "%s", written)
	})
}

// plain is a recipe without the memory of where its keys were written.
func plain(r *Recipe) Recipe {
	c := *r
	c.marks = nil
	return c
}

func TestKeysDescribeTheWholeSchema(t *testing.T) {
	seen := map[string]Key{}
	for _, k := range Keys() {
		assert.NotContains(t, seen, k.Name)
		assert.NotEmpty(t, k.Type, k.Name)
		assert.NotEmpty(t, k.Doc, k.Name)
		seen[k.Name] = k
	}
	assert.Equal(t, Key{Name: "optim.learning_rate", Type: "number or auto", Default: "auto",
		Doc: seen["optim.learning_rate"].Doc, Kinds: []string{"pretrain", "sft"}}, seen["optim.learning_rate"])
	assert.Equal(t, []string{"adamw", "muon"}, seen["optim.kind"].Words)
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name].Default == "" || strings.HasSuffix(seen[name].Type, "list of text") {
			continue
		}
		assert.NoError(t, New("x").Set(name, seen[name].Default), "the default of %s must be acceptable", name)
	}
}

func TestEveryKindNamesExistingKinds(t *testing.T) {
	known := kinds()
	require.NoError(t, eachKey(recipeType, "", func(key string, f field) error {
		for _, kind := range f.kinds {
			assert.Contains(t, known, kind, key)
		}
		return nil
	}))
}

func TestNameComesFromTheFile(t *testing.T) {
	for file, want := range map[string]string{"a/b/tiny.yaml": "tiny", "x y.yml": "x-y", "": "run", "..": "run", "ção.yaml": "o",
		`C:\dir\Small.yaml`: "Small"} {
		assert.Equal(t, want, New(file).Name, file)
	}
}

func TestParsedRecipesShareNothing(t *testing.T) {
	a, b := New("a"), New("b")
	a.Eval.Tasks[0] = "changed"
	assert.NotEqual(t, a.Eval.Tasks, b.Eval.Tasks)
	assert.False(t, reflect.DeepEqual(a, b))
}

func TestWordsInAFlagMayStandBetweenCommas(t *testing.T) {
	for _, value := range []string{"ppl, choice", "ppl,choice", "[ppl, choice]"} {
		r := New("a")
		require.NoError(t, r.Set("eval.tasks", value))
		assert.Equal(t, []string{"ppl", "choice"}, r.Eval.Tasks, value)
		require.NoError(t, r.Set("train.sample", "one, two"))
		assert.Equal(t, []string{"one, two"}, r.Train.Sample, "text keeps its commas")
	}
	assert.ErrorContains(t, New("a").Set("eval.tasks", "ppl,chioce"), `did you mean "choice"?`)
}
