package graph_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/kernels"
)

// keeper is a Backend that records additions by keeping their closures.
type keeper struct {
	kernels.Backend
	keeping bool
	kept    [][]func()
	now     []func()
	calls   int // additions made one by one
	replays int
	alive   int
	refuse  error
}

func (k *keeper) Add(z, x, y kernels.Tensor) {
	if k.keeping {
		k.now = append(k.now, func() { k.Backend.Add(z, x, y) })
		return
	}
	k.calls++
	k.Backend.Add(z, x, y)
}

func (k *keeper) BeginCapture() error { k.keeping, k.now = true, nil; return nil }

func (k *keeper) EndCapture() (int, error) {
	k.keeping = false
	if k.refuse != nil {
		return 0, k.refuse
	}
	k.alive++
	k.kept = append(k.kept, k.now)
	return len(k.kept) - 1, nil
}

func (k *keeper) Replay(i int) {
	k.replays++
	for _, f := range k.kept[i] {
		f()
	}
}

func (k *keeper) Forget(int) { k.alive-- }

// fourfold is a session with a step that computes y = 4x by two additions.
func fourfold(t *testing.T, k *keeper) (s *graph.Session, st *graph.Step, run func() float32) {
	x := graph.NewVar("x", kernels.F32, 1, 1)
	g := graph.New()
	in := g.Leaf(x)
	twice := g.Add(in, in)
	g.Output("y", g.Add(twice, twice))
	p, err := g.Compile(graph.Options{})
	require.NoError(t, err)
	s = graph.NewSession(k)
	st, err = s.Bind(p)
	require.NoError(t, err)
	value := float32(0)
	return s, st, func() float32 {
		value++
		graph.Set(s, x, []float32{value})
		st.Run()
		var y [1]float32
		require.NoError(t, graph.Output(st, "y", y[:]))
		require.NoError(t, k.Sync())
		return y[0] / value
	}
}

func TestAStepIsRecordedTheSecondTimeItRuns(t *testing.T) {
	k := &keeper{Backend: backend(t)}
	s, _, run := fourfold(t, k)
	for range 5 {
		assert.Equal(t, float32(4), run())
	}
	assert.Equal(t, 2, k.calls)
	assert.Equal(t, 4, k.replays)
	assert.NoError(t, s.NotRecorded())
	assert.Equal(t, 1, k.alive)
	s.Close()
	assert.Zero(t, k.alive)
}

func TestARecordingIsMadeAnewWhenStorageMoves(t *testing.T) {
	k := &keeper{Backend: backend(t)}
	s, _, run := fourfold(t, k)
	defer s.Close()
	run()
	run()
	g := graph.New() // a larger plan moves the arena
	big := g.Leaf(graph.NewVar("big", kernels.F32, 1000, 1))
	g.Output("y", g.Add(g.Add(big, big), big))
	p, err := g.Compile(graph.Options{})
	require.NoError(t, err)
	_, err = s.Bind(p)
	require.NoError(t, err)
	assert.Zero(t, k.alive)
	for range 3 {
		assert.Equal(t, float32(4), run())
	}
	assert.Equal(t, 1, k.alive)
}

func TestAStepThatCannotBeRecordedRunsCallByCall(t *testing.T) {
	k := &keeper{Backend: backend(t), refuse: errors.New("no room")}
	s, _, run := fourfold(t, k)
	defer s.Close()
	for range 4 {
		assert.Equal(t, float32(4), run())
	}
	assert.Zero(t, k.replays)
	assert.ErrorIs(t, s.NotRecorded(), k.refuse)
}
