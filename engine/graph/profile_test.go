package graph_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/kernels"
)

func TestProfileTimesEveryLaunchAndChangesNothing(t *testing.T) {
	n := newNet(1)
	x, w := n.leaf("x", 24, 16), n.param("w", 8, 16)
	y := n.g.Activate(n.g.Linear(x, w, graph.LinearOptions{}), kernels.GELU)
	n.g.Output("y", y)
	s := graph.NewSession(backend(t))
	defer s.Close()
	st := n.bind(t, s, graph.Options{})
	want, got := make([]float32, 24*8), make([]float32, 24*8)
	read := func(into []float32) {
		require.NoError(t, graph.Output(st, "y", into))
		require.NoError(t, s.Backend().Sync())
	}
	st.Run()
	read(want)

	timings, err := s.Profile(ticks(), func() error {
		st.Run()
		st.Run()
		return nil
	})
	require.NoError(t, err)
	read(got)
	assert.Equal(t, want, got)
	require.Len(t, timings, st.Plan().Calls)
	for _, c := range timings {
		assert.Equal(t, 2, c.Launches, c.Op)
		assert.Equal(t, 2*time.Second, c.Total, "from before the launch to after it, twice")
		assert.Equal(t, time.Second, c.Best, c.Op)
		assert.Contains(t, c.Site, "profile_test.go:")
	}
	assert.Equal(t, "Linear", timings[0].Op)
	assert.Equal(t, kernels.Shape{8, 16}, timings[0].In[1].Shape)

	st.Run()
	assert.Equal(t, 2, timings[0].Launches, "profiling ends with Profile")
	assert.Zero(t, testing.AllocsPerRun(3, st.Run))
}

func TestProfileReturnsErrorsAndStopsTiming(t *testing.T) {
	n := newNet(1)
	n.g.Output("y", n.g.Activate(n.leaf("x", 4, 4), kernels.GELU))
	b := &failing{Backend: backend(t)}
	s := graph.NewSession(b)
	defer s.Close()
	st := n.bind(t, s, graph.Options{})
	b.err = errors.New("lost device")
	mine := errors.New("mine")
	timings, err := s.Profile(ticks(), func() error {
		st.Run()
		return mine
	})
	assert.ErrorIs(t, err, b.err)
	assert.ErrorContains(t, err, "Activate profile_test.go:")
	assert.ErrorIs(t, err, mine)
	assert.Len(t, timings, 1)

	timings, err = s.Profile(ticks(), func() error { return nil })
	assert.NoError(t, err)
	assert.Empty(t, timings, "what did not run is left out")
}

// failing is a backend whose stream has failed.
type failing struct {
	kernels.Backend
	err error
}

func (f *failing) Sync() error { return f.err }

// ticks is a clock that goes on by a second whenever it is read.
func ticks() func() time.Duration {
	now := time.Duration(0)
	return func() time.Duration {
		now += time.Second
		return now
	}
}
