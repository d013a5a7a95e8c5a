package kernels

import (
	"context"
	"errors"
	"runtime"
)

// A Device owns a Backend and the operating system thread it lives on.
// Any goroutine may call Do; calls run one after another.
type Device struct {
	calls chan call
	done  chan struct{}
	err   error // of Close; read after done
}

type call struct {
	f     func(Backend) error
	reply chan error
}

// ErrClosed is returned by Do after Close.
var ErrClosed = errors.New("device is closed")

// OpenDevice runs open on a new locked thread and keeps its Backend there.
func OpenDevice(open func() (Backend, error)) (*Device, error) {
	d := &Device{calls: make(chan call), done: make(chan struct{})}
	opened := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		b, err := open()
		opened <- err
		if err != nil {
			return
		}
		for c := range d.calls {
			c.reply <- c.f(b)
		}
		d.err = b.Close()
		close(d.done)
	}()
	if err := <-opened; err != nil {
		return nil, err
	}
	return d, nil
}

// Do runs f with the Backend on the device's thread and returns its error. A context that ends while f waits for its
// turn returns the context's error; f itself is responsible for watching ctx once it runs.
func (d *Device) Do(ctx context.Context, f func(Backend) error) (err error) {
	c := call{f, make(chan error, 1)}
	defer func() {
		if recover() != nil { // send on a closed channel
			err = ErrClosed
		}
	}()
	select {
	case d.calls <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-c.reply
}

// Close waits for running calls and closes the Backend. It must be called once.
func (d *Device) Close() error {
	close(d.calls)
	<-d.done
	return d.err
}
