package train

import (
	"encoding/json"
	"fmt"
	"io"
	"path"

	"forja/engine/format/hf"
	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
	"forja/kernels"
)

// State is what a checkpoint keeps besides tensors: all host state of a run.
type State struct {
	Version   int              `json:"version"`
	Step      int              `json:"step"`
	Sample    uint64           `json:"sample"`
	Seed      uint64           `json:"seed"`
	Spikes    *Spikes          `json:"spikes,omitempty"`
	Journals  map[string]int64 `json:"journals"`            // byte lengths to cut back to
	Tokenizer string           `json:"tokenizer,omitempty"` // fingerprint
	BaseHash  string           `json:"base_hash,omitempty"` // of the model that adapters belong to
	BasePath  string           `json:"base_path,omitempty"`
	Last      *Evaluation      `json:"last,omitempty"` // newest validation
}

const stateVersion = 1

// checkpointName sorts by step.
func checkpointName(step int) string { return fmt.Sprintf("%08d", step) }

// stored is the file dtype of a parameter's storage.
func stored(d kernels.DType) safetensors.DType {
	if d == kernels.BF16 {
		return safetensors.BF16
	}
	return safetensors.F32
}

// fetch reads storage as F32.
func (t *Trainer) fetch(v *graph.Var) ([]float32, error) { return Floats(t.s, v) }

// trained lists the tensors that training changes.
func (t *Trainer) trained() []model.Tensor {
	if t.Model.LoRA() != nil {
		return t.Model.Adapters()
	}
	return t.Model.Tensors()
}

// moments lists the optimizer's state by suffix.
func (t *Trainer) moments() map[string]func(*graph.Var) *graph.Var {
	byW := map[*graph.Var]int{}
	for i, p := range t.Optim.Params {
		byW[p.W] = i
	}
	pick := func(f func(i int) *graph.Var) func(*graph.Var) *graph.Var {
		return func(w *graph.Var) *graph.Var {
			i, ok := byW[w]
			if !ok {
				return nil
			}
			return f(i)
		}
	}
	return map[string]func(*graph.Var) *graph.Var{
		".master": pick(func(i int) *graph.Var { return t.Optim.Params[i].Master }),
		".m":      pick(func(i int) *graph.Var { return t.Optim.Params[i].M }),
		".v":      pick(func(i int) *graph.Var { return t.Optim.Params[i].V }),
	}
}

var suffixes = []string{".m", ".master", ".v"}

// Save makes the checkpoint of the current step under dir, durably, and returns its name. files are added as they are,
// a tokenizer for instance.
func (t *Trainer) Save(fsys vfs.FS, dir string, st State, files map[string][]byte) (string, error) {
	st.Version, st.Step, st.Sample, st.Seed, st.Spikes = stateVersion, t.Step, t.Sample, t.Seed, t.Spikes
	state, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return "", err
	}
	name := checkpointName(t.Step)
	err = snapshot.Save(fsys, dir, name, func(w *snapshot.Writer) error {
		if err := t.write(w.File, st.BasePath, st.BaseHash); err != nil {
			return err
		}
		var es []safetensors.Entry
		ms := t.moments()
		for _, suffix := range suffixes {
			es = append(es, hf.Entries(t.trained(), suffix, safetensors.F32, ms[suffix], t.fetch)...)
		}
		if err := safetensors.WriteSet(w.File, "optim", es, safetensors.MaxShardBytes, nil); err != nil {
			return err
		}
		for _, name := range sorted(files) {
			if err := w.WriteFile(name, files[name]); err != nil {
				return err
			}
		}
		return w.WriteFile("state.json", append(state, '\n'))
	})
	if err != nil {
		return "", fmt.Errorf("save checkpoint %s: %w", path.Join(dir, name), err)
	}
	return name, nil
}

