package model

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"forja/engine/graph"
	"forja/kernels"
)

// LoRA is low-rank adaptation (Hu et al. 2021): each targeted projection computes x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ with W frozen,
// s = alpha/rank, or alpha/√rank for rank-stabilised LoRA (Kalajdzievski 2023). The product always goes through the rank
// first, so a frozen base costs no weight gradient.
type LoRA struct {
	Rank    int
	Alpha   float64
	Dropout float64
	RSLoRA  bool
	// Targets are module names such as q_proj (the last part, or any suffix), one regular expression that must match
	// a whole module name, or all-linear: every projection but the head.
	Targets []string

	adapters []*adapter
	rng      *graph.Var // random block of dropout

	// Training switches dropout on in what is recorded from now on.
	Training bool
}

// An adapter is the pair A (r,in), B (out,r) of one Hugging Face module.
type adapter struct {
	module string
	a, b   *graph.Var
	lo, hi int // columns of the projection's output
	site   uint32
}

// Scale is s.
func (l *LoRA) Scale() float64 {
	if l.RSLoRA {
		return l.Alpha / math.Sqrt(float64(l.Rank))
	}
	return l.Alpha / float64(l.Rank)
}

// Adapt freezes the model and adds adapters to the projections that l targets.
func (m *Model) Adapt(l LoRA) error {
	switch {
	case m.lora != nil:
		return fmt.Errorf("lora: the model has adapters already")
	case l.Rank <= 0 || l.Rank > 1<<14:
		return fmt.Errorf("lora.rank: %d is not between 1 and %d", l.Rank, 1<<14)
	case !(l.Alpha > 0):
		return fmt.Errorf("lora.alpha: %g is not positive", l.Alpha)
	case !(l.Dropout >= 0 && l.Dropout < 1):
		return fmt.Errorf("lora.dropout: %g is not in [0,1)", l.Dropout)
	}
	match, err := targets(l.Targets)
	if err != nil {
		return err
	}
	var modules []string
	used := map[string]bool{}
	for _, t := range m.tensors {
		if t.Module == "" {
			continue
		}
		modules = append(modules, t.Module)
		which := match(t.Module)
		if which == "" {
			continue
		}
		used[which] = true
		p := m.projectionOf(t.Var)
		a := &adapter{
			module: t.Module,
			a:      graph.NewVar(t.Module+".lora_A", kernels.F32, l.Rank, t.Var.Shape[1]),
			b:      graph.NewVar(t.Module+".lora_B", kernels.F32, t.Rows, l.Rank),
			lo:     t.Row, hi: t.Row + t.Rows, site: uint32(len(l.adapters)),
		}
		p.adapters = append(p.adapters, a)
		l.adapters = append(l.adapters, a)
	}
	for _, t := range l.Targets {
		if !used[t] {
			return fmt.Errorf("lora.targets: %q matches no projection of this model; it has %s", t, strings.Join(lastParts(modules), ", "))
		}
	}
	for _, v := range m.params {
		v.Frozen = true
	}
	l.rng = graph.NewVar("lora.rng", kernels.I32, kernels.RandomBlock)
	m.lora = &l
	return nil
}

// LoRA is the model's adaptation, nil if there is none.
func (m *Model) LoRA() *LoRA { return m.lora }

// Random is the random block that dropout reads; nil where there is no dropout.
func (m *Model) Random() *graph.Var {
	if m.lora == nil || m.lora.Dropout == 0 {
		return nil
	}
	return m.lora.rng
}

// targets compiles a target list to a function that returns the target that a module matches, or "".
func targets(ts []string) (func(module string) string, error) {
	if len(ts) == 0 {
		return nil, fmt.Errorf("lora.targets: none given; all-linear takes every projection")
	}
	res := make([]*regexp.Regexp, len(ts))
	for i, t := range ts {
		if strings.ContainsAny(t, `\*+?[](){}|^$`) {
			re, err := regexp.Compile("^(?:" + t + ")$")
			if err != nil {
				return nil, fmt.Errorf("lora.targets: %q is not a regular expression: %w", t, err)
			}
			res[i] = re
		}
	}
	return func(module string) string {
		for i, t := range ts {
			switch {
			case t == "all-linear", t == module, strings.HasSuffix(module, "."+t), res[i] != nil && res[i].MatchString(module):
				return t
			}
		}
		return ""
	}, nil
}

