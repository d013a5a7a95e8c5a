package ngram

import (
	"math/bits"
	"runtime"
	"sync"
)

// pairs are keys and what belongs to each.
type pairs struct {
	keys  []uint64
	index []uint32
}

func newPairs(n int) pairs { return pairs{make([]uint64, n), make([]uint32, n)} }

func (p pairs) slice(n int) pairs { return pairs{p.keys[:n], p.index[:n]} }

const digitBits = 11

// sort sorts by keys below 2^width, stably, in linear time: one pass for each digit, on all processors. It returns the
// result and the other storage, each of which is one of p and spare.
func (p pairs) sort(spare pairs, width int) (sorted, other pairs) {
	passes := max(1, (width+digitBits-1)/digitBits)
	digit := (width + passes - 1) / passes
	workers := 1
	if len(p.keys) > 1<<15 {
		workers = min(runtime.GOMAXPROCS(0), 8)
	}
	counts := make([][1 << digitBits]uint32, workers)
	for shift := 0; shift < passes*digit; shift += digit {
		mask := uint64(1)<<digit - 1
		p.split(workers, func(w int, part pairs) {
			clear(counts[w][:])
			for _, k := range part.keys {
				counts[w][k>>shift&mask]++
			}
		})
		at := uint32(0)
		for d := range 1 << digit {
			for w := range workers {
				counts[w][d], at = at, at+counts[w][d]
			}
		}
		p.split(workers, func(w int, part pairs) {
			to := &counts[w]
			for i, k := range part.keys {
				d := k >> shift & mask
				j := to[d]
				to[d]++
				spare.keys[j], spare.index[j] = k, part.index[i]
			}
		})
		p, spare = spare, p
	}
	return p, spare
}

// split runs f on equal parts at the same time.
func (p pairs) split(workers int, f func(w int, part pairs)) {
	var wg sync.WaitGroup
	n := len(p.keys)
	for w := range workers {
		lo, hi := w*n/workers, (w+1)*n/workers
		wg.Go(func() { f(w, pairs{p.keys[lo:hi], p.index[lo:hi]}) })
	}
	wg.Wait()
}

// width is the number of bits that numbers below n take.
func width(n int) int { return bits.Len(uint(max(n, 1) - 1)) }
