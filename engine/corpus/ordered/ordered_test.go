package ordered_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"forja/engine/corpus/ordered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// numbers yields 0 to n-1, and then an error, if there is one.
func numbers(n int, err error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

// square takes longer for some numbers than for those behind them.
func square() func(int) (int, error) {
	return func(i int) (int, error) {
		if i%7 == 0 {
			time.Sleep(time.Duration(i%5) * time.Millisecond)
		}
		return i * i, nil
	}
}

func collect(seq iter.Seq2[int, error]) (all []int, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func TestResultsComeInTheOrderOfTheSequence(t *testing.T) {
	want := make([]int, 200)
	for i := range want {
		want[i] = i * i
	}
	for _, workers := range []int{0, 1, 3, 50} {
		for name, size := range map[string]func(int) int{"one by one": nil, "a few": func(int) int { return 1 << 16 }, "all": func(int) int { return 0 }} {
			got, err := collect(ordered.Map(t.Context(), workers, numbers(200, nil), size, square))
			require.NoError(t, err)
			assert.Equal(t, want, got, "%d workers, %s", workers, name)
		}
	}
	none, err := collect(ordered.Map(t.Context(), 2, numbers(0, nil), nil, square))
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestTheFirstErrorEndsItBehindWhatWasBefore(t *testing.T) {
	broken, worse := errors.New("broken"), errors.New("worse")
	for _, size := range []func(int) int{nil, func(int) int { return 1 << 16 }} {
		got, err := collect(ordered.Map(t.Context(), 4, numbers(20, broken), size, square))
		require.ErrorIs(t, err, broken)
		assert.Len(t, got, 20)

		got, err = collect(ordered.Map(t.Context(), 4, numbers(100, worse), size, func() func(int) (int, error) {
			return func(i int) (int, error) {
				if i == 11 || i == 12 {
					return 0, broken
				}
				return i, nil
			}
		}))
		require.ErrorIs(t, err, broken)
		assert.Len(t, got, 11)
	}
}

func TestWhoStopsEarlyLeavesNoGoroutineBehind(t *testing.T) {
	for v := range ordered.Map(t.Context(), 4, numbers(1<<30, nil), nil, square) {
		if v > 100 {
			break
		}
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	var last error
	for _, err := range ordered.Map(ctx, 4, numbers(1<<30, nil), nil, square) {
		if n++; n == 5 {
			cancel(stopped)
		}
		last = err
	}
	require.ErrorIs(t, last, stopped)
}
