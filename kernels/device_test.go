package kernels_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// quiet is a backend that only closes.
type quiet struct {
	kernels.Backend
	closed bool
	err    error
}

func (q *quiet) Close() error { q.closed = true; return q.err }

func openQuiet(t *testing.T, q *quiet) *kernels.Device {
	d, err := kernels.OpenDevice(func() (kernels.Backend, error) { return q, nil })
	require.NoError(t, err)
	return d
}

func TestDeviceRunsOneCallAtATime(t *testing.T) {
	q := &quiet{}
	d := openQuiet(t, q)
	count, inside := 0, false // unguarded: the race detector watches
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			assert.NoError(t, d.Do(context.Background(), func(b kernels.Backend) error {
				assert.Same(t, q, b)
				assert.False(t, inside)
				inside = true
				count++
				inside = false
				return nil
			}))
		})
	}
	wait.Wait()
	assert.Equal(t, 20, count)
	require.NoError(t, d.Close())
	assert.True(t, q.closed)
}

func TestDeviceReturnsErrors(t *testing.T) {
	bad := errors.New("bad")
	_, err := kernels.OpenDevice(func() (kernels.Backend, error) { return nil, bad })
	assert.ErrorIs(t, err, bad)

	d := openQuiet(t, &quiet{err: bad})
	assert.ErrorIs(t, d.Do(context.Background(), func(kernels.Backend) error { return bad }), bad)
	assert.ErrorIs(t, d.Close(), bad)
	assert.ErrorIs(t, d.Do(context.Background(), func(kernels.Backend) error { return nil }), kernels.ErrClosed)
}

func TestCallThatWaitsForItsTurnCanGiveUp(t *testing.T) {
	d := openQuiet(t, &quiet{})
	started, finish := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- d.Do(context.Background(), func(kernels.Backend) error { close(started); <-finish; return nil })
	}()
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := d.Do(ctx, func(kernels.Backend) error { t.Error("it had its turn"); return nil })
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	close(finish)
	require.NoError(t, <-first)
	require.NoError(t, d.Close())
}
