package recipe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const pipeline = `# speedrun: everything from GOROOT
version: 1
name: speedrun
seed: 7
tokenizer: {path: "@tokenizer"}
stages:
  - name: corpus
    kind: corpus
    data: {source: goroot}
  - name: tokenizer
    kind: tokenizer
    data: {train: "@corpus/train"}
    tokenizer: {vocab: 4096}
  - name: pack
    kind: pack
    data: {train: "@corpus/train", val: "@corpus/val"}
  - name: pretrain
    kind: pretrain
    model: {depth: 4}
    data: {train: "@pack/train", val: "@pack/val"}
    train: {steps: 100}
  - name: sft
    kind: sft
    base: "@pretrain/model"
    seed: 9
    data: {train: "@corpus/sft.jsonl"}
    lora: {rank: 8}
  - name: eval
    kind: eval
    needs: [sft]
    base: "@sft/model"
    data: {val: "@pack/val"}
`

func TestStagesInheritAndDepend(t *testing.T) {
	r := mustParse(t, pipeline)
	require.NoError(t, r.Resolve())
	find := func(name string) *Stage {
		s, ok := r.Find(name)
		require.True(t, ok, name)
		return s
	}
	assert.Equal(t, "speedrun", r.Name)
	assert.Equal(t, 7, find("corpus").Seed, "shared")
	assert.Equal(t, 9, find("sft").Seed, "its own")
	assert.Equal(t, "@tokenizer", find("pretrain").Tokenizer.Path)
	assert.Nil(t, find("corpus").Needs)
	assert.Equal(t, []string{"corpus"}, find("tokenizer").Needs, "the path it does not read implies nothing")
	assert.Equal(t, []string{"corpus", "tokenizer"}, find("pack").Needs)
	assert.Equal(t, []string{"corpus", "pretrain", "tokenizer"}, find("sft").Needs)
	assert.Equal(t, []string{"pack", "sft", "tokenizer"}, find("eval").Needs)
}

func TestMarshalOfStagesReadsBack(t *testing.T) {
	r := mustParse(t, pipeline)
	require.NoError(t, r.Resolve())
	text := r.Marshal()
	again := mustParse(t, string(text))
	require.NoError(t, again.Resolve(), "%s", text)
	assert.Equal(t, string(text), string(again.Marshal()))
	for i := range r.Stages {
		assert.Equal(t, string(r.Stages[i].Marshal()), string(again.Stages[i].Marshal()))
	}
}

func TestStageTextIgnoresWhatTheStageDoesNotRead(t *testing.T) {
	a, b := mustParse(t, pipeline), mustParse(t, pipeline+"\n")
	require.NoError(t, b.Set("optim.clip", "3"))
	require.NoError(t, a.Resolve())
	require.NoError(t, b.Resolve())
	for i := range a.Stages {
		same := string(a.Stages[i].Marshal()) == string(b.Stages[i].Marshal())
		trains := a.Stages[i].Kind == "pretrain" || a.Stages[i].Kind == "sft"
		assert.Equal(t, !trains, same, a.Stages[i].Name)
	}
}

func TestSetReachesSharedAndOwnKeys(t *testing.T) {
	r := mustParse(t, pipeline)
	assert.ErrorContains(t, r.Set("seed", "3"), "stage sft sets seed itself\n   say which: --stages.sft.seed 3")
	assert.ErrorContains(t, r.Set("kind", "sft"), "belongs to one stage")
	assert.ErrorContains(t, r.Set("stages.pretrian.seed", "3"), `did you mean "pretrain"?`)
	assert.ErrorContains(t, r.Set("stages.pretrain.optim.clap", "3"), `did you mean "clip"?`)
	require.NoError(t, r.Set("stages.sft.seed", "3"))
	require.NoError(t, r.Set("precision", "bf16"))
	require.NoError(t, r.Set("job.priority", "90"))
	require.NoError(t, r.Set("train.epochs", "2"))
	require.NoError(t, r.Resolve())
	sft, _ := r.Find("sft")
	pretrain, _ := r.Find("pretrain")
	assert.Equal(t, 3, sft.Seed)
	assert.Equal(t, "bf16", sft.Precision)
	assert.Equal(t, 90, r.Job.Priority)
	assert.Equal(t, 2.0, pretrain.Train.Epochs, "a flag beats the stage's own steps")
	assert.Zero(t, pretrain.Train.Steps)
}

