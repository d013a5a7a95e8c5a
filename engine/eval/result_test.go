package eval

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAccuracyCountsBothPicksAndTheirStandardError(t *testing.T) {
	rs := Accuracy("quiz", []Answered{{Answer: 0, Picked: 0, PerByte: 1}, {Answer: 1, Picked: 1, PerByte: 1}, {Answer: 2, Picked: 0, PerByte: 2}, {Answer: 0}})
	assert.Equal(t, "acc", rs[0].Metric)
	assert.Equal(t, 0.75, rs[0].Value)
	// The sample standard deviation of 1, 1, 0, 1 is 1/2; over √4.
	assert.InDelta(t, 0.25, rs[0].Stderr, 1e-15)
	assert.Equal(t, "acc_norm", rs[1].Metric)
	assert.Equal(t, 0.75, rs[1].Value)
	assert.Zero(t, Accuracy("one", make([]Answered, 1))[0].Stderr, "one answer has no spread")
}

func TestTheTableHasTheHarnessesColumns(t *testing.T) {
	l, err := NewLikelihood(300, 100, 400)
	require.NoError(t, err)
	rs := append(Accuracy("quiz", []Answered{{}, {Answer: 1}, {}}), l.Results("val")...)
	var b strings.Builder
	require.NoError(t, WriteTable(&b, rs))
	assert.Equal(t, ""+
		"|task|n-shot|metric  | |  value| |stderr|      n|\n"+
		"|----|-----:|--------|-|------:|-|-----:|------:|\n"+
		"|quiz|     0|acc     |↑| 0.6667|±|0.3333|      3|\n"+
		"|quiz|     0|acc_norm|↑| 0.6667|±|0.3333|      3|\n"+
		"|val |     0|ppl     |↓|20.0855| |      |100 tok|\n"+
		"|val |     0|bpb     |↓| 1.0820| |      |100 tok|\n", b.String())
}

func TestAnInfinitePerplexityIsStillJSON(t *testing.T) {
	b, err := json.Marshal(Result{Task: "val", Metric: "ppl", Value: math.Inf(1), N: 3})
	require.NoError(t, err)
	assert.JSONEq(t, `{"task":"val","n_shot":0,"metric":"ppl","lower_is_better":false,"value":null,"n":3,"of":""}`, string(b))
	b, err = json.Marshal(Result{Value: 0.5})
	require.NoError(t, err)
	var r Result
	require.NoError(t, json.Unmarshal(b, &r))
	assert.Equal(t, 0.5, r.Value)
}
