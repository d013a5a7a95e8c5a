package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/sched"
	"forja/engine/train"
)

func (a *app) speedrunCmd() *cobra.Command {
	var settings []setting
	var out, corpus, name string
	c := &cobra.Command{Use: "speedrun", Short: "tokenizer, pretraining, LoRA and a report, from Go's own sources, in minutes", Args: cobra.NoArgs,
		Example: "  forja speedrun\n  forja speedrun --corpus ~/notes -o runs/notes"}
	c.Flags().StringVarP(&out, "output", "o", "runs/speedrun", "directory of the pipeline; stages that are done are skipped")
	c.Flags().StringVar(&corpus, "corpus", "", "text to learn from instead of Go's standard library: a file or folder")
	c.Flags().StringVar(&name, "recipe", "speedrun", "the pipeline")
	addStageKeys(c, &settings, a.args)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if corpus != "" {
			abs, err := filepath.Abs(corpus)
			if err != nil {
				return err
			}
			settings = append([]setting{{"stages.corpus.data.source", "dir"}, {"stages.corpus.data.path", abs}}, settings...)
			if name == "speedrun" || name == "speedrun30" {
				name += "-text" // no questions and answers come with other text
			}
		}
		r, err := loadRecipe(name, "", settings)
		if err != nil {
			return err
		}
		start := time.Now()
		records, err := a.pipeline(c.Context(), r, out)
		if err != nil {
			return err
		}
		rep, err := readReport(c.Context(), a, out, records)
		if err != nil {
			return err
		}
		rep.Seconds = time.Since(start).Seconds()
		b, err := jsonIndent(rep)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, "report.json"), b, 0o644); err != nil {
			return err
		}
		return a.print(rep, rep.print)
	}
	return c
}

// A speedReport is how a pipeline ended.
type speedReport struct {
	Dir      string         `json:"dir"`
	Seconds  float64        `json:"seconds"`
	Stages   []stageTime    `json:"stages"`
	Pretrain *runInfo       `json:"pretrain,omitempty"`
	SFT      *runInfo       `json:"sft,omitempty"`
	Ngram    *ngramSummary  `json:"ngram,omitempty"`
	Samples  []train.Sample `json:"samples,omitempty"`
	Answers  []answer       `json:"answers,omitempty"`
}

type stageTime struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

type ngramSummary struct {
	Order  int     `json:"order"`
	Tokens int64   `json:"tokens"`
	Loss   float64 `json:"loss"`
	BPB    float64 `json:"bpb"`
}

type answer struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// The questions that a speedrun's report asks the tuned model.
var speedQuestions = []string{"What does strings.TrimSpace do?", "What does os.ReadFile do?", "Which package has the function Sqrt?"}

// readReport gathers what the stages left behind, and asks the tuned model a few questions.
func readReport(ctx context.Context, a *app, dir string, records []sched.StageRecord) (*speedReport, error) {
	r := &speedReport{Dir: dir}
	for _, s := range records {
		r.Stages = append(r.Stages, stageTime{s.Name, s.Seconds})
	}
	for name, v := range map[string]any{"pretrain/run.json": &r.Pretrain, "sft/run.json": &r.SFT, "ngram/ngram.json": &r.Ngram} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "pretrain", train.SamplesFile)); err == nil {
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		last := -1
		for i := len(lines) - 1; i >= 0; i-- { // those of the last step
			var s train.Sample
			if json.Unmarshal([]byte(lines[i]), &s) != nil || last >= 0 && s.Step != last {
				break
			}
			last = s.Step
			r.Samples = append([]train.Sample{s}, r.Samples...)
		}
	}
	if r.SFT == nil {
		return r, nil
	}
	for _, q := range speedQuestions {
		var text strings.Builder
		quiet := &app{stdin: strings.NewReader(""), stdout: &text, talk: &talk{w: io.Discard, quiet: true}}
		root := quiet.root()
		root.SetArgs([]string{"chat", filepath.Join(dir, "sft"), "--ask", q, "--sample.temperature", "0", "--sample.repetition_penalty", "1.3",
			"--sample.tokens", "60", "-q"})
		if err := root.ExecuteContext(ctx); err != nil {
			return nil, err
		}
		r.Answers = append(r.Answers, answer{q, strings.TrimSpace(text.String())})
	}
	return r, nil
}

func (r *speedReport) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s · %s in all\n\n", r.Dir, span(time.Duration(r.Seconds*float64(time.Second))))
	for _, s := range r.Stages {
		fmt.Fprintf(w, "  %-10s %8s\n", s.Name, span(time.Duration(s.Seconds*float64(time.Second))))
	}
	fmt.Fprintln(w)
	if p := r.Pretrain; p != nil && p.First != nil && p.Last != nil {
		fmt.Fprintf(w, "  held-out text, bits per byte          before %.3f   after %.3f\n", p.First.BPB, p.Last.BPB)
	}
	if n := r.Ngram; n != nil {
		verdict := ""
		if r.Pretrain != nil && r.Pretrain.Last != nil {
			verdict = "the model wins"
			if r.Pretrain.Last.BPB >= n.BPB {
				verdict = "the baseline wins"
			}
		}
		fmt.Fprintf(w, "  Kneser-Ney %d-gram on the same %s tokens                 %.3f   %s\n", n.Order, count(n.Tokens), n.BPB, verdict)
	}
	if s := r.SFT; s != nil && s.First != nil && s.Last != nil {
		fmt.Fprintf(w, "  held-out answers, nats per token      before %.3f   after %.3f\n", s.First.Loss, s.Last.Loss)
	}
	for _, s := range r.Samples {
		fmt.Fprintf(w, "\n%s%s\n", s.Prompt, s.Text)
	}
	for _, x := range r.Answers {
		fmt.Fprintf(w, "\n>>> %s\n%s\n", x.Question, x.Answer)
	}
	if r.SFT != nil {
		fmt.Fprintf(w, "\ntalk to it: forja chat %s\n", filepath.Join(r.Dir, "sft"))
	}
}