func TestExtractPointsPathsIntoDirectories(t *testing.T) {
	r := mustParse(t, pipeline)
	require.NoError(t, r.Resolve())
	one, ok := r.Extract("sft", func(stage string) string { return "runs/s/" + stage })
	require.True(t, ok)
	assert.Equal(t, "runs/s/pretrain/model", one.Base)
	assert.Equal(t, "runs/s/corpus/sft.jsonl", one.Data.Train)
	assert.Equal(t, "runs/s/tokenizer", one.Tokenizer.Path)
	require.NoError(t, one.Resolve())
	again := mustParse(t, string(one.Marshal()))
	require.NoError(t, again.Resolve())
	assert.Equal(t, 8, again.LoRA.Rank)
	_, ok = r.Extract("nothing", nil)
	assert.False(t, ok)
}

func TestRefusedGraphs(t *testing.T) {
	const head = "version: 1\nstages:\n"
	cases := []struct{ name, text, want string }{
		{"unknown stage in a path", head + "  - {name: tok, kind: tokenizer, data: {train: \"@corpsu/x\"}}\n  - {name: corpus, kind: corpus, data: {source: goroot}}\n",
			"x.yaml:3:48: data.train: there is no other stage \"corpsu\""},
		{"suggestion", head + "  - {name: tok, kind: tokenizer, data: {train: \"@corpsu/x\"}}\n  - {name: corpus, kind: corpus, data: {source: goroot}}\n",
			`did you mean "corpus"?`},
		{"unknown need", head + "  - {name: a, kind: corpus, needs: b, data: {source: goroot}}\n", "needs: there is no other stage \"b\""},
		{"itself", head + "  - {name: a, kind: tokenizer, data: {train: \"@a\"}}\n", "there is no other stage \"a\""},
		{"cycle", head + "  - {name: a, kind: corpus, needs: b, data: {source: goroot}}\n  - {name: b, kind: corpus, needs: c, data: {source: goroot}}\n" +
			"  - {name: c, kind: corpus, needs: b, data: {source: goroot}}\n", "the stages wait for each other: b > c > b"},
		{"outside", head + "  - {name: a, kind: corpus, data: {source: goroot}}\n  - {name: b, kind: tokenizer, data: {train: \"@a/../x\"}}\n", "leaves the stage's directory"},
		{"no name", head + "  - {kind: corpus}\n", "stage 1 has no name"},
		{"no kind", head + "  - {name: a}\n", "stage a has no kind"},
		{"bad name", head + "  - {name: a/b, kind: corpus}\n", "is not a name"},
		{"twice", head + "  - {name: a, kind: corpus, data: {source: goroot}}\n  - {name: a, kind: corpus}\n", "two stages are called a"},
		{"empty", "version: 1\nstages: []\n", "the list of stages is empty"},
		{"not a list", "version: 1\nstages: 3\n", "stages: wants a list, found 3"},
		{"not a mapping", "version: 1\nstages: [a]\n", "wants keys below it, found the text \"a\""},
		{"kind at the top", "version: 1\nkind: sft\nstages: []\n", "a kind in each stage"},
		{"needs at the top", "version: 1\nneeds: [a]\n", "unknown key \"needs\" in the recipe"},
		{"job in a stage", head + "  - {name: a, kind: corpus, job: {priority: 3}}\n", "unknown key \"job\" in stage a"},
		{"foreign section", head + "  - {name: a, kind: corpus, data: {source: goroot}, optim: {clip: 1}}\n", "optim is not used by corpus"},
		{"stages in a stage", head + "  - {name: a, kind: corpus, stages: []}\n", "unknown key \"stages\" in stage a"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { assert.Contains(t, refuse(t, c.text).Error(), c.want) })
	}
}
