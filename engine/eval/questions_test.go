package eval

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuestionsAreReadInBothForms(t *testing.T) {
	qs, err := ReadQuestions(strings.NewReader(`{"question": "Why?", "choices": ["because", "so"], "answer": 1, "id": "x"}

{"prompt": "2+2=", "choices": ["4", "5"], "answer": 0}
`), "q.jsonl")
	require.NoError(t, err)
	assert.Equal(t, []Question{{"Question: Why?\nAnswer:", []string{" because", " so"}, 1}, {"2+2=", []string{"4", "5"}, 0}}, qs)
}

var badQuestions = []struct{ line, want string }{
	{``, "there is no question"},
	{`[1]`, "q.jsonl:1: not an object with texts: a JSON array"},
	{`{"prompt": 3}`, `"prompt" is a JSON number`},
	{`{"prompt": "p"`, "not an object"},
	{`{"prompt": "p", "choices": "a", "answer": 0}`, `"choices" is not a list`},
	{`{"prompt": "p", "choices": ["a", 1], "answer": 0}`, `"choices" is not a list of texts`},
	{`{"prompt": "p", "answer": 0}`, `"choices" is not a list`},
	{`{"prompt": "p", "choices": ["a", "b"]}`, `"answer" is not`},
	{`{"prompt": "p", "choices": ["a", "b"], "answer": null}`, `"answer" is not`},
	{`{"prompt": "p", "choices": ["a", "b"], "answer": "B"}`, `"answer" is not`},
	{`{"prompt": "p", "choices": ["a", "b"], "answer": 0.5}`, `"answer" is not`},
	{`{"prompt": "p", "choices": ["a", "b"], "answer": 2}`, "counts from 0"},
	{`{"prompt": "p", "choices": ["a", "b"], "answer": -1}`, "counts from 0"},
	{`{"prompt": "p", "choices": ["a"], "answer": 0}`, "1 choices; want 2 to 100"},
	{`{"prompt": "p", "choices": ["a", ""], "answer": 0}`, "choice 1 is empty"},
	{`{"choices": ["a", "b"], "answer": 0}`, "not both"},
	{`{"prompt": "p", "question": "q", "choices": ["a", "b"], "answer": 0}`, "not both"},
	{"{\"prompt\": \"\xff\"}", "not UTF-8"},
	{`{"prompt": "` + strings.Repeat("x", maxQuestion) + `"}`, "line longer than"},
}

func TestBadQuestionsAreRefusedWithTheirLine(t *testing.T) {
	for _, c := range badQuestions {
		_, err := ReadQuestions(strings.NewReader(c.line), "q.jsonl")
		assert.ErrorContains(t, err, c.want)
		assert.ErrorContains(t, err, "q.jsonl:")
		if err != nil {
			assert.NotContains(t, err.Error(), "Go ")
		}
	}
}

func FuzzReadQuestions(f *testing.F) {
	f.Add([]byte(`{"question": "Why?", "choices": ["because", "so"], "answer": 1}`))
	for _, c := range badQuestions {
		if len(c.line) < 1000 {
			f.Add([]byte(c.line))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		qs, err := ReadQuestions(strings.NewReader(string(b)), "q")
		if err != nil {
			return
		}
		if len(qs) == 0 {
			t.Fatal("no question and no error")
		}
		for _, q := range qs {
			if q.Answer < 0 || q.Answer >= len(q.Choices) || len(q.Choices) < 2 {
				t.Fatalf("%+v", q)
			}
		}
	})
}
