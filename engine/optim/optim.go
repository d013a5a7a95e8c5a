package optim

import (
	"fmt"
	"math"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels"
)

// Config holds an optimizer's constants.
type Config struct {
	Kind         string // adamw or muon: Muon for the matrices of the blocks, AdamW for the rest
	Beta1, Beta2 float64
	Eps          float64
	Decay        float64 // decoupled, of matrices only
	Momentum     float64 // of Muon
	MuonScale    float64 // Muon's learning rate as a multiple of AdamW's; 0 means 1
	Clip         float64 // largest norm of the gradient; 0 never clips
}

// A Param is a trained parameter and its state. Master is nil where the parameter itself is F32; V is nil under Muon.
type Param struct {
	W, Grad, Master, M, V *graph.Var
}

// An Optimizer is the state of all trained parameters of a model.
type Optimizer struct {
	Config
	Control *graph.Var // see kernels.ControlLR
	Params  []Param    // in storage order
	Grad    *graph.Var // all gradients, flat

	adam []group
	muon []matrix
}

// A group is a flat range of parameters that one AdamW call updates.
type group struct {
	w, master, m, v, grad *graph.Var
	decay                 float64
}

// A matrix is rows [lo, hi) of a parameter that Muon orthogonalises as a whole: q, k and v count apart.
type matrix struct {
	Param
	lo, hi int
}

// New lays out the state of the parameters that training changes. It must come before the model has storage.
func New(c Config, m *model.Model) (*Optimizer, error) {
	if c.Kind != "adamw" && c.Kind != "muon" {
		return nil, fmt.Errorf("optim.kind: %q is not one of adamw, muon", c.Kind)
	}
	o := &Optimizer{Config: c, Control: graph.NewVar("control", kernels.F32, kernels.ControlSize)}
	parts := map[*graph.Var][][2]int{} // matrices of the blocks, by the tensors they hold
	for _, t := range append(m.Tensors(), m.Adapters()...) {
		if t.Module != "" && len(t.Var.Shape) == 2 {
			parts[t.Var] = append(parts[t.Var], [2]int{t.Row, t.Row + t.Rows})
		}
	}
	var decayed, plain, ortho []*graph.Var
	for _, w := range m.Trainable() {
		switch {
		case len(w.Shape) == 1:
			plain = append(plain, w)
		case c.Kind == "muon" && parts[w] != nil:
			ortho = append(ortho, w)
		default:
			decayed = append(decayed, w)
		}
	}
	var grads []*graph.Var
	for _, g := range []struct {
		name string
		ws   []*graph.Var
		kind string
	}{{"decayed", decayed, "adamw"}, {"plain", plain, "adamw"}, {"ortho", ortho, "muon"}} {
		if len(g.ws) == 0 {
			continue
		}
		grads = append(grads, o.layOut(g.name, g.ws, g.kind, g.name == "decayed", parts))
	}
	o.Grad = graph.Flat("grad", kernels.F32, grads...)
	return o, nil
}

// layOut makes one group's flat ranges and returns that of its gradients.
func (o *Optimizer) layOut(name string, ws []*graph.Var, kind string, decay bool, parts map[*graph.Var][][2]int) *graph.Var {
	like := func(suffix string) (vs []*graph.Var) {
		for _, w := range ws {
			vs = append(vs, graph.NewVar(w.Name+suffix, kernels.F32, w.Shape...))
		}
		return vs
	}
	d := ws[0].DType
	gr, ms := like(".grad"), like(".m")
	var masters, vs []*graph.Var
	g := group{w: graph.Flat(name, d, ws...), grad: graph.Flat(name+".grad", kernels.F32, gr...), m: graph.Flat(name+".m", kernels.F32, ms...)}
	if d != kernels.F32 {
		masters = like(".master")
		g.master = graph.Flat(name+".master", kernels.F32, masters...)
	}
	if kind == "adamw" {
		vs = like(".v")
		g.v = graph.Flat(name+".v", kernels.F32, vs...)
		if decay {
			g.decay = o.Decay
		}
		o.adam = append(o.adam, g)
	}
	for i, w := range ws {
		p := Param{W: w, Grad: gr[i], M: ms[i]}
		if masters != nil {
			p.Master = masters[i]
		}
		if vs != nil {
			p.V = vs[i]
		}
		o.Params = append(o.Params, p)
		if kind == "muon" {
			for _, r := range parts[w] {
				o.muon = append(o.muon, matrix{p, r[0], r[1]})
			}
		}
	}
	return g.grad
}

// Grads maps each trained parameter to its gradient, as graph.Backward wants it.
func (o *Optimizer) Grads() map[*graph.Var]*graph.Var {
	g := map[*graph.Var]*graph.Var{}
	for _, p := range o.Params {
		g[p.W] = p.Grad
	}
	return g
}

// Vars lists the roots of the optimizer's storage, for a Session.
func (o *Optimizer) Vars() []*graph.Var {
	vs := []*graph.Var{o.Control, o.Grad}
	for _, p := range o.Params {
		for _, v := range []*graph.Var{p.W, p.Master, p.M, p.V} {
			if v != nil {
				vs = append(vs, v)
			}
		}
	}
	return vs
}

// RecordNorm records the gradient's norm, its clipping factor and whether to skip, which the update reads.
func (o *Optimizer) RecordNorm(g *graph.Graph) { g.GradNorm(o.Control, o.Grad, float32(o.Clip)) }

// RecordUpdate records one step of every parameter.
func (o *Optimizer) RecordUpdate(g *graph.Graph) {
	for _, a := range o.adam {
		g.AdamW(a.w, a.master, a.m, a.v, a.grad, o.Control, kernels.AdamW{
			Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Eps: float32(o.Eps), Decay: float32(a.decay)})
	}
	for _, m := range o.muon {
		g.Muon(m.W, m.Master, m.M, m.Grad, o.Control, m.lo, m.hi, kernels.Muon{
			Momentum: float32(o.Momentum), Decay: float32(o.Decay), LRScale: float32(o.MuonScale)})
	}
}

// SetControl fills the control block for a step counted from 0 with the given learning rate. An update whose gradient norm
// is above bound is skipped; 0 bounds nothing.
func (o *Optimizer) SetControl(control *[kernels.ControlSize]float32, step int, rate, bound float64) {
	t := float64(step + 1)
	control[kernels.ControlLR] = float32(rate)
	control[kernels.ControlBound] = float32(bound)
	control[kernels.ControlC1] = float32(1 - math.Pow(o.Beta1, t))
	control[kernels.ControlC2] = float32(1 - math.Pow(o.Beta2, t))
}
