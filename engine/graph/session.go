package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"forja/kernels"
)

// A Session owns the storage of Vars and one arena, as large as the largest plan bound to it, on one Backend.
// Plans of one Session never run at the same time, so they share the arena; outputs of a step are valid until the
// next step runs. A Session is used where its Backend is: inside Device.Do.
type Session struct {
	b     kernels.Backend
	vars  map[*Var]kernels.Buffer
	arena kernels.Buffer
	steps []*Step

	recorder kernels.Recorder // nil where the Backend is none
	notKept  error            // why a step could not be recorded
}

// NewSession returns a Session without storage.
func NewSession(b kernels.Backend) *Session {
	s := &Session{b: b, vars: map[*Var]kernels.Buffer{}}
	s.recorder, _ = b.(kernels.Recorder)
	return s
}

// Backend is the device that the Session lives on.
func (s *Session) Backend() kernels.Backend { return s.b }

// Add allocates storage for Vars, filled with zeros. A Var that is there already is left alone.
func (s *Session) Add(vars ...*Var) error {
	for _, v := range vars {
		v, _ = v.root()
		if s.vars[v] != nil {
			continue
		}
		buf, err := s.b.Alloc(v.Bytes())
		if err != nil {
			return fmt.Errorf("storage of %s: %w", v.Name, err)
		}
		s.vars[v] = buf
		v.bind(buf, 0)
		if v.DType == kernels.U8 { // no kernel fills bytes
			s.b.Upload(v.tensor, make([]byte, v.bytes()))
		} else {
			s.b.Fill(v.tensor, 0)
		}
	}
	return s.b.Sync()
}

// Remove frees the storage of Vars and forgets the steps that use them, which must not run again.
func (s *Session) Remove(vars ...*Var) {
	s.steps = slices.DeleteFunc(s.steps, func(st *Step) bool {
		uses := slices.ContainsFunc(vars, func(v *Var) bool { return slices.Contains(st.plan.vars, v) })
		if uses {
			st.forget()
		}
		return uses
	})
	for _, v := range vars {
		if buf := s.vars[v]; buf != nil {
			s.b.Free(buf)
			delete(s.vars, v)
			v.bind(nil, 0)
		}
	}
}

// Bind makes a plan runnable: it adds the plan's Vars and enlarges the arena if needed.
func (s *Session) Bind(p *Plan) (*Step, error) {
	if err := s.Add(p.vars...); err != nil {
		return nil, err
	}
	st := &Step{s: s, plan: p}
	s.steps = append(s.steps, st)
	if s.arena == nil && p.Arena > 0 || s.arena != nil && s.arena.Size() < p.Arena {
		if s.arena != nil {
			s.b.Free(s.arena)
		}
		var err error
		if s.arena, err = s.b.Alloc(p.Arena); err != nil {
			s.arena = nil
			return nil, fmt.Errorf("working memory: %w", err)
		}
		for _, old := range s.steps {
			old.bind()
		}
		return st, nil
	}
	st.bind()
	return st, nil
}

// Close frees all storage.
func (s *Session) Close() {
	for _, st := range s.steps {
		st.forget()
	}
	for v, buf := range s.vars {
		s.b.Free(buf)
		v.bind(nil, 0)
	}
	if s.arena != nil {
		s.b.Free(s.arena)
	}
	s.vars, s.arena, s.steps = map[*Var]kernels.Buffer{}, nil, nil
}

// Element is a Go type that storage can be read into or written from.
type Element interface {
	float32 | int32 | uint16 | uint8
}

// Set copies host values to a Var: float32 to F32, int32 to I32, uint16 to BF16 bits, uint8 to U8.
func Set[E Element](s *Session, v *Var, data []E) {
	s.b.Upload(v.tensor, bytesOf(data))
}

// Get copies a Var to host values. They are there after the backend's next Sync.
func Get[E Element](s *Session, v *Var, data []E) {
	s.b.Download(bytesOf(data), v.tensor)
}

func bytesOf[E Element](data []E) []byte {
	if len(data) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(data[0])))
}

// A Step is a plan bound to storage.
type Step struct {
	s        *Session
	plan     *Plan
	launches []Kernel
	dead     [][]kernels.Tensor // dead[i]: ranges free after launch i; only under Options.Poison
	parts    map[span]*recording
}

// Plan is what the step replays.
func (st *Step) Plan() *Plan { return st.plan }

func (st *Step) bind() {
	st.forget()
	st.launches = st.launches[:0]
	for _, c := range st.plan.calls {
		b := st.plan.binding(c, st.s.arena, func(v *Var) kernels.Tensor { return v.tensor })
		st.launches = append(st.launches, c.Op.Bind(b))
	}
	if st.plan.options.Poison {
		st.dead = make([][]kernels.Tensor, len(st.plan.calls))
		seen := map[*value]bool{}
		for _, c := range st.plan.calls {
			for _, n := range c.Out {
				if v := st.plan.values[n]; v != nil && !seen[v] && v.last < len(st.plan.calls) {
					seen[v] = true
					t := kernels.New(st.s.arena, kernels.F32, 1, v.bytes/4)
					t.Off = v.off / 4
					st.dead[v.last] = append(st.dead[v.last], t)
				}
			}
		}
	}
}

// Run replays the whole plan. It allocates nothing after the second time, when a device that can records it. Errors are
// the stream's: see kernels.Backend.Sync.
func (st *Step) Run() { st.replay(0, len(st.launches)) }

// Forward replays the calls recorded before Graph.Backward, and Backward the others: between them the host may read
// outputs and set cotangents.
func (st *Step) Forward() { st.replay(0, st.plan.forward) }

// Backward replays the rest: see Forward.
func (st *Step) Backward() { st.replay(st.plan.forward, len(st.launches)) }

func (st *Step) launch(lo, hi int) {
	for i := lo; i < hi; i++ {
		st.launches[i](st.s.b)
		if st.dead != nil {
			for _, t := range st.dead[i] {
				st.s.b.Fill(t, float32(math.NaN()))
			}
		}
	}
}

// Output copies a named output to host values, which are there after the backend's next Sync.
func Output[E Element](st *Step, name string, data []E) error {
	n := st.plan.outputs[name]
	if n == nil {
		return fmt.Errorf("the plan has no output %q", name)
	}
	st.s.b.Download(bytesOf(data), st.tensor(n))
	return nil
}

func (st *Step) tensor(n *Node) kernels.Tensor {
	if n.v != nil {
		return n.v.tensor
	}
	t := kernels.New(st.s.arena, n.DType, n.Shape...)
	t.Off = st.plan.values[n].off / n.DType.Size()
	return t
}

// RunContext replays the plan and waits for it, giving up between kernels when ctx ends.
func (st *Step) RunContext(ctx context.Context) error {
	for i := range st.launches {
		if err := ctx.Err(); err != nil {
			return err
		}
		st.launch(i, i+1)
	}
	return st.s.b.Sync()
}