// write writes the model, or its adapters where there are any.
func (t *Trainer) write(create hf.Create, basePath, baseHash string) error {
	if t.Model.LoRA() != nil {
		return hf.SaveAdapter(create, t.Model, basePath, baseHash, t.fetch)
	}
	return hf.Save(create, t.Model, stored(t.Model.Params()[0].DType), t.fetch)
}

// ReadState reads a checkpoint's state.json.
func ReadState(fsys vfs.FS, dir string) (State, error) {
	var st State
	b, err := vfs.ReadFile(fsys, path.Join(dir, "state.json"), 1<<20)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, fmt.Errorf("%s/state.json: %w", dir, err)
	}
	if st.Version != stateVersion {
		return st, fmt.Errorf("%s: checkpoint version %d; this forja reads %d", dir, st.Version, stateVersion)
	}
	return st, nil
}

// Restore sets the trainer to a verified checkpoint. Parameters that are not trained must be loaded already.
func (t *Trainer) Restore(fsys vfs.FS, dir string) (State, error) {
	st, err := ReadState(fsys, dir)
	if err != nil {
		return st, err
	}
	if err := t.restoreWeights(fsys, dir); err != nil {
		return st, fmt.Errorf("%s: %w", dir, err)
	}
	if err := t.restoreMoments(fsys, dir); err != nil {
		return st, fmt.Errorf("%s: %w", dir, err)
	}
	t.Step, t.Sample, t.Seed = st.Step, st.Sample, st.Seed
	if st.Spikes != nil && t.Spikes != nil {
		limit := t.Spikes.Limit // the recipe's, which may have changed
		*t.Spikes = *st.Spikes
		t.Spikes.Limit = limit
	}
	return st, t.s.Backend().Sync()
}

func (t *Trainer) restoreWeights(fsys vfs.FS, dir string) error {
	values, closer, err := t.savedValues(fsys, dir)
	if err != nil {
		return err
	}
	defer closer.Close()
	vars := t.Model.Params()
	if t.Model.LoRA() != nil {
		vars = t.Model.Trainable()
	}
	for _, v := range vars {
		x, err := values(v)
		if err == nil {
			err = SetFloats(t.s, v, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Trainer) savedValues(fsys vfs.FS, dir string) (hf.Fetch, io.Closer, error) {
	if t.Model.LoRA() != nil {
		a, err := hf.OpenAdapter(fsys, dir)
		if err != nil {
			return nil, nil, err
		}
		values, err := a.Values(t.Model)
		if err != nil {
			a.Close()
		}
		return values, a, err
	}
	f, err := hf.Open(fsys, dir)
	if err != nil {
		return nil, nil, err
	}
	values, err := f.Values(t.Model)
	if err != nil {
		f.Close()
	}
	return values, f, err
}

func (t *Trainer) restoreMoments(fsys vfs.FS, dir string) error {
	set, err := safetensors.OpenSet(fsys, dir, "optim")
	if err != nil {
		return err
	}
	defer set.Close()
	ms := t.moments()
	for _, suffix := range suffixes {
		values := hf.Values(t.trained(), suffix, set)
		for _, p := range t.Optim.Params {
			v := ms[suffix](p.W)
			if v == nil {
				continue
			}
			x, err := values(p.W)
			if err == nil {
				err = SetFloats(t.s, v, x)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Export writes the model as Hugging Face lays it out, with adapters merged in, stored as the parameters are.
func (t *Trainer) Export(create hf.Create) error {
	m := t.Model
	if m.LoRA() == nil {
		return t.write(create, "", "")
	}
	// Merging changes the base in place; the values before are put back, since adding and subtracting would round.
	kept := map[*graph.Var][]float32{}
	for _, a := range m.Adapted() {
		x, err := t.fetch(a)
		if err != nil {
			return err
		}
		kept[a] = x
	}
	if err := m.Merge(t.s.Backend(), 1); err != nil {
		return err
	}
	err := hf.Save(create, m, stored(m.Params()[0].DType), t.fetch)
	for v, x := range kept {
		if err2 := SetFloats(t.s, v, x); err == nil {
			err = err2
		}
	}
	return err
}
