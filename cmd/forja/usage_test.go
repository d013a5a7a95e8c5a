package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMistakesInTheCommandLineAreNamedAndNothingStarts(t *testing.T) {
	run := trained(t)
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"verb":                {[]string{"pretran", "tiny"}, []string{`unknown verb "pretran"`, `did you mean "pretrain"?`}},
		"verb of a group":     {[]string{"tokenizer", "trian"}, []string{`unknown verb "trian" for forja tokenizer`, `did you mean "train"?`}},
		"verb like no other":  {[]string{"xyzzy"}, []string{`unknown verb "xyzzy"`, "verbs: ", "pretrain"}},
		"flag":                {[]string{"pretrain", "tiny", "-o", "OUT", "--optim.learning_rat", "1"}, []string{"unknown flag --optim.learning_rat", "did you mean --optim.learning_rate?"}},
		"flag like no other":  {[]string{"jobs", "--xyzzy"}, []string{"unknown flag --xyzzy", "forja jobs --help"}},
		"no argument":         {[]string{"plan"}, []string{"accepts 1 arg(s), received 0", "usage: forja plan RECIPE"}},
		"too many arguments":  {[]string{"show", "a", "b", "c"}, []string{"forja show", "usage: "}},
		"recipe's name":       {[]string{"pretrain", "tinny", "-o", "OUT"}, []string{`there is no recipe "tinny"`, `did you mean "tiny"?`, "built in: "}},
		"no output":           {[]string{"pretrain", "tiny"}, []string{"-o DIR"}},
		"no output of run":    {[]string{"run", "tiny"}, []string{"-o DIR"}},
		"run is there":        {[]string{"pretrain", "tiny", "-o", run}, []string{run + " holds a run already", "forja pretrain --resume " + run}},
		"no run to resume":    {[]string{"pretrain", "--resume", "OUT"}, []string{"holds no run", "start one: forja pretrain"}},
		"resume and recipe":   {[]string{"pretrain", "tiny", "--resume", run}, []string{"--resume goes on with a run's own recipe"}},
		"resume as another":   {[]string{"sft", "--resume", run}, []string{"pretrain"}},
		"pipeline as one":     {[]string{"pretrain", "speedrun", "-o", "OUT"}, []string{"pipeline of stages", "forja run speedrun"}},
		"value":               {[]string{"pretrain", "tiny", "-o", "OUT", "--train.steps", "012"}, []string{"--train.steps"}},
		"value's range":       {[]string{"pretrain", "tiny", "-o", "OUT", "--optim.learning_rate", "11"}, []string{"--optim.learning_rate"}},
		"value's word":        {[]string{"pretrain", "tiny", "-o", "OUT", "--optim.kind", "adam"}, []string{"--optim.kind", `did you mean "adamw"?`}},
		"stage":               {[]string{"run", "speedrun", "-o", "OUT", "--stages.pretran.train.steps", "3"}, []string{`no stage "pretran"`, `did you mean "pretrain"?`}},
		"preset":              {[]string{"pretrain", "tiny", "-o", "OUT", "--model.preset", "gpt2-1m"}, []string{"--model.preset: there is no \"gpt2-1m\"", "gpt2-medium"}},
		"heads":               {[]string{"pretrain", "tiny", "-o", "OUT", "--model.heads", "5"}, []string{"64 channels cannot be split into 5 heads", "use 4 or 8"}},
		"micro-batch":         {[]string{"pretrain", "tiny", "-o", "OUT", "--batch.micro", "5"}, []string{"16 rows", "use 4 or 8"}},
		"batch does not fit":  {[]string{"pretrain", "tiny", "-o", "OUT", "--model.context", "65536", "--batch.rows", "100000", "--batch.micro", "100000"}, []string{"nothing was started", "batch.micro"}},
		"row does not fit":    {[]string{"pretrain", "tiny", "-o", "OUT", "--model.channels", "16384", "--model.heads", "128", "--model.layers", "90"}, []string{"nothing was started", "memory.recompute"}},
		"data is not there":   {[]string{"pretrain", "tiny", "-o", "OUT", "--data.train", "nowhere"}, []string{`--data.train: there is no file or folder "nowhere"`}},
		"base is not there":   {[]string{"sft", "--base", "nowhere", "--data.train", run, "-o", "OUT"}, []string{`--base: there is no file or folder "nowhere"`}},
		"base is no model":    {[]string{"sft", "--base", "testdata", "--data.train", run, "-o", "OUT"}, []string{"testdata"}},
		"model is not there":  {[]string{"generate", "nowhere", "hi"}, []string{"there is no model in nowhere"}},
		"model is none":       {[]string{"chat", "testdata", "--ask", "hi"}, []string{"there is no model in testdata", "config.json"}},
		"tokenizer is none":   {[]string{"tokenizer", "count", "nowhere"}, []string{"there is no tokenizer in nowhere", "forja tokenizer train"}},
		"input is not there":  {[]string{"tokenizer", "count", run, "nowhere.txt"}, []string{"nowhere.txt"}},
		"id that none is":     {[]string{"tokenizer", "decode", run, write(t, "ids", "1 2 300000")}, []string{"no id 300000"}},
		"id that is a word":   {[]string{"tokenizer", "decode", run, write(t, "ids", "1 two")}, []string{`"two" is not an id`}},
		"sampling":            {[]string{"generate", run, "hi", "--sample.top_p", "2"}, []string{"top"}},
		"job is not there":    {[]string{"logs", "nope"}, []string{`no such job as "nope"`, "forja jobs"}},
		"job cannot end":      {[]string{"cancel", "nope"}, []string{`no such job as "nope"`}},
		"merge without place": {[]string{"merge", run, run}, []string{"-o DIR"}},
		"merge onto a model":  {[]string{"merge", run, filepath.Join(run, "model"), "-o", run}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := make([]string, len(c.args))
			for i, a := range c.args {
				if a == "OUT" {
					a = out
				}
				args[i] = a
			}
			r := forja(t, args...)
			if c.says != nil {
				assert.Equal(t, exitUsage, r.code, "%s", r.err)
			}
			assert.NotZero(t, r.code)
			for _, s := range c.says {
				assert.Contains(t, r.err, s)
			}
			assert.Empty(t, r.stdout)
			assert.NotContains(t, r.err, "goroutine")
			assert.NotRegexp(t, `\*?(recipe|train|sched|main|strconv)\.[A-Z]`, r.err, "a Go type reaches the user")
			assert.NoFileExists(t, out)
			assert.NoDirExists(t, out)
		})
	}
}

func TestADeviceThatIsNotThereIsADeviceError(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := forja(t, pretrain(out, "--device", "cuda:0")...)
	assert.Equal(t, exitDevice, r.code)
	assert.Contains(t, r.err, "cuda:0")
	assert.Contains(t, r.err, "--device cpu")
	assert.NoDirExists(t, out)
}
