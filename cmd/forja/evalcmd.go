package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/eval"
	"forja/engine/recipe"
	"forja/engine/vfs"
)

// evalKeys are the recipe keys that evaluation reads, with the flags' names.
var evalKeys = map[string]string{"eval.tasks": "tasks", "eval.choices": "choices", "eval.limit": "limit", "data.val": "data.val",
	"batch.context": "batch.context", "batch.micro": "batch.micro", "device": "device"}

func (a *app) evalCmd() *cobra.Command {
	var settings []setting
	var adapter, out string
	var least, most []string
	c := &cobra.Command{Use: "eval MODEL", Short: "perplexity, bits per byte and multiple choice", Args: cobra.ExactArgs(1),
		Example: "  forja eval runs/tiny\n  forja eval runs/tiny --data.val notes/ --tasks bpb\n  forja eval runs/tiny --choices quiz.jsonl --min acc=0.3",
		Long: `Measure a model: a directory with one, or a run.

Text to predict (--data.val) is token shards, a JSONL file of documents, or a folder; a run's own held-out text is the
default. Questions (--choices) are JSONL, one object a line:

  {"question": "…", "choices": ["…", "…"], "answer": 0}     asked as "Question: …\nAnswer:"
  {"prompt": "…", "choices": ["…", "…"], "answer": 0}       each choice follows the prompt as it stands

acc is the share of questions whose right choice has the largest log-probability, acc_norm the largest per byte.`}
	for _, k := range recipe.Keys() {
		if name, ok := evalKeys[k.Name]; ok {
			c.Flags().Var(keyFlag{k, &settings}, name, k.Doc)
		}
	}
	c.Flags().StringVar(&adapter, "adapter", "", "directory of a PEFT adapter to apply")
	c.Flags().StringVarP(&out, "output", "o", "", "directory for eval.json, and answers.jsonl of questions")
	c.Flags().StringArrayVar(&least, "min", nil, "METRIC=VALUE: end with code 3 if the metric is below; may be repeated")
	c.Flags().StringArrayVar(&most, "max", nil, "METRIC=VALUE: end with code 3 if the metric is above; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		settings, err := a.evalDefaults(args[0], settings)
		if err != nil {
			return err
		}
		r, err := loadRecipe("", "eval", settings)
		if err != nil {
			return err
		}
		bounds, err := parseBounds(least, most, r.Eval.Tasks)
		if err != nil {
			return err
		}
		e, err := a.evaluate(c.Context(), &r.Stage, adapter)
		if err != nil {
			return err
		}
		if out != "" {
			d, err := vfs.MakeOS(out)
			if err != nil {
				return err
			}
			defer d.Close()
			if err := e.save(d); err != nil {
				return err
			}
		}
		if err := a.print(e, func(w io.Writer) { _ = eval.WriteTable(w, e.Results) }); err != nil {
			return err
		}
		return bounds.check(e.Results)
	}
	return c
}

// evalDefaults says what to measure where the flags do not: what there is text or questions for.
func (a *app) evalDefaults(model string, settings []setting) ([]setting, error) {
	given := func(key string) bool {
		return slices.ContainsFunc(settings, func(s setting) bool { return s.key == key })
	}
	if _, err := modelDir(model); err != nil {
		return nil, err
	}
	settings = append(slices.Clone(settings), setting{"base", model})
	for i, s := range settings { // a list may go without brackets
		if s.key != "eval.tasks" {
			continue
		}
		if !strings.HasPrefix(s.value, "[") {
			settings[i].value = "[" + s.value + "]"
		}
		if strings.Contains(s.value, "choice") && !given("eval.choices") {
			return nil, usagef("--tasks choice needs --choices FILE, questions in JSONL")
		}
	}
	text := given("data.val")
	if val := heldOutOf(model); !text && val != "" && (given("eval.tasks") || !given("eval.choices")) {
		a.talk.printf("text    %s", val)
		settings, text = append(settings, setting{"data.val", val}), true
	}
	if given("eval.tasks") {
		return settings, nil
	}
	var tasks []string
	if text {
		tasks = append(tasks, "ppl", "bpb")
	}
	if given("eval.choices") {
		tasks = append(tasks, "choice")
	}
	if len(tasks) == 0 {
		return nil, usagef("say what to measure %s on: --data.val PATH (token shards or documents), --choices FILE (questions), or both", model)
	}
	return append(settings, setting{"eval.tasks", "[" + strings.Join(tasks, ", ") + "]"}), nil
}

// heldOutOf is the held-out text of the run that a model belongs to, or empty.
func heldOutOf(model string) string {
	for _, dir := range []string{model, filepath.Dir(filepath.Clean(model))} {
		if !isRun(dir) {
			continue
		}
		if val := filepath.Join(dir, "data", "val"); isSet(val) {
			return val
		}
		file := filepath.Join(dir, "recipe.yaml")
		if b, err := os.ReadFile(file); err == nil {
			if r, err := recipe.Parse(file, b); err == nil && r.Kind == "pretrain" && r.Data.Val != "" && exists(r.Data.Val) {
				return r.Data.Val
			}
		}
	}
	return ""
}

// A bound is what a metric must reach, or must not exceed.
type bound struct {
	flag, metric string
	value        float64
}

type bounds []bound

// metricsOf are the metrics of each task.
var metricsOf = map[string][]string{"ppl": {"ppl"}, "bpb": {"bpb"}, "choice": {"acc", "acc_norm"}}

func parseBounds(least, most, tasks []string) (bs bounds, err error) {
	var metrics []string
	for _, t := range tasks {
		metrics = append(metrics, metricsOf[t]...)
	}
	for flag, list := range map[string][]string{"--min": least, "--max": most} {
		for _, text := range list {
			metric, number, _ := strings.Cut(text, "=")
			value, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return nil, usagef("%s %q is not METRIC=VALUE, such as acc=0.3", flag, text)
			}
			if !slices.Contains(metrics, metric) {
				return nil, usagef("%s %s: the metrics of these tasks are %s", flag, text, strings.Join(metrics, ", "))
			}
			bs = append(bs, bound{flag, metric, value})
		}
	}
	slices.SortStableFunc(bs, func(a, b bound) int { return -strings.Compare(a.flag, b.flag) })
	return bs, nil
}

// check compares results with the bounds.
func (bs bounds) check(rs []eval.Result) error {
	var failed []string
	for _, b := range bs {
		for _, r := range rs {
			if r.Metric != b.metric {
				continue
			}
			if ok := b.flag == "--min" && r.Value >= b.value || b.flag == "--max" && r.Value <= b.value; !ok {
				failed = append(failed, fmt.Sprintf("%s is %.4f: %s %s=%g is not met", r.Metric, r.Value, b.flag, b.metric, b.value))
			}
		}
	}
	if failed == nil {
		return nil
	}
	return checkError{fmt.Errorf("%s", strings.Join(failed, "\n"))}
}
