package train

import (
	"fmt"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels"
)

// Values gives the values of a Var in storage layout, F32.
type Values func(v *graph.Var) ([]float32, error)

// Initial is a model's first values.
func Initial(m *model.Model, seed uint64) Values {
	return func(v *graph.Var) ([]float32, error) { return m.Init(v, seed), nil }
}

// Load sets the parameters, and adapters if there are any, with their masters. Moments are left alone.
func (t *Trainer) Load(values Values) error {
	masters := map[*graph.Var]*graph.Var{}
	for _, p := range t.Optim.Params {
		masters[p.W] = p.Master
	}
	for _, v := range append(t.Model.Params(), t.Model.Trainable()...) {
		x, err := values(v)
		if err != nil {
			return err
		}
		if err := SetFloats(t.s, v, x); err != nil {
			return err
		}
		if master := masters[v]; master != nil {
			graph.Set(t.s, master, x)
		}
	}
	return t.s.Backend().Sync()
}

// SetFloats stores values in an F32 or BF16 Var, rounding to nearest even.
func SetFloats(s *graph.Session, v *graph.Var, x []float32) error {
	switch {
	case len(x) != v.Shape.Size():
		return fmt.Errorf("%d values for %s of shape %v", len(x), v.Name, v.Shape)
	case v.DType == kernels.F32:
		graph.Set(s, v, x)
	case v.DType == kernels.BF16:
		graph.Set(s, v, kernels.ToBF16(x))
	default:
		return fmt.Errorf("%s stores %v, not floats", v.Name, v.DType)
	}
	return nil
}

// Floats reads an F32 or BF16 Var.
func Floats(s *graph.Session, v *graph.Var) ([]float32, error) {
	x := make([]float32, v.Shape.Size())
	if v.DType == kernels.BF16 {
		h := make([]uint16, len(x))
		graph.Get(s, v, h)
		err := s.Backend().Sync()
		kernels.FromBF16(x, h)
		return x, err
	}
	graph.Get(s, v, x)
	return x, s.Backend().Sync()
}
