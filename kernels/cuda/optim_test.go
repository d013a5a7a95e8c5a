package cuda

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// The norm of more elements than a block has, dense and in rows.
func TestNormOfManyElements(t *testing.T) {
	b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
	control := newSheet(t, b, r, kernels.F32, 16, 1, kernels.ControlSize)
	for _, shape := range [][2]int{{1, 40001}, {3, 16385}, {2, 100}} {
		g := newSheet(t, b, r, kernels.F32, 16, shape[0], shape[1])
		g.integers(b, r, -2, 2)
		var sum float64
		for _, v := range g.v {
			sum += v * v
		}
		b.GradNorm(control.t, g.t, 3)
		got := control.fetch(t, b)
		require.Equal(t, float64(float32(math.Sqrt(sum))), got[kernels.ControlNorm])
		require.InEpsilon(t, 3/(math.Sqrt(sum)+1e-6), got[kernels.ControlScale], 0x1p-22)
	}
}

// Blocks of AdamW share a long range, and rows of a matrix, without gaps.
func TestAdamWReachesEveryParameter(t *testing.T) {
	b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
	p := kernels.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}
	for _, shape := range [][2]int{{1, 5001}, {3, 2056}} {
		sheets := make([]*sheet, 5)
		for i := range sheets {
			sheets[i] = newSheet(t, b, r, kernels.F32, 16, shape[0], shape[1])
		}
		master, m, v, g := sheets[0], sheets[1], sheets[2], sheets[3]
		w := newSheet(t, b, r, kernels.BF16, 16, shape[0], shape[1])
		v.integers(b, r, 1, 9)
		control := newSheet(t, b, r, kernels.F32, 16, 1, kernels.ControlSize)
		control.integers(b, r, 0, 0)
		const lr, c1, c2, scale = 0.125, 0.5, 0.25, 0.5
		for i, x := range map[int]float64{kernels.ControlLR: lr, kernels.ControlC1: c1, kernels.ControlC2: c2, kernels.ControlScale: scale} {
			put(control.host[4*i:], kernels.F32, x)
		}
		b.Upload(control.t, control.host)
		b.AdamW(w.t, master.t, m.t, v.t, g.t, control.t, p)
		full, half := master.fetch(t, b), w.fetch(t, b)
		for i := range full {
			d := scale * g.v[i]
			mi, vi := 0.9*m.v[i]+0.1*d, 0.95*v.v[i]+0.05*d*d
			want := master.v[i]*(1-lr*0.1) - lr*(mi/c1)/(math.Sqrt(vi/c2)+1e-8)
			require.InDelta(t, want, full[i], 1e-6*(math.Abs(want)+1), "parameter %d", i)
			require.InDelta(t, full[i], half[i], 0x1p-8*math.Abs(full[i]), "parameter %d", i)
		}
	}
}