// lastParts are the distinct last parts of module names, in order.
func lastParts(modules []string) (parts []string) {
	for _, m := range modules {
		if p := m[strings.LastIndexByte(m, '.')+1:]; !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	return parts
}

func (m *Model) projectionOf(w *graph.Var) *linear {
	for _, b := range m.blocks {
		for _, l := range []*linear{b.qkv, b.o, b.fc, b.down} {
			if l.w == w {
				return l
			}
		}
	}
	return nil
}

// apply records y + s·(drop(x)·Aᵀ)·Bᵀ on the adapter's columns.
func (a *adapter) apply(g *graph.Graph, l *LoRA, x, y *graph.Node) *graph.Node {
	if l.Dropout > 0 && l.Training {
		rows := x.Shape[len(x.Shape)-2]
		x = g.Dropout(x, g.Leaf(l.rng), float32(l.Dropout), a.site, rows)
	}
	u := g.Linear(x, g.Leaf(a.a), graph.LinearOptions{})
	return g.LinearInto(y, u, g.Leaf(a.b), a.lo, a.hi, float32(l.Scale()))
}

func (l *LoRA) vars() (vs []*graph.Var) {
	for _, a := range l.adapters {
		vs = append(vs, a.a, a.b)
	}
	return vs
}

func (l *LoRA) adapter(v *graph.Var) *adapter {
	for _, a := range l.adapters {
		if a.a == v || a.b == v {
			return a
		}
	}
	return nil
}

// init is PEFT's: A uniform in ±1/√in, B zero.
func (a *adapter) init(v *graph.Var, seed uint64) []float32 {
	x := make([]float32, v.Shape.Size())
	if v == a.a {
		r, bound := generator(seed, v.Name), 1/math.Sqrt(float64(v.Shape[1]))
		for i := range x {
			x[i] = float32((2*r.Float64() - 1) * bound)
		}
	}
	return x
}

// Adapters lists the adapters' tensors with the modules they belong to, as PEFT names them.
func (m *Model) Adapters() (ts []Tensor) {
	if m.lora == nil {
		return nil
	}
	for _, a := range m.lora.adapters {
		ts = append(ts,
			Tensor{Name: a.module + ".lora_A.weight", Shape: a.a.Shape, Var: a.a, Rows: a.a.Shape[0], Module: a.module},
			Tensor{Name: a.module + ".lora_B.weight", Shape: a.b.Shape, Var: a.b, Rows: a.b.Shape[0], Module: a.module})
	}
	return ts
}

// Merge adds s·B·A to the weights of every adapted projection, or subtracts it with sign -1, on the device that holds
// them. The adapters stay: a merged model must be recorded without them, see Detach.
func (m *Model) Merge(k kernels.Backend, sign float32) error {
	if m.lora == nil {
		return fmt.Errorf("lora: the model has no adapters to merge")
	}
	for _, b := range m.blocks {
		for _, p := range []*linear{b.qkv, b.o, b.fc, b.down} {
			for _, a := range p.adapters {
				w := p.w.Tensor().RowRange(a.lo, a.hi)
				k.LinearDX(w, a.b.Tensor(), a.a.Tensor(), kernels.Epilogue{Scale: sign * float32(m.lora.Scale()), Residual: w})
			}
		}
	}
	return k.Sync()
}

// Detach removes the adapters from what is recorded from now on. It returns a function that puts them back.
func (m *Model) Detach() (restore func()) {
	l, kept := m.lora, map[*linear][]*adapter{}
	for _, b := range m.blocks {
		for _, p := range []*linear{b.qkv, b.o, b.fc, b.down} {
			kept[p], p.adapters = p.adapters, nil
		}
	}
	m.lora = nil
	return func() {
		m.lora = l
		for p, as := range kept {
			p.adapters = as
		}
	}
}

// Adapted lists the storage of projections that have adapters.
func (m *Model) Adapted() (vs []*graph.Var) {
	for _, b := range m.blocks {
		for _, p := range []*linear{b.qkv, b.o, b.fc, b.down} {
			if len(p.adapters) > 0 {
				vs = append(vs, p.w)
			}
		}
	}
	return vs
}
