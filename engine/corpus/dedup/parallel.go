package dedup

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// inOrder does work on what a sequence yields, by several goroutines, and yields the results in the order of the sequence.
// Each goroutine calls start once, for memory of its own. Size is about how many bytes an element takes: elements travel
// in batches. The first error ends it. When it returns, no goroutine is left.
func inOrder[In, Out any](ctx context.Context, workers int, in iter.Seq2[In, error], size func(In) int, start func() func(In) (Out, error)) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		if workers <= 0 {
			workers = runtime.GOMAXPROCS(0)
		}
		var running sync.WaitGroup
		defer running.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		work, order := make(chan *batch[In, Out]), make(chan *batch[In, Out], 2*workers)
		for range workers {
			running.Go(func() {
				do := start()
				for b := range work {
					b.run(do)
					close(b.done)
				}
			})
		}
		running.Go(func() {
			defer close(order)
			defer close(work)
			b, bytes := newBatch[In, Out](), 0
			send := func() bool {
				if len(b.in) == 0 && b.err == nil {
					return true
				}
				select {
				case order <- b:
				case <-ctx.Done():
					return false
				}
				work <- b
				b, bytes = newBatch[In, Out](), 0
				return true
			}
			for v, err := range in {
				if err != nil {
					b.err = err
					break
				}
				b.in = append(b.in, v)
				if bytes += size(v) + 64; bytes > 1<<18 && !send() {
					return
				}
			}
			send()
		})
		for b := range order {
			<-b.done
			for _, v := range b.out {
				if !yield(v, nil) {
					return
				}
			}
			if b.err != nil {
				var none Out
				yield(none, b.err)
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			var none Out
			yield(none, err)
		}
	}
}

// A batch is elements on their way through a worker.
type batch[In, Out any] struct {
	in   []In
	out  []Out
	err  error // comes after them
	done chan struct{}
}

func newBatch[In, Out any]() *batch[In, Out] { return &batch[In, Out]{done: make(chan struct{})} }

func (b *batch[In, Out]) run(do func(In) (Out, error)) {
	for _, v := range b.in {
		out, err := do(v)
		if err != nil {
			b.err = err
			return
		}
		b.out = append(b.out, out)
	}
}
