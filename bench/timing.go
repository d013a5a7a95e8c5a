package bench

import (
	"context"
	"slices"
	"time"

	"forja/kernels"
)

// timing is how long the calls of one contestant took.
type timing struct{ calls []time.Duration }

func (t timing) best() float64 { return slices.Min(t.calls).Seconds() }

func (t timing) median() float64 {
	sorted := slices.Sorted(slices.Values(t.calls))
	return sorted[len(sorted)/2].Seconds()
}

// result is the timing of work units a call, in unit a second.
func (t timing) result(name string, d kernels.DType, work float64, unit string) Result {
	return Result{Name: name, DType: d.String(), Seconds: t.best(), Median: t.median(), Calls: len(t.calls), Rate: work / t.best(), Unit: unit}
}

const (
	turn     = 20 * time.Millisecond // of a contestant in a round: short calls are repeated
	settling = 40 * time.Millisecond // before a turn: OpenBLAS's threads spin for about 25 ms after a product
)

// race gives every contestant a turn in every round, after one that does not count. Each call is timed by itself.
func (r *rig) race(ctx context.Context, contestants ...func()) ([]timing, error) {
	ts := make([]timing, len(contestants))
	for round := range r.Rounds + 1 {
		for i, f := range contestants {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(contestants) > 1 && !r.small {
				time.Sleep(settling)
			}
			for began := time.Now(); ; {
				start := time.Now()
				f()
				if err := r.b.Sync(); err != nil {
					return nil, err
				}
				end := time.Now()
				if round > 0 {
					ts[i].calls = append(ts[i].calls, end.Sub(start))
				}
				if round == 0 || r.small || end.Sub(began) > turn {
					break
				}
			}
		}
	}
	return ts, nil
}
