// Package ordered works on a sequence by several goroutines and keeps its order, so that what comes out does not depend on
// how many there are.
//
// Deliberately absent: work of which the order does not matter, and stages behind one another.
package ordered

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// Map does work on what a sequence yields and yields the results in its order. Each of so many workers (0: one for each
// processor) calls start once, for memory of its own. Size is about how many bytes an element takes: elements travel in
// batches; if it is nil, one by one. The first error ends it. When it returns, no goroutine is left.
func Map[In, Out any](ctx context.Context, workers int, in iter.Seq2[In, error], size func(In) int, start func() func(In) (Out, error)) iter.Seq2[Out, error] {
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
				if size != nil {
					bytes += size(v) + 64
				}
				if (size == nil || bytes > batchBytes) && !send() {
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

// batchBytes is about how much travels at a time: enough to make the channels cheap, little enough to have all workers busy.
const batchBytes = 1 << 18

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
