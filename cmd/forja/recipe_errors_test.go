package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const goodRecipe = `version: 1
model: {layers: 1, channels: 32, heads: 2}
data: {source: goroot}
tokenizer:
  vocab: 300
optim:
  learning_rate: 1e-3
train: {steps: 5}
`

func TestMistakesInARecipeAreShownWhereTheyAre(t *testing.T) {
	file := write(t, "good.yaml", goodRecipe)
	forja(t, "plan", file).done(t)
	edit := func(from, to string) string {
		require.Contains(t, goodRecipe, from)
		return strings.Replace(goodRecipe, from, to, 1)
	}
	for name, c := range map[string]struct {
		text, at string
		says     []string
	}{
		"unknown key":        {edit("learning_rate", "learning_rat"), "7:3", []string{`unknown key "learning_rat" in optim`, `did you mean "learning_rate"?`, "optim accepts: betas"}},
		"unknown section":    {edit("optim:", "optimm:"), "6:1", []string{`did you mean "optim"?`}},
		"duplicate key":      {edit("  vocab: 300\n", "  vocab: 300\n  vocab: 400\n"), "6:3", []string{"vocab"}},
		"wrong type":         {edit("vocab: 300", "vocab: many"), "5:10", []string{"whole number", `"many"`}},
		"fraction":           {edit("vocab: 300", "vocab: 300.5"), "5:10", []string{"whole number"}},
		"leading zero":       {edit("vocab: 300", "vocab: 0300"), "5:10", []string{"0300"}},
		"out of range":       {edit("vocab: 300", "vocab: 3"), "5:10", []string{"258"}},
		"word":               {edit("goroot", "gorot"), "3:16", []string{`did you mean "goroot"?`}},
		"list for a section": {edit("model: {layers: 1, channels: 32, heads: 2}", "model: [1]"), "2:8", []string{"model"}},
		"tab":                {edit("  vocab", "\tvocab"), "5:1", []string{"tab"}},
		"anchor":             {edit("vocab: 300", "vocab: &v 300"), "5:10", []string{"anchor"}},
		"tag":                {edit("vocab: 300", "vocab: !!int 300"), "5:10", []string{"tag"}},
		"second document":    {goodRecipe + "---\nversion: 1\n", "10:1", []string{"document"}},
		"no version":         {edit("version: 1\n", ""), "1:1", []string{"version: 1"}},
		"later version":      {edit("version: 1", "version: 2"), "1:10", []string{"version"}},
		"rule across keys":   {edit("heads: 2", "heads: 3"), "2:41", []string{"32 channels cannot be split into 3 heads", "use 2 or 4"}},
		"exclusive keys":     {edit("steps: 5", "steps: 5, epochs: 2"), "8:19", []string{"exclude each other"}},
		"key of others":      {edit("optim:", "lora: {rank: 4}\noptim:"), "6:1", []string{"lora is not used by pretrain"}},
		"needed key":         {edit("train: {steps: 5}\n", ""), "1:1", []string{"pretrain needs train.steps"}},
		"empty":              {"", "", []string{"empty"}},
		"not text":           {"version: 1\nname: \xff\xfe\n", "", []string{"UTF-8"}},
		"binary":             {"\x00\x01\x02", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, out := filepath.Join(dir, "mine.yaml"), filepath.Join(dir, "out")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o644))
			for _, args := range [][]string{{"pretrain", file, "-o", out}, {"plan", file}, {"run", file, "-o", out}, {"run", file, "-o", out, "--now"}} {
				r := forja(t, args...)
				assert.Equal(t, exitUsage, r.code, "%s", r.err)
				assert.Contains(t, r.err, "error: "+file+":"+c.at)
				for _, s := range c.says {
					assert.Contains(t, r.err, s)
				}
				assert.Empty(t, r.stdout)
				assert.NoDirExists(t, out)
			}
			if c.at != "" {
				line, _, _ := strings.Cut(c.at, ":")
				n, err := strconv.Atoi(line)
				require.NoError(t, err)
				shown := strings.ReplaceAll(strings.Split(c.text, "\n")[n-1], "\t", " ")
				assert.Contains(t, forja(t, "plan", file).err, " "+line+" | "+shown, "the line itself is shown")
			}
		})
	}
}

func TestAPipelineWithAMistakeStartsNoStage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for name, c := range map[string]struct{ stages, says string }{
		"circle":        {"  - {name: a, kind: corpus, needs: [b], data: {source: goroot}}\n  - {name: b, kind: corpus, needs: [a], data: {source: goroot}}\n", "a > b > a"},
		"unknown stage": {"  - {name: a, kind: tokenizer, data: {train: '@corpsu/train'}}\n  - {name: corpus, kind: corpus, data: {source: goroot}}\n", `did you mean "corpus"?`},
		"twice":         {"  - {name: a, kind: corpus, data: {source: goroot}}\n  - {name: a, kind: corpus, data: {source: goroot}}\n", "two stages are called a"},
		"no kind":       {"  - {name: a}\n", "stage a has no kind"},
		"none":          {"  []\n", "empty"},
		"outside":       {"  - {name: a, kind: corpus, data: {source: goroot}}\n  - {name: b, kind: tokenizer, data: {train: '@a/../../x'}}\n", "leaves the stage's directory"},
	} {
		file := write(t, "pipeline.yaml", "version: 1\nstages:\n"+c.stages)
		for _, args := range [][]string{{"run", file, "-o", out}, {"run", file, "-o", out, "--now"}, {"plan", file}, {"speedrun", "--recipe", file, "-o", out}} {
			r := forja(t, args...)
			assert.Equal(t, exitUsage, r.code, "%s: %s", name, r.err)
			assert.Contains(t, r.err, file+":", name)
			assert.Contains(t, r.err, c.says, name)
			assert.NoDirExists(t, out)
		}
	}
}
