package main

import (
	"github.com/spf13/cobra"

	"forja/engine/format/hf"
	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
	"forja/kernels"
)

func (a *app) mergeCmd() *cobra.Command {
	var out, device string
	c := &cobra.Command{Use: "merge MODEL ADAPTER -o DIR", Short: "add a LoRA adapter to its base model's weights", Args: cobra.ExactArgs(2),
		Example: "  forja merge runs/base/model runs/chat/adapter -o merged"}
	c.Flags().StringVarP(&out, "output", "o", "", "directory of the merged model, which must not exist")
	c.Flags().StringVar(&device, "device", "auto", deviceHelp)
	c.RunE = func(c *cobra.Command, args []string) error {
		if out == "" {
			return usagef("say where the merged model goes: -o DIR")
		}
		dev, err := a.openDevice(device)
		if err != nil {
			return err
		}
		defer dev.Close()
		return dev.Do(c.Context(), func(b kernels.Backend) error {
			l, err := loadModel(b, args[0], args[1])
			if err != nil {
				return err
			}
			defer l.session.Close()
			if err := l.model.Merge(b, 1); err != nil {
				return err
			}
			return a.saveModel(l, out)
		})
	}
	return c
}

// saveModel writes a loaded model to a new directory, whole or not at all.
func (a *app) saveModel(l *loaded, out string) error {
	parent, name, err := splitOutput(out)
	if err != nil {
		return err
	}
	d, err := vfs.MakeOS(parent)
	if err != nil {
		return err
	}
	defer d.Close()
	stored := safetensors.F32
	if l.model.Params()[0].DType == kernels.BF16 {
		stored = safetensors.BF16
	}
	err = snapshot.Save(d, ".", name, func(w *snapshot.Writer) error {
		if err := hf.Save(w.File, l.model, stored, func(v *graph.Var) ([]float32, error) { return train.Floats(l.session, v) }); err != nil {
			return err
		}
		for _, f := range []string{tokenizerFile, tokenizerConfigFile, templateFile} {
			if b := l.encoder.files[f]; b != nil {
				if err := w.WriteFile(f, b); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		a.talk.printf("saved %s", out)
	}
	return err
}
