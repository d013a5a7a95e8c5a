package dedup

import "context"

// verified says whether two documents are of at least that similarity. It remembers the n-grams of some, which load gives
// sorted and in memory of their own: one document is often compared with many.
func verified(ctx context.Context, least float64, load func(doc uint32) ([]uint64, error)) func(a, b uint32) (bool, error) {
	var cache [64]struct {
		known    bool
		doc      uint32
		shingles []uint64
	}
	shingles := func(doc uint32) (_ []uint64, err error) {
		c := &cache[doc%uint32(len(cache))]
		if !c.known || c.doc != doc {
			c.known = false
			if c.shingles, err = load(doc); err != nil {
				return nil, err
			}
			c.known, c.doc = true, doc
		}
		return c.shingles, nil
	}
	return func(a, b uint32) (bool, error) {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		x, err := shingles(a)
		if err != nil {
			return false, err
		}
		y, err := shingles(b) // may replace the first in the cache, but not x
		if err != nil {
			return false, err
		}
		if least*float64(max(len(x), len(y))) > float64(min(len(x), len(y))) {
			return false, nil
		}
		return Jaccard(x, y) >= least, nil
	}
}
