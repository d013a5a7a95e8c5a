package filter

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/internal/shareddata"
)

type verdictCase struct {
	ID, Filter, Rule, Expect, Reason, Text string
	After                                  *string
	Value                                  *float64
	Pipeline                               *struct{ Filter, Reason string }
}

func verdictCases(t testing.TB) (cases []verdictCase) {
	f, err := os.Open(shareddata.Path(t, "filters/cases.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var c verdictCase
		require.NoError(t, json.Unmarshal(s.Bytes(), &c))
		cases = append(cases, c)
	}
	require.NoError(t, s.Err())
	require.NotEmpty(t, cases)
	return cases
}

func TestEachFilterAgreesWithTheReferenceCases(t *testing.T) {
	for _, c := range verdictCases(t) {
		v := NewOnly(Default(), c.Filter).Check(corpus.Document{Text: c.Text}, 1)
		assert.Equal(t, c.Expect == "keep", v.Keep, "%s %s: %+v", c.ID, c.Rule, v.Rule)
		assert.Equal(t, c.Reason, v.Rule, c.ID)
		if c.After != nil {
			assert.Equal(t, *c.After, v.Text, c.ID)
		}
	}
}

func TestTheRecipeAgreesWithTheReferenceCases(t *testing.T) {
	all := New(Default())
	for _, c := range verdictCases(t) {
		v := all.Check(corpus.Document{Text: c.Text}, 1)
		if c.Pipeline == nil {
			assert.True(t, v.Keep, "%s: %s", c.ID, v.Rule)
			continue
		}
		assert.Equal(t, c.Pipeline.Filter, v.Filter, c.ID)
		assert.Equal(t, c.Pipeline.Reason, v.Rule, c.ID)
	}
}

func TestAnExplanationContainsTheVerdict(t *testing.T) {
	c := New(Default())
	for _, test := range verdictCases(t) {
		d := corpus.Document{Text: test.Text}
		want := c.Check(d, 1)
		findings, got := c.Explain(d, 1)
		assert.Equal(t, [3]any{want.Keep, want.Filter, want.Rule}, [3]any{got.Keep, got.Filter, got.Rule}, test.ID)
		assert.Greater(t, len(findings), 25)
		rules := map[string]bool{}
		for _, f := range findings {
			assert.False(t, rules[f.Filter+f.Rule], "%s %s twice", test.ID, f.Rule)
			rules[f.Filter+f.Rule] = true
		}
	}
}

func TestValuesOfRulesWithoutWordsAreExact(t *testing.T) {
	for _, c := range verdictCases(t) {
		switch c.Rule {
		case "dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac", "line_punct_ratio", "short_line_ratio", "char_dup_ratio", "gopher_too_many_bullets", "gopher_too_many_end_ellipsis":
			findings, _ := NewOnly(Default(), c.Filter).Explain(corpus.Document{Text: c.Text}, 1)
			for _, f := range findings {
				if f.Rule == c.Rule {
					assert.InDelta(t, *c.Value, f.Value, 5e-5, "%s %s", c.ID, c.Rule) // the cases have four decimals
				}
			}
		}
	}
}
