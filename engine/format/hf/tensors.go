package hf

import (
	"fmt"
	"slices"
	"strings"

	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels"
)

// Fetch reads a Var's values in storage layout, F32.
type Fetch func(v *graph.Var) ([]float32, error)

// A Reader is an open file or set of files.
type Reader interface {
	Tensor(name string) (safetensors.Info, bool)
	ReadF32(name string, dst []float32) error
}

// Entries lists tensors for a file, under their names plus suffix, with values of of(t.Var), which is laid out like
// t.Var. Values are read when they are written, one Var at a time.
func Entries(ts []model.Tensor, suffix string, d safetensors.DType, of func(*graph.Var) *graph.Var, fetch Fetch) []safetensors.Entry {
	var last *graph.Var
	var values []float32
	var es []safetensors.Entry
	for _, t := range ts {
		v := of(t.Var)
		if v == nil {
			continue
		}
		es = append(es, safetensors.Entry{Name: t.Name + suffix, DType: d, Shape: t.Shape, Data: func(w writer) error {
			if last != v { // q, k and v share one Var
				var err error
				if values, err = fetch(v); err != nil {
					return err
				}
				last = v
			}
			return safetensors.FromF32(extract(t, values), d)(w)
		}})
	}
	return es
}

// columns of the matrix view that a tensor's rows are cut from: a vector is one column.
func columns(v *graph.Var) int {
	if len(v.Shape) == 1 {
		return 1
	}
	return v.Shape.Cols()
}

// extract is a tensor's values, as the file holds them, out of its Var's.
func extract(t model.Tensor, values []float32) []float32 {
	c := columns(t.Var)
	if len(t.Var.Shape) == 1 && t.Rows == 1 { // a whole vector
		return values
	}
	rows := values[t.Row*c : (t.Row+t.Rows)*c]
	if !t.Transpose {
		return rows
	}
	return transpose(rows, t.Rows, c)
}

// insert is the inverse of extract.
func insert(t model.Tensor, values, file []float32) {
	c := columns(t.Var)
	if len(t.Var.Shape) == 1 && t.Rows == 1 {
		copy(values, file)
		return
	}
	if t.Transpose {
		file = transpose(file, c, t.Rows)
	}
	copy(values[t.Row*c:(t.Row+t.Rows)*c], file)
}

// transpose of a rows×cols matrix, in tiles that fit the cache.
func transpose(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	const tile = 32
	for r0 := 0; r0 < rows; r0 += tile {
		for c0 := 0; c0 < cols; c0 += tile {
			for r := r0; r < min(r0+tile, rows); r++ {
				for c := c0; c < min(c0+tile, cols); c++ {
					y[c*rows+r] = x[r*cols+c]
				}
			}
		}
	}
	return y
}

// Values assembles the values of Vars, in storage layout, from a file's tensors of names plus suffix. Padding is zero.
func Values(ts []model.Tensor, suffix string, r Reader) Fetch {
	byVar := map[*graph.Var][]model.Tensor{}
	for _, t := range ts {
		byVar[t.Var] = append(byVar[t.Var], t)
	}
	return func(v *graph.Var) ([]float32, error) {
		parts := byVar[v]
		if parts == nil {
			return nil, fmt.Errorf("no tensor of the file belongs to %s", v.Name)
		}
		values := make([]float32, v.Shape.Size())
		for _, t := range parts {
			name, err := find(r, t, suffix)
			if err != nil {
				return nil, err
			}
			file := make([]float32, kernels.Shape(t.Shape).Size())
			if err := r.ReadF32(name, file); err != nil {
				return nil, err
			}
			insert(t, values, file)
		}
		return values, nil
	}
}

// find returns the name under which a file holds a tensor. GPT-2 is also published without its prefix.
func find(r Reader, t model.Tensor, suffix string) (string, error) {
	for _, name := range []string{t.Name + suffix, strings.TrimPrefix(t.Name, "transformer.") + suffix} {
		if info, ok := r.Tensor(name); ok {
			if !slices.Equal(info.Shape, t.Shape) {
				return "", fmt.Errorf("tensor %q has shape %v, and the model wants %v", name, info.Shape, t.Shape)
			}
			return name, nil
		}
	}
	return "", fmt.Errorf("tensor %q is missing", t.Name+suffix)
}

// Check reports tensors that are missing, misshapen, or unknown to the model: a file that holds more than the model
// computes with is another model's.
func Check(ts []model.Tensor, names []string, r Reader) error {
	known := map[string]bool{}
	for _, t := range ts {
		name, err := find(r, t, "")
		if err != nil {
			return err
		}
		known[name] = true
	}
	for _, n := range names {
		ignored := strings.HasSuffix(n, ".attn.bias") || strings.HasSuffix(n, ".attn.masked_bias") || strings.HasSuffix(n, ".rotary_emb.inv_freq") ||
			n == "lm_head.weight" // repeats a tied embedding
		if !known[n] && !ignored {
			return fmt.Errorf("tensor %q belongs to no part of this architecture", n)
		}
	}
	return nil
}
