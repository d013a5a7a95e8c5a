package kerneltest

import (
	"fmt"

	"forja/kernels"
)

func decodeCases(l *list) {
	for _, f := range forms {
		for _, d := range mixtures(4) {
			l.add("KVAppend", f.scope, fmt.Sprintf("(%d,%d) %v", f.m, f.n, d), func(tr *trial) {
				rows := f.m + 5
				kcache, vcache := tr.normal(d[0], rows, f.n), tr.normal(d[1], rows, f.n)
				k, v := tr.normal(d[2], f.m, f.n), tr.normal(d[3], f.m, f.n)
				slots := make([]int32, f.m)
				for i, s := range tr.rng.Perm(rows)[:f.m] {
					if slots[i] = int32(s); tr.rng.IntN(4) == 0 {
						slots[i] = -1
					}
				}
				slot := tr.ints(slots...)
				tr.call = func(b kernels.Backend) { b.KVAppend(kcache.t, vcache.t, k.t, v.t, slot.t) }
				keys, values := k.values(), v.values()
				for i, s := range slots {
					if s >= 0 { // other rows are not outputs: they are watched
						tr.exactly(tr.rows(kcache, int(s), int(s)+1), func() mat { return mat{1, f.n, keys.row(i)} })
						tr.exactly(tr.rows(vcache, int(s), int(s)+1), func() mat { return mat{1, f.n, values.row(i)} })
					}
				}
			})
		}
	}
	for _, f := range []struct {
		sequences, queries, heads, kv, d, page, longest int
		scope                                           scope
	}{
		{2, 3, 4, 2, 8, 4, 9, small}, {1, 1, 1, 1, 1, 1, 1, normal}, {1, 2, 3, 1, 7, 1, 5, normal}, {3, 7, 2, 2, 16, 16, 50, normal},
		{4, 4, 6, 2, 64, 16, 70, normal}, {2, 5, 8, 1, 128, 5, 133, normal}, {3, 3, 2, 2, 80, 32, 64, normal}, {8, 8, 8, 2, 64, 16, 1500, long},
	} {
		for k, d := range mixtures(4) {
			for _, scale := range []float32{0, 0.2} {
				a := kernels.Attn{Heads: f.heads, KVHeads: f.kv, HeadDim: f.d, Scale: scale, Causal: k%2 == 0}
				l.add("PagedAttention", f.scope, fmt.Sprintf("%+v %v scale %g", f, d, scale), func(tr *trial) {
					buildPaged(tr, f.sequences, f.queries, f.page, f.longest, d, a)
				})
			}
		}
	}
}

// buildPaged scatters sequences over a cache. Rows that no query may see hold NaN, as rows never written may.
func buildPaged(tr *trial, sequences, queries, page, longest int, d []kernels.DType, a kernels.Attn) {
	pages := (longest + page - 1) / page
	order := tr.rng.Perm(sequences*pages + 2)
	numbers := make([]int32, sequences*pages)
	for i := range numbers {
		numbers[i] = int32(order[i])
	}
	table := tr.blank(kernels.I32, 3, sequences, pages).set(func(i int) float64 { return float64(numbers[i]) })
	kcache, vcache := tr.output(d[0], len(order)*page, a.KVHeads*a.HeadDim), tr.output(d[1], len(order)*page, a.KVHeads*a.HeadDim)
	o, q := tr.output(d[2], queries, a.Heads*a.HeadDim), tr.normal(d[3], queries, a.Heads*a.HeadDim)

	seqs, poss, seen := make([]int32, queries), make([]int32, queries), make([]int, sequences)
	for i := range queries {
		seqs[i], poss[i] = int32(tr.rng.IntN(sequences)), int32(tr.rng.IntN(longest))
		if i == 0 {
			poss[i] = int32(longest - 1)
		}
		if i%3 == 1 {
			seqs[i], poss[i] = -1, -1
			continue
		}
		seen[seqs[i]] = max(seen[seqs[i]], int(poss[i])+1)
	}
	row := func(s, p int) int { return int(numbers[s*pages+p/page])*page + p%page }
	for s, n := range seen {
		for p := range n {
			normal := func(int) float64 { return tr.rng.NormFloat64() }
			tr.rows(kcache, row(s, p), row(s, p)+1).set(normal)
			tr.rows(vcache, row(s, p), row(s, p)+1).set(normal)
		}
	}
	seq, pos := tr.ints(seqs...), tr.ints(poss...)
	tr.call = func(b kernels.Backend) {
		b.PagedAttention(o.t, q.t, kcache.t, vcache.t, table.t, seq.t, pos.t, page, a)
	}
	tr.want(o, func() mat {
		all := newMat(queries, q.t.Cols())
		keys, values := kcache.values(), vcache.values()
		for i := range queries {
			if seqs[i] < 0 {
				continue
			}
			// The query is the last of a sequence of its own, gathered from the cache.
			n := int(poss[i]) + 1
			p := attention{Attn: a, batch: 1, time: n, q: newMat(n, q.t.Cols()), k: newMat(n, keys.cols), v: newMat(n, keys.cols)}
			p.half = kcache.half() && vcache.half() && q.half()
			copy(p.q.row(n-1), q.values().row(i))
			for t := range n {
				copy(p.k.row(t), keys.row(row(int(seqs[i]), t)))
				copy(p.v.row(t), values.row(row(int(seqs[i]), t)))
			}
			for h := range a.Heads {
				o, _ := p.query(0, n-1, h)
				copy(p.head(all, i, h), o)
			}
		}
		return all
	})
}
