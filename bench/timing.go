package bench

import (
	"context"
	"slices"
	"time"

	"forja/kernels"
)

// timing is how long the calls of one contestant took.
type timing struct {
	calls     []time.Duration
	processor float64 // seconds of all threads, a call, in the best turn
}

func (t timing) best() float64 { return slices.Min(t.calls).Seconds() }

func (t timing) median() float64 {
	sorted := slices.Sorted(slices.Values(t.calls))
	return sorted[len(sorted)/2].Seconds()
}

// result is the timing of work units a call, in unit a second.
func (t timing) result(name string, d kernels.DType, work float64, unit string) Result {
	return Result{Name: name, DType: d.String(), Seconds: t.best(), Median: t.median(), Processor: t.processor, Calls: len(t.calls), Rate: work / t.best(), Unit: unit}
}

// turn is the time of a contestant in a round: short calls are repeated.
const turn = 20 * time.Millisecond

// settle waits until this process uses no processor: OpenBLAS's threads spin for a while after a product, which would
// cost the next contestant a core.
func settle() {
	const nap, idle, most = 10 * time.Millisecond, time.Millisecond, 100
	for range most {
		before := processorTime()
		time.Sleep(nap)
		if processorTime()-before < idle {
			return
		}
	}
}

// queued times calls on a card, which works beside the host: enough of them for a turn are queued before any is waited for.
func (r *rig) queued(f func()) (time.Duration, error) {
	for n := 1; ; n *= 4 {
		start := time.Now()
		for range n {
			f()
		}
		if err := r.b.Sync(); err != nil {
			return 0, err
		}
		if took := time.Since(start); took > turn {
			return took / time.Duration(n), nil
		}
	}
}

// race gives every contestant a turn in every round, after one that does not count. Each call is timed by itself.
func (r *rig) race(ctx context.Context, contestants ...func()) ([]timing, error) {
	ts := make([]timing, len(contestants))
	for round := range r.Rounds + 1 {
		for i, f := range contestants {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(contestants) > 1 && r.peer != nil && !r.small {
				settle()
			}
			if r.b.Info().Kind == "cuda" {
				took, err := r.queued(f)
				if err != nil {
					return nil, err
				}
				if round > 0 {
					ts[i].calls = append(ts[i].calls, took)
				}
				continue
			}
			t, began, before := &ts[i], time.Now(), processorTime()
			for n := 1.0; ; n++ {
				start := time.Now()
				f()
				if err := r.b.Sync(); err != nil {
					return nil, err
				}
				end := time.Now()
				if round == 0 {
					break
				}
				t.calls = append(t.calls, end.Sub(start))
				if r.small || r.b.Info().Kind == "sim" || end.Sub(began) > turn {
					used := (processorTime() - before).Seconds() / n
					if round == 1 || used < t.processor {
						t.processor = used
					}
					break
				}
			}
		}
	}
	return ts, nil
}
