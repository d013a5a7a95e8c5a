package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Result is one measured figure.
type Result struct {
	Task   string  `json:"task"`
	Shots  int     `json:"n_shot"`
	Metric string  `json:"metric"`
	Lower  bool    `json:"lower_is_better"`
	Value  float64 `json:"value"`
	Stderr float64 `json:"stderr,omitempty"` // standard error of the mean; 0 where there is none
	N      int     `json:"n"`                // what the mean is over
	Of     string  `json:"of"`               // questions or tokens
}

// MarshalJSON writes a value that JSON has no number for, an infinite perplexity, as null.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	v := struct {
		plain
		Value *float64 `json:"value"`
	}{plain: plain(r)}
	if !math.IsInf(r.Value, 0) && !math.IsNaN(r.Value) {
		v.Value = &r.Value
	}
	return json.Marshal(v)
}

// Results are the likelihood's figures: ppl and bpb.
func (l Likelihood) Results(task string) []Result {
	rs := []Result{{Task: task, Metric: "ppl", Lower: true, Value: l.Perplexity(), N: l.Tokens, Of: "tokens"}}
	if l.BPB > 0 {
		rs = append(rs, Result{Task: task, Metric: "bpb", Lower: true, Value: l.BPB, N: l.Tokens, Of: "tokens"})
	}
	return rs
}

// Accuracy is the share of right answers, acc by the sum of log-probabilities and acc_norm by the sum per byte, with the
// standard error of the mean.
func Accuracy(task string, as []Answered) []Result {
	acc := Result{Task: task, Metric: "acc", N: len(as), Of: "questions"}
	norm := acc
	norm.Metric = "acc_norm"
	for _, a := range as {
		if a.Picked == a.Answer {
			acc.Value++
		}
		if a.PerByte == a.Answer {
			norm.Value++
		}
	}
	for _, r := range []*Result{&acc, &norm} {
		if r.N > 0 {
			r.Value /= float64(r.N)
		}
		if r.N > 1 {
			r.Stderr = math.Sqrt(r.Value * (1 - r.Value) / float64(r.N-1))
		}
	}
	return []Result{acc, norm}
}

// WriteTable writes results in the columns of the harness's table.
func WriteTable(w io.Writer, rs []Result) error {
	rows := [][]string{{"task", "n-shot", "metric", "", "value", "", "stderr", "n"}}
	left := []bool{true, false, true, true, false, true, false, false}
	for _, r := range rs {
		arrow, pm, stderr, n := "↑", "", "", strconv.Itoa(r.N)
		if r.Lower {
			arrow = "↓"
		}
		if r.Stderr > 0 {
			pm, stderr = "±", fmt.Sprintf("%.4f", r.Stderr)
		}
		if r.Of == "tokens" {
			n += " tok"
		}
		rows = append(rows, []string{r.Task, strconv.Itoa(r.Shots), r.Metric, arrow, fmt.Sprintf("%.4f", r.Value), pm, stderr, n})
	}
	widths := []int{1, 2, 1, 1, 2, 1, 2, 2} // what Markdown's line below the head needs
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for k, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if left[i] {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("|" + cell)
		}
		b.WriteString("|\n")
		if k > 0 {
			continue
		}
		for i, n := range widths { // a line of Markdown that also says which columns are numbers
			rule := strings.Repeat("-", n)
			if !left[i] {
				rule = rule[1:] + ":"
			}
			b.WriteString("|" + rule)
		}
		b.WriteString("|\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
