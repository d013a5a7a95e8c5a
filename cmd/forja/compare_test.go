package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/train"
)

func TestCompareShowsWhatDiffersAndWhatCameOfIt(t *testing.T) {
	run, wide := trained(t), filepath.Join(t.TempDir(), "wide")
	forja(t, pretrain(wide, "--model.channels", "64", "--train.sample", "[one, two]")...).done(t)
	r := forja(t, "compare", run, wide).done(t)
	assert.Regexp(t, `(?m)^model.channels +32 +64$`, r.stdout)
	assert.Regexp(t, `(?m)^train.sample +\["func "\] +\[one, two\]$`, r.stdout)
	assert.NotContains(t, r.stdout, "model.layers", "it is the same")
	for _, row := range []string{`state +done +done`, `step +20 +20`, `val bits per byte +\d\.\d{4} +\d\.\d{4}`, `tok/s, median`, `time in steps`} {
		assert.Regexp(t, `(?m)^`+row, r.stdout)
	}
	var c comparison
	require.NoError(t, json.Unmarshal([]byte(forja(t, "compare", run, wide, run, "--json").done(t).stdout), &c))
	require.Len(t, c.Runs, 3)
	assert.Contains(t, c.Recipes, difference{"model.channels", []string{"32", "64", "32"}})
	assert.Equal(t, c.Runs[0].Last, c.Runs[2].Last)
	assert.Equal(t, 20, c.Runs[1].Metrics.Steps)

	assert.Contains(t, forja(t, "compare", run, run).done(t).stdout, "the recipes are the same")
	r = forja(t, "compare", run, "nowhere")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "nowhere holds no run")
}

func TestMetricsMayEndInATornLineButNotHoldOne(t *testing.T) {
	run := copied(t)
	file := filepath.Join(run, train.MetricsFile)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(whole, `{"step": 21, "lo`...), 0o644))
	forja(t, "compare", run, run).done(t)
	require.NoError(t, os.WriteFile(file, append([]byte("{\"step\": 0, \"lo\n"), whole...), 0o644))
	r := forja(t, "compare", run, run)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "metrics.jsonl:1 is not a line of metrics")
}
