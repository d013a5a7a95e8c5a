package graph

import (
	"errors"
	"fmt"
	"time"

	"forja/kernels"
)

// A Timing is what one call of a plan cost while a Session was profiled.
type Timing struct {
	Op, Site string
	In, Out  []Type // of the operands; the zero Type stands for an absent one
	Launches int
	Total    time.Duration // by the clock of Profile
	Best     time.Duration // of one launch: what other work on the machine disturbed least
}

// Profile runs f, and times every kernel that the Session's steps launch meanwhile, waiting for each. clock is any that
// does not run backwards: of the wall, or of the processor. Timings come in the order of the plans, calls that never ran
// left out. Results are those of a run without Profile; an error of the stream is returned here, since waiting takes it
// from f's own Sync.
func (s *Session) Profile(clock func() time.Duration, f func() error) ([]Timing, error) {
	var timings []*Timing
	var failed error
	recorder := s.recorder
	for _, st := range s.steps {
		st.forget()
	}
	s.recorder = nil // kernels of a recording cannot be timed one by one
	defer func() { s.recorder = recorder }()
	for _, st := range s.steps {
		for i, c := range st.plan.calls {
			t, launch := &Timing{Op: opName(c.Op), Site: c.Site, In: typesOf(c.In), Out: typesOf(c.Out)}, st.launches[i]
			timings = append(timings, t)
			st.launches[i] = func(b kernels.Backend) {
				start := clock()
				launch(b)
				if err := b.Sync(); err != nil && failed == nil {
					failed = fmt.Errorf("%s %s: %w", t.Op, t.Site, err)
				}
				took := clock() - start
				if t.Launches == 0 || took < t.Best {
					t.Best = took
				}
				t.Total += took
				t.Launches++
			}
		}
	}
	err := f()
	for _, st := range s.steps {
		st.bind()
	}
	var ran []Timing
	for _, t := range timings {
		if t.Launches > 0 {
			ran = append(ran, *t)
		}
	}
	return ran, errors.Join(failed, err)
}

func typesOf(nodes []*Node) []Type {
	types := make([]Type, len(nodes))
	for i, n := range nodes {
		if n != nil {
			types[i] = n.Type
		}
	}
	return types
}
