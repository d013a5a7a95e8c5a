package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"forja/engine/format/hf"
	"forja/engine/gen"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// modelDir finds the model in what the user names: a model directory, or a run, whose finished model or newest
// checkpoint it is.
func modelDir(path string) (string, error) {
	has := func(dir, file string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err == nil
	}
	if has(path, "config.json") {
		return path, nil
	}
	if dir := filepath.Join(path, train.ModelDir); has(dir, "config.json") {
		return dir, nil
	}
	d, err := vfs.OS(path)
	if err != nil {
		return "", usagef("there is no model in %s: %v", path, err)
	}
	defer d.Close()
	name, _, err := latest(d)
	if err == nil {
		if dir := filepath.Join(path, train.CheckpointDir, name); has(dir, "config.json") {
			return dir, nil
		}
	}
	return "", usagef("there is no model in %s: neither config.json, nor a run with a model or a checkpoint", path)
}

// A loaded model is one whose parameters are in a session.
type loaded struct {
	dir     string
	encoder *encoder
	model   *model.Model
	session *graph.Session
}

// loadModel reads a model, its tokenizer and perhaps an adapter, and puts the parameters on a device.
func loadModel(b kernels.Backend, path, adapter string) (*loaded, error) {
	dir, err := modelDir(path)
	if err != nil {
		return nil, err
	}
	if err := verify(dir); err != nil {
		return nil, err
	}
	l := &loaded{dir: dir}
	if l.encoder, err = openTokenizer(dir); err != nil {
		return nil, err
	}
	d, err := vfs.OS(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f, err := hf.Open(d, ".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if n := l.encoder.VocabSize(); n > f.Config.Vocab {
		return nil, fmt.Errorf("%s: the tokenizer has %d ids and the model %d: they do not belong together", dir, n, f.Config.Vocab)
	}
	if l.model, err = model.New(f.Config); err != nil {
		return nil, err
	}
	if f.BF16() {
		l.model.SetDType(kernels.BF16)
	}
	values, err := f.Values(l.model)
	if err != nil {
		return nil, err
	}
	l.session = graph.NewSession(b)
	put := func(vars []*graph.Var, values hf.Fetch) error {
		for _, v := range vars {
			x, err := values(v)
			if err != nil {
				return err
			}
			if err := l.session.Add(v); err != nil {
				return err
			}
			if err := train.SetFloats(l.session, v, x); err != nil {
				return err
			}
		}
		return b.Sync()
	}
	if err := put(l.model.Params(), values); err != nil {
		return nil, err
	}
	if adapter == "" {
		return l, nil
	}
	return l, l.adapt(adapter, put)
}

func (l *loaded) adapt(path string, put func([]*graph.Var, hf.Fetch) error) error {
	d, err := vfs.OS(path)
	if err != nil {
		return err
	}
	defer d.Close()
	ad, err := hf.OpenAdapter(d, ".")
	if err != nil {
		return err
	}
	defer ad.Close()
	if err := l.model.Adapt(ad.LoRA); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	values, err := ad.Values(l.model)
	if err != nil {
		return err
	}
	return put(l.model.Trainable(), values)
}

// withModel loads a model on a device and calls f there with a generator for it.
func (a *app) withModel(ctx context.Context, device, path, adapter string, context int, f func(*loaded, *gen.Generator) error) error {
	dev, err := a.openDevice(device)
	if err != nil {
		return err
	}
	defer dev.Close()
	return dev.Do(ctx, func(b kernels.Backend) error {
		l, err := loadModel(b, path, adapter)
		if err != nil {
			return err
		}
		defer l.session.Close()
		g, err := gen.New(l.session, l.model, gen.Size{Context: context})
		if err != nil {
			return err
		}
		return f(l, g)
	})
}
