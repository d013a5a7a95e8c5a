package par

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// marks counts the calls of every iteration and checks that no two run at once under one worker number.
type marks struct {
	calls []atomic.Int32
	busy  []atomic.Bool
	clash atomic.Bool
	body  func(i int)
}

func newMarks(p *Pool, n int) *marks {
	return &marks{calls: make([]atomic.Int32, n), busy: make([]atomic.Bool, p.Threads())}
}

func (m *marks) Do(worker, i int) {
	if m.busy[worker].Swap(true) {
		m.clash.Store(true)
	}
	m.calls[i].Add(1)
	if m.body != nil {
		m.body(i)
	}
	m.busy[worker].Store(false)
}

func TestEveryIterationRunsOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, threads := range []int{-1, 1, 2, 3, 5, 16} {
		p := New(threads)
		require.Equal(t, max(threads, 1), p.Threads())
		for _, n := range []int{0, 1, 2, 3, 7, 100, 1000} {
			for range 20 {
				m := newMarks(p, n)
				p.Run(n, m)
				for i := range m.calls {
					require.EqualValues(t, 1, m.calls[i].Load(), "threads %d, iteration %d of %d", threads, i, n)
				}
				require.False(t, m.clash.Load(), "two iterations at once under one worker number")
			}
		}
		p.Close()
	}
}

func TestRunsFollowEachOtherWithoutMixing(t *testing.T) {
	p := New(4)
	defer p.Close()
	for round := range 3000 {
		if round%500 == 0 {
			time.Sleep(time.Millisecond) // long enough for the workers to park
		}
		m := newMarks(p, 9)
		p.Run(9, m)
		for i := range m.calls {
			require.EqualValues(t, 1, m.calls[i].Load())
		}
	}
}

// Every iteration waits for all of them to have begun, which only works if each worker takes one.
func TestAllWorkersTakePart(t *testing.T) {
	p := New(3)
	defer p.Close()
	for range 50 {
		var begun atomic.Int32
		m := newMarks(p, 3)
		m.body = func(int) {
			begun.Add(1)
			for deadline := time.Now().Add(10 * time.Second); begun.Load() < 3 && time.Now().Before(deadline); {
				runtime.Gosched()
			}
		}
		p.Run(3, m)
		require.EqualValues(t, 3, begun.Load())
	}
}

func TestPanicReachesTheCallerAndLeavesThePoolUsable(t *testing.T) {
	defer goleak.VerifyNone(t)
	boom := errors.New("boom")
	for _, threads := range []int{2, 5} {
		p := New(threads)
		for at := range 20 {
			m := newMarks(p, 20)
			m.body = func(i int) {
				if i == at {
					panic(boom)
				}
			}
			func() {
				defer func() {
					v, ok := recover().(*Panic)
					require.True(t, ok)
					require.Equal(t, boom, v.Value)
					require.Contains(t, v.Error(), "boom")
					require.Contains(t, string(v.Stack), "TestPanicReachesTheCaller")
				}()
				p.Run(20, m)
				t.Error("Run returned")
			}()
			again := newMarks(p, 20)
			p.Run(20, again)
			for i := range again.calls {
				require.EqualValues(t, 1, again.calls[i].Load())
			}
		}
		p.Close()
	}
}

func TestGoexitInATaskDoesNotDeadlock(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := New(2)
	done := make(chan struct{})
	go func() { // Goexit may end this goroutine, if it is the one that gets the iteration
		defer close(done)
		defer func() { _ = recover() }()
		m := newMarks(p, 50)
		m.body = func(i int) {
			if i == 10 {
				runtime.Goexit()
			}
		}
		p.Run(50, m)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("deadlock")
	}
	p.Close()
}

func TestRunAfterCloseUsesTheCaller(t *testing.T) {
	p := New(3)
	p.Close()
	m := newMarks(p, 10)
	p.Run(10, m)
	for i := range m.calls {
		require.EqualValues(t, 1, m.calls[i].Load())
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	m := newMarks(p, 64)
	require.Zero(t, testing.AllocsPerRun(200, func() { p.Run(64, m) }))
}

// BenchmarkRun is the price of a loop that does nothing, with workers still spinning from the one before.
func BenchmarkRun(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			m := newMarks(p, threads)
			for b.Loop() {
				p.Run(threads, m)
			}
		})
	}
}
