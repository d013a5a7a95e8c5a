package kerneltest

import (
	"fmt"

	"forja/kernels"
)

// embed is table[idx[i]], zeros for a negative index, plus start.
func embed(table mat, idx []float64, start mat) mat {
	y := newMat(len(idx), table.cols)
	for i, r := range idx {
		if r >= 0 {
			copy(y.row(i), table.row(int(r)))
		}
	}
	return y.plus(start)
}

// embedGrad is Σ of dy[i] over idx[i] = r, plus start.
func embedGrad(dy mat, idx []float64, rows int, start mat) mat {
	sums := make([]sum, rows*dy.cols)
	for i := range start.v {
		sums[i].add(start.v[i])
	}
	for i, r := range idx {
		for j, v := range dy.row(i) {
			if r >= 0 {
				sums[int(r)*dy.cols+j].add(v)
			}
		}
	}
	g := newMat(rows, dy.cols)
	for i, s := range sums {
		g.v[i] = s.total()
	}
	return g
}

func embedCases(l *list) {
	for _, accumulate := range []bool{false, true} {
		for _, rows := range []int{1, 7, 300} {
			l.every("Embed", fmt.Sprintf("accumulate %t table of %d ", accumulate, rows), 2, func(tr *trial, m, n int, d []kernels.DType) {
				y, table, idx, start := tr.output(d[0], m, n), tr.normal(d[1], rows, n), tr.indices(m, rows, true), none
				if accumulate {
					start = y.set(func(int) float64 { return tr.rng.NormFloat64() })
				}
				tr.call = func(b kernels.Backend) { b.Embed(y.t, table.t, idx.t, accumulate) }
				oracle := func() mat { return embed(table.values(), idx.scalars(), start.values()) }
				if accumulate {
					tr.want(y, oracle)
				} else {
					tr.exactly(y, oracle)
				}
			})
		}
	}
	for _, accumulate := range []bool{false, true} {
		for _, rows := range []int{1, 7, 300} {
			l.every("EmbedGrad", fmt.Sprintf("accumulate %t table of %d ", accumulate, rows), 1, func(tr *trial, m, n int, d []kernels.DType) {
				dtable, dy, idx, start := tr.output(kernels.F32, rows, n), tr.normal(d[0], m, n), tr.indices(m, rows, true), none
				if accumulate {
					start = dtable.set(func(int) float64 { return tr.rng.NormFloat64() })
				}
				tr.call = func(b kernels.Backend) { b.EmbedGrad(dtable.t, dy.t, idx.t, accumulate) }
				tr.want(dtable, func() mat { return embedGrad(dy.values(), idx.scalars(), rows, start.values()) })
			})
		}
	}
}
