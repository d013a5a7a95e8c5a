package hf

import (
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"

	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/vfs"
)

type writer = io.Writer

// maxJSON bounds configuration files.
const maxJSON = 4 << 20

// A Folder is an open model directory.
type Folder struct {
	Config model.Config
	set    *safetensors.Set
	dir    string // for messages
}

// Open reads the configuration and the tensors' directory of a model.
func Open(fsys vfs.FS, dir string) (*Folder, error) {
	where := fsys.Path(dir)
	b, err := vfs.ReadFile(fsys, path.Join(dir, "config.json"), maxJSON)
	if err != nil {
		return nil, fmt.Errorf("no model in %s: %w", where, err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	set, err := safetensors.OpenDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	return &Folder{c, set, where}, nil
}

// BF16 reports whether the weights are stored as bfloat16.
func (f *Folder) BF16() bool {
	for _, n := range f.set.Names() {
		if t, _ := f.set.Tensor(n); t.DType == safetensors.BF16 {
			return true
		}
	}
	return false
}

// Values checks the files against a model of the folder's configuration and gives its parameters' values.
func (f *Folder) Values(m *model.Model) (Fetch, error) {
	if err := Check(m.Tensors(), f.set.Names(), f.set); err != nil {
		return nil, fmt.Errorf("%s: %w", f.dir, err)
	}
	get := Values(m.Tensors(), "", f.set)
	return func(v *graph.Var) ([]float32, error) {
		x, err := get(v)
		if err != nil {
			err = fmt.Errorf("%s: %w", f.dir, err)
		}
		return x, err
	}, nil
}

// Close closes the files.
func (f *Folder) Close() error { return f.set.Close() }

// Create makes one file with the content that write gives it, as snapshot's Writer does.
type Create func(name string, write func(io.Writer) error) error

// itself is the storage of a parameter.
func itself(v *graph.Var) *graph.Var { return v }

// Save writes a model's configuration and tensors, stored as d.
func Save(create Create, m *model.Model, d safetensors.DType, fetch Fetch) error {
	dtype := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.BF16: "bfloat16"}[d]
	if dtype == "" {
		return fmt.Errorf("models are saved as F32 or BF16, not %v", d)
	}
	if err := WriteBytes(create, "config.json", FormatConfig(m.Config, dtype)); err != nil {
		return err
	}
	es := Entries(m.Tensors(), "", d, itself, fetch)
	return safetensors.WriteSet(create, "model", es, safetensors.MaxShardBytes, nil)
}

// WriteBytes makes a file of b.
func WriteBytes(create Create, name string, b []byte) error {
	return create(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Hash is a digest, in hexadecimal, of every tensor's name, type, shape and bytes: the same for the same model however
// its files are cut.
func (f *Folder) Hash(h hash.Hash) (string, error) {
	for _, n := range f.set.Names() {
		t, _ := f.set.Tensor(n)
		fmt.Fprintf(h, "%s %v %v\n", n, t.DType, t.Shape)
		r, err := f.set.Section(n)
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(h, r); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
