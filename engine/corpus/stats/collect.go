package stats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"forja/engine/corpus/documents"
)

// A Source is a file to be counted.
type Source struct {
	Name    string // its ending says how documents are read
	Path    string // for messages; the name if it is empty
	Archive bool   // it holds WARC records
	Open    func(ctx context.Context) (io.ReadCloser, error)
}

// Collect counts files, several at a time. The result does not depend on how many: each file has a collector of its own, and
// these are merged in the order of the files.
func Collect(ctx context.Context, files []Source, o Options) (*Collector, error) {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	type done struct {
		c   *Collector
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan done, workers) // in order; as many are worked on as it holds
	running := make(chan struct{}, workers)
	go func() {
		defer close(queue)
		for _, f := range files {
			one := make(chan done, 1)
			select {
			case running <- struct{}{}:
			case <-ctx.Done():
				return
			}
			queue <- one
			go func() {
				c, err := collect(ctx, f, o)
				<-running
				one <- done{c, err}
			}()
		}
	}()
	sum := NewCollector(o)
	var failed error
	for one := range queue {
		d := <-one
		if failed != nil {
			continue // let the others end
		}
		if d.err != nil {
			failed = d.err
			cancel()
			continue
		}
		sum.Merge(d.c)
	}
	if failed == nil && ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	return sum, failed
}

// collect counts one file.
func collect(ctx context.Context, f Source, o Options) (c *Collector, err error) {
	name := f.Path
	if name == "" {
		name = f.Name
	}
	r, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, r.Close()); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	c = NewCollector(o)
	if f.Archive {
		source := &stoppable{ctx: ctx, r: r}
		err := c.AddArchive(source)
		if err != nil && source.err == nil { // all of it could be read
			c.archive.files++
			c.damaged = append(c.damaged, fmt.Sprintf("%s is damaged, and what follows is not counted: %v", clean(name), err))
			err = nil
		}
		return c, err
	}
	for d, err := range documents.Read(f.Name, r) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		c.Add(&d)
	}
	c.files++
	return c, nil
}

// A stoppable reader fails when its context has ended, and remembers why it failed.
type stoppable struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *stoppable) Read(p []byte) (n int, err error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	if n, err = s.r.Read(p); err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
