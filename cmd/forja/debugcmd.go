package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"forja/engine/data"
	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// debugCmd replays a step kernel by kernel.
func (a *app) debugCmd() *cobra.Command {
	var bad bool
	c := &cobra.Command{Use: "debug RUN [BATCH]", Short: "replay a step of a run kernel by kernel: of a saved batch, or of the next one",
		Example: "  forja debug runs/x runs/x/debug/00008212.safetensors --bad\n  forja debug runs/x", Args: cobra.RangeArgs(1, 2)}
	c.Flags().BoolVar(&bad, "bad", false, "show only values that are NaN or infinite")
	c.RunE = func(c *cobra.Command, args []string) error {
		file := filepath.Join(args[0], "recipe.yaml")
		src, err := os.ReadFile(file)
		if err != nil {
			return usagef("%s holds no run: %v", args[0], err)
		}
		r, err := recipe.Parse(file, src)
		if err != nil {
			return err
		}
		if err := r.Resolve(); err != nil {
			return err
		}
		d, err := vfs.OS(args[0])
		if err != nil {
			return err
		}
		defer d.Close()
		var batch *data.Batch
		if len(args) == 2 {
			if batch, err = readBatch(args[1]); err != nil {
				return err
			}
		}
		e, err := a.stageEncoder(c.Context(), &r.Stage, d)
		if err != nil {
			return err
		}
		j, err := newJob(&r.Stage, e.VocabSize())
		if err != nil {
			return err
		}
		sources, err := a.openSources(c.Context(), &r.Stage, e, d, j.length)
		if err != nil {
			return err
		}
		defer sources.close()
		dev, err := a.openDevice(r.Device)
		if err != nil {
			return err
		}
		defer dev.Close()
		return dev.Do(c.Context(), func(b kernels.Backend) error {
			p, err := j.plan(b.Info().Memory)
			if err != nil {
				return err
			}
			t, err := train.NewTrainer(b, p.model, p.opt, p.plans)
			if err != nil {
				return deviceError{err}
			}
			defer t.Close()
			if _, err := a.loadWeights(t, j, e); err != nil {
				return err
			}
			if name, _, err := latest(d); err == nil {
				if _, err := t.Restore(d, path.Join(train.CheckpointDir, name)); err != nil {
					return err
				}
			}
			a.talk.printf("weights of step %d", t.Step)
			if batch == nil {
				batch = data.NewBatch(p.shape.Rows, p.shape.Length)
				if err := sources.train.Fill(batch, t.Sample); err != nil {
					return err
				}
			}
			return a.trace(t, batch, bad)
		})
	}
	return c
}

func readBatch(file string) (*data.Batch, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s, err := safetensors.Open(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return train.ReadBatch(s)
}

// A tracedValue is one line of a replay.
type tracedValue struct {
	Row  int     `json:"row"`
	Op   string  `json:"op"`
	Out  int     `json:"out"`
	Name string  `json:"name,omitempty"`
	Site string  `json:"site"`
	Type string  `json:"type"`
	Min  float32 `json:"min"`
	Max  float32 `json:"max"`
	Bad  int     `json:"bad"`
}

// trace prints every value of a replay.
func (a *app) trace(t *train.Trainer, b *data.Batch, bad bool) error {
	values := []tracedValue{}
	err := t.Trace(b, func(row int, v graph.Traced) bool {
		if bad && v.Bad == 0 {
			return true
		}
		if v.Bad == v.Shape.Size() {
			v.Min, v.Max = 0, 0
		}
		values = append(values, tracedValue{row, v.Op, v.Out, v.Name, v.Site, v.Type.String(), v.Min, v.Max, v.Bad})
		return true
	})
	if err != nil {
		return err
	}
	return a.print(values, func(w io.Writer) {
		fmt.Fprintf(w, "%5s %-18s %-16s %-20s %12s %12s %8s  %s\n", "row", "kernel", "line", "type", "min", "max", "bad", "name")
		for _, v := range values {
			fmt.Fprintf(w, "%5d %-18s %-16s %-20s %12.4g %12.4g %8d  %s\n", v.Row, v.Op, v.Site, v.Type, v.Min, v.Max, v.Bad, v.Name)
		}
		if bad && len(values) == 0 {
			fmt.Fprintln(w, "every value is finite")
		}
	})
}
