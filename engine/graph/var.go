package graph

import (
	"fmt"

	"forja/kernels"
)

// A Type is a shape and a storage type.
type Type struct {
	Shape kernels.Shape
	DType kernels.DType
}

func (t Type) bytes() int     { return t.Shape.Size() * t.DType.Size() }
func (t Type) String() string { return fmt.Sprintf("%v%v", t.DType, t.Shape) }

// with is the same type with another last axis.
func (t Type) with(cols int) Type {
	s := append(kernels.Shape{}, t.Shape...)
	s[len(s)-1] = cols
	return Type{s, t.DType}
}

// A Var is named storage that outlives plans: a parameter, gradient, moment, input, control block or cache.
// Its type may change until it is added to a [Session]; recording uses the type it has then.
type Var struct {
	Name string
	Type
	Frozen bool // a parameter that is not trained

	flat   *Var // the Var that holds this one's storage, if any
	off    int  // in elements of flat
	parts  []*Var
	tensor kernels.Tensor // set by Session.Add
}

// NewVar describes storage of the given type. It has no memory until a [Session] adds it.
func NewVar(name string, d kernels.DType, shape ...int) *Var {
	return &Var{Name: name, Type: Type{shape, d}}
}

// flatAlign is the alignment, in elements, of the parts of a flat Var: 64 bytes of F32.
const flatAlign = 16

// Flat is one Var (1,N) whose storage is divided among parts, in order, so that one kernel can sweep them all. A part
// may itself be flat. The gaps that align the parts hold zeros. Every part takes dtype d.
func Flat(name string, d kernels.DType, parts ...*Var) *Var {
	f := &Var{Name: name, parts: parts}
	n := 0
	for _, p := range parts {
		p.flat, p.off = f, n
		p.setDType(d)
		n += (p.Shape.Size() + flatAlign - 1) / flatAlign * flatAlign
	}
	f.Type = Type{kernels.Shape{1, n}, d}
	return f
}

// Tensor is the Var's storage. It is valid once a Session has added the Var.
func (v *Var) Tensor() kernels.Tensor { return v.tensor }

// Bytes is the storage that the Var takes, 0 for a part of a flat Var.
func (v *Var) Bytes() int {
	if v.flat != nil {
		return 0
	}
	return align(v.bytes())
}

func (v *Var) setDType(d kernels.DType) {
	v.DType = d
	for _, p := range v.parts {
		p.setDType(d)
	}
}

// root is the Var that holds the storage, and where in it this one starts.
func (v *Var) root() (r *Var, off int) {
	for v.flat != nil {
		off += v.off
		v = v.flat
	}
	return v, off
}

// bind gives the Var and its parts their storage.
func (v *Var) bind(b kernels.Buffer, off int) {
	v.tensor = kernels.New(b, v.DType, v.Shape...)
	v.tensor.Off = off
	for _, p := range v.parts {
		p.bind(b, off+p.off)
	}
}

// arenaAlign is the alignment of every value in bytes.
const arenaAlign = 64

func align(n int) int { return (n + arenaAlign - 1) / arenaAlign * arenaAlign }

// Root is the Var whose storage this one is part of: itself, unless it is part of a flat one.
func (v *Var) Root() *Var {
	r, _ := v.root()
	return r
}
