package eval

import (
	"encoding/json"
	"fmt"
	"io"

	"forja/engine/data"
)

// A Question has several answers to choose from.
type Question struct {
	Prompt  string   // what stands before the answer
	Choices []string // texts that follow the prompt, as they are
	Answer  int      // index of the right one
}

const (
	maxQuestion = 1 << 20 // bytes of a line
	maxChoices  = 100
)

// ReadQuestions reads JSONL, one object a line: "choices", a list of texts; "answer", the index of the right one, from 0;
// and either "prompt", which the choices follow as they stand, or "question", which is asked as the harness asks ARC's:
// "Question: …\nAnswer:", and then a space and the choice. Other keys are ignored. name stands for the input in errors.
func ReadQuestions(r io.Reader, name string) ([]Question, error) {
	var qs []Question
	for line, err := range data.Lines(r, name, maxQuestion) {
		if err != nil {
			return nil, err
		}
		q, err := parseQuestion(line.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w\n   want one object a line: {\"question\": \"…\", \"choices\": [\"…\", \"…\"], \"answer\": 0}", name, line.Number, err)
		}
		qs = append(qs, q)
	}
	if len(qs) == 0 {
		return nil, fmt.Errorf("%s: there is no question", name)
	}
	return qs, nil
}

func parseQuestion(b []byte) (q Question, err error) {
	var fields struct {
		Prompt   *string         `json:"prompt"`
		Question *string         `json:"question"`
		Choices  json.RawMessage `json:"choices"`
		Answer   json.RawMessage `json:"answer"`
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		return q, fmt.Errorf("not an object with texts: %w", plainJSON(err))
	}
	if json.Unmarshal(fields.Choices, &q.Choices) != nil {
		return q, fmt.Errorf("\"choices\" is not a list of texts")
	}
	if json.Unmarshal(fields.Answer, &q.Answer) != nil || string(fields.Answer) == "null" {
		return q, fmt.Errorf("\"answer\" is not the index of a choice")
	}
	switch {
	case (fields.Prompt == nil) == (fields.Question == nil):
		return q, fmt.Errorf("there must be a \"question\" or a \"prompt\", and not both")
	case len(q.Choices) < 2 || len(q.Choices) > maxChoices:
		return q, fmt.Errorf("%d choices; want 2 to %d", len(q.Choices), maxChoices)
	case q.Answer < 0 || q.Answer >= len(q.Choices):
		return q, fmt.Errorf("\"answer\" is %d and there are %d choices: it counts from 0", q.Answer, len(q.Choices))
	}
	for i, c := range q.Choices {
		if c == "" {
			return q, fmt.Errorf("choice %d is empty", i)
		}
		if fields.Question != nil {
			q.Choices[i] = " " + c
		}
	}
	if fields.Prompt != nil {
		q.Prompt = *fields.Prompt
	} else {
		q.Prompt = "Question: " + *fields.Question + "\nAnswer:"
	}
	return q, nil
}

// plainJSON drops the Go types from encoding/json's errors.
func plainJSON(err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		if t.Field == "" {
			return fmt.Errorf("a JSON %s", t.Value)
		}
		return fmt.Errorf("%q is a JSON %s", t.Field, t.Value)
	}
	return err
}
