package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"forja/engine/data"
	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
)

// A comparison is runs side by side.
type comparison struct {
	Runs    []comparedRun `json:"runs"`
	Recipes []difference  `json:"recipe_differences"` // keys whose values are not all the same
}

type comparedRun struct {
	Path       string      `json:"path"`
	State      string      `json:"state"`
	Step       int         `json:"step"`
	Parameters int         `json:"parameters"`
	Memory     int         `json:"memory_bytes"`
	First      *evalPoint  `json:"first,omitempty"` // held-out text before training
	Last       *evalPoint  `json:"last,omitempty"`
	Metrics    *runMetrics `json:"metrics,omitempty"`
}

type difference struct {
	Key    string   `json:"key"`
	Values []string `json:"values"` // of each run; empty where its kind of stage has no such key
}

func (a *app) compareCmd() *cobra.Command {
	return &cobra.Command{Use: "compare RUN RUN...", Short: "recipes and results of runs side by side", Args: cobra.MinimumNArgs(2),
		Example: "  forja compare runs/narrow runs/wide",
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := compare(args)
			if err != nil {
				return err
			}
			return a.print(c, c.print)
		}}
}

func compare(dirs []string) (*comparison, error) {
	c := &comparison{Recipes: []difference{}}
	var all []map[string]string
	for _, dir := range dirs {
		if !isRun(dir) {
			return nil, usagef("%s holds no run: there is no recipe.yaml", dir)
		}
		d, err := vfs.OS(dir)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		values, err := recipeValues(d)
		if err != nil {
			return nil, err
		}
		all = append(all, values)
		run := comparedRun{Path: dir, State: "unknown"}
		var ri runInfo
		if err := readJSON(d, "run.json", &ri); err == nil {
			run.State, run.Step, run.Parameters, run.Memory, run.First, run.Last = ri.State, ri.Step, ri.Parameters, ri.Memory, ri.First, ri.Last
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if run.Metrics, err = readMetrics(d); err != nil {
			return nil, err
		}
		c.Runs = append(c.Runs, run)
	}
	for _, k := range recipe.Keys() {
		diff, same := difference{Key: k.Name}, true
		for _, values := range all {
			diff.Values = append(diff.Values, values[k.Name])
			same = same && values[k.Name] == all[0][k.Name]
		}
		if !same {
			c.Recipes = append(c.Recipes, diff)
		}
	}
	return c, nil
}

// recipeValues are a run's settings by dotted key, as the recipe's own writer writes them.
func recipeValues(d vfs.FS) (map[string]string, error) {
	const name = "recipe.yaml"
	b, err := vfs.ReadFile(d, name, 4<<20)
	if err != nil {
		return nil, err
	}
	r, err := recipe.Parse(d.Path(name), b)
	if err != nil {
		return nil, err
	}
	if len(r.Stages) > 0 {
		return nil, usagef("%s is a pipeline: compare the runs in it", d.Path("."))
	}
	values, section := map[string]string{}, ""
	for line := range strings.SplitSeq(string(r.Marshal()), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch in := strings.HasPrefix(key, "  "); {
		case strings.HasPrefix(line, "#") || key == "":
		case value == "":
			section = key + "."
		case in:
			values[section+strings.TrimSpace(key)] = strings.TrimSpace(value)
		default:
			values[key] = strings.TrimSpace(value)
		}
	}
	return values, nil
}

// print writes the runs as columns.
func (c *comparison) print(w io.Writer) {
	head := []string{""}
	for _, r := range c.Runs {
		head = append(head, filepath.Clean(r.Path))
	}
	rows := [][]string{head}
	for _, d := range c.Recipes {
		row := []string{d.Key}
		for _, v := range d.Values {
			row = append(row, orDash(v))
		}
		rows = append(rows, row)
	}
	if len(c.Recipes) == 0 {
		rows = append(rows, []string{"the recipes are the same"})
	}
	rows = append(rows, nil)
	add := func(name string, value func(r comparedRun) string) {
		row, any := []string{name}, false
		for _, r := range c.Runs {
			v := value(r)
			any = any || v != ""
			row = append(row, orDash(v))
		}
		if any {
			rows = append(rows, row)
		}
	}
	of := func(p *evalPoint, f func(evalPoint) float64) string {
		if p == nil || f(*p) == 0 {
			return ""
		}
		return fmt.Sprintf("%.4f", f(*p))
	}
	loss, bpb := func(p evalPoint) float64 { return p.Loss }, func(p evalPoint) float64 { return p.BPB }
	measured := func(f func(m runMetrics) string) func(r comparedRun) string {
		return func(r comparedRun) string {
			if r.Metrics == nil {
				return ""
			}
			return f(*r.Metrics)
		}
	}
	add("state", func(r comparedRun) string { return r.State })
	add("step", func(r comparedRun) string { return fmt.Sprint(r.Step) })
	add("parameters", func(r comparedRun) string { return count(r.Parameters) })
	add("val loss before", func(r comparedRun) string { return of(r.First, loss) })
	add("val loss", func(r comparedRun) string { return of(r.Last, loss) })
	add("val bits per byte", func(r comparedRun) string { return of(r.Last, bpb) })
	add("loss of the last step", measured(func(m runMetrics) string { return fmt.Sprintf("%.4f", m.Loss) }))
	add("tokens", measured(func(m runMetrics) string { return count(m.Tokens) }))
	add("tok/s, median", measured(func(m runMetrics) string { return count(m.Rate) }))
	add("time in steps", measured(func(m runMetrics) string { return span(time.Duration(m.Seconds * float64(time.Second))) }))
	add("memory planned", func(r comparedRun) string { return size(r.Memory) })
	printColumns(w, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printColumns aligns rows of cells, the first column to the left and the others to the right.
func printColumns(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// runMetrics is the sum of a run's metrics.jsonl.
type runMetrics struct {
	Steps        int               `json:"steps"`
	Tokens       uint64            `json:"tokens"`
	Seconds      float64           `json:"seconds"` // in updates alone, of every process of the run
	Rate         float64           `json:"tok_s"`   // the median step's
	Loss         float64           `json:"loss"`    // of the last step
	GradNorm     float64           `json:"gnorm"`
	LearningRate float64           `json:"lr"`
	Skipped      int               `json:"skipped,omitempty"`
	Val          *train.Evaluation `json:"val,omitempty"` // the last validation
	ValStep      int               `json:"val_step,omitempty"`
}

// readMetrics sums up the metrics of a run; nil where there are none. The last line may be cut short: a run that is
// going on, or has lost power, leaves it so, and resuming removes it.
func readMetrics(d vfs.FS) (*runMetrics, error) {
	f, err := d.Open(train.MetricsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &runMetrics{}
	var rates []float64
	var torn error
	for line, err := range data.Lines(f, d.Path(train.MetricsFile), 1<<20) {
		if err != nil {
			return nil, err
		}
		if torn != nil {
			return nil, torn
		}
		var x struct {
			Event string  `json:"event"`
			Step  int     `json:"step"`
			Total uint64  `json:"tokens"` // so far; of a validation, its targets
			Loss  float64 `json:"loss"`
			BPB   float64 `json:"bpb"`
			Bytes float64 `json:"bytes"`
			GNorm float64 `json:"gnorm"`
			LR    float64 `json:"lr"`
			MS    float64 `json:"ms"`
			Rate  float64 `json:"tok_s"`
		}
		if err := json.Unmarshal(line.Bytes, &x); err != nil {
			torn = fmt.Errorf("%s:%d is not a line of metrics: %w", d.Path(train.MetricsFile), line.Number, err)
			continue
		}
		if x.Event == "val" {
			m.Val, m.ValStep = &train.Evaluation{Loss: x.Loss, BPB: x.BPB, Tokens: int(x.Total), Bytes: x.Bytes}, x.Step
			continue
		}
		if x.Event == "skip" {
			m.Skipped++
		}
		m.Steps, m.Tokens, m.Loss, m.GradNorm, m.LearningRate = x.Step, x.Total, x.Loss, x.GNorm, x.LR
		m.Seconds += x.MS / 1000
		rates = append(rates, x.Rate)
	}
	if len(rates) == 0 {
		return nil, nil
	}
	slices.Sort(rates)
	m.Rate = rates[len(rates)/2]
	return m, nil
}

// readJSON reads a small file.
func readJSON(d vfs.FS, name string, v any) error {
	b, err := vfs.ReadFile(d, name, 1<<20)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return nil
}
