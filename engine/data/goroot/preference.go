package goroot

import (
	"encoding/json"
	"io"
	"iter"

	"forja/engine/data/chat"
)

// A Preference is a question with a right and a wrong answer.
type Preference struct {
	Prompt   []chat.Message `json:"prompt"`
	Chosen   []chat.Message `json:"chosen"`
	Rejected []chat.Message `json:"rejected"`
}

// Preferences sets the answer of each explaining pair against the answer to
// another question, about the same package where possible: plausible, and wrong.
func Preferences(pairs []Pair) []Preference {
	byPackage := map[string][]Pair{}
	var explain []Pair
	for _, p := range pairs {
		if p.Kind == "explain" || p.Kind == "document" {
			key := p.Kind + " " + p.Package
			byPackage[key] = append(byPackage[key], p)
			explain = append(explain, p)
		}
	}
	answer := func(s string) []chat.Message { return []chat.Message{{Role: chat.Assistant, Content: s}} }
	var out []Preference
	for _, p := range explain {
		for _, others := range [][]Pair{byPackage[p.Kind+" "+p.Package], explain} {
			wrong := others[hash("wrong", p.Question)%uint64(len(others))]
			if wrong.Answer != p.Answer && wrong.Kind == p.Kind {
				out = append(out, Preference{p.Messages()[:1], answer(p.Answer), answer(wrong.Answer)})
				break
			}
		}
	}
	return out
}

// WriteMessages writes pairs as JSONL, one {"messages": […]} a line.
func WriteMessages(w io.Writer, pairs []Pair) error {
	return writeJSONL(w, func(yield func(any) bool) {
		for _, p := range pairs {
			if !yield(map[string]any{"messages": p.Messages()}) {
				return
			}
		}
	})
}

// WritePreferences writes preferences as JSONL.
func WritePreferences(w io.Writer, preferences []Preference) error {
	return writeJSONL(w, func(yield func(any) bool) {
		for _, p := range preferences {
			if !yield(p) {
				return
			}
		}
	})
}

func writeJSONL(w io.Writer, values iter.Seq[any]) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
