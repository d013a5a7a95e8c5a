package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

func (r *rig) control(values ...float32) kernels.Tensor {
	c := r.out(r.vec(kernels.ControlSize))
	clear(floats(c))
	copy(floats(c), values)
	return c
}

func TestGradNormClips(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	g, control := r.f32(300, 301), r.control()
	x := values(g)
	norm := math.Sqrt(dot64(x, x))
	for _, limit := range []float32{0, 1, 1e9} {
		r.run(func(k kernels.Backend) { k.GradNorm(control, g, limit) })
		want := 1.0
		if limit > 0 {
			want = min(1, float64(limit)/(norm+1e-6))
		}
		c := floats(control)
		require.InEpsilon(t, norm, c[kernels.ControlNorm], 0x1p-20)
		require.InEpsilon(t, want, c[kernels.ControlScale], 0x1p-20)
	}
}

func TestAdamWFollowsPyTorchsOrder(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		r := newRig(t, 2, kernels.F32)
		const rows, cols = 70, 90
		master := r.out(r.f32(rows, cols))
		m, v, g := r.out(r.f32(rows, cols)), r.out(r.f32(rows, cols)), r.f32(rows, cols)
		r.fill(v, func(i int) float64 { return float64(i%7) / 5 })
		control := r.control(0.01, 0.19, 0.0199, 0, 0.5)
		p := kernels.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, LRScale: 2}
		lr, b1, b2 := float64(p.LRScale)*float64(floats(control)[0]), float64(p.Beta1), float64(p.Beta2)
		w64, m64, v64, g64 := values(master), values(m), values(v), values(g)
		for i := range w64 {
			d := g64[i] * 0.5
			w64[i] -= lr * float64(p.Decay) * w64[i]
			m64[i] = b1*m64[i] + (1-b1)*d
			v64[i] = b2*v64[i] + (1-b2)*d*d
			w64[i] -= lr * (m64[i] / float64(floats(control)[1])) / (math.Sqrt(v64[i]/float64(floats(control)[2])) + 1e-8)
		}
		if mixed {
			w := r.out(r.make(kernels.BF16, pad, rows, cols))
			r.run(func(k kernels.Backend) { k.AdamW(w, master, m, v, g, control, p) })
			r.near(w64, w, constant(16))
		} else {
			r.run(func(k kernels.Backend) { k.AdamW(master, absent, m, v, g, control, p) })
		}
		r.near(w64, master, constant(16))
		r.near(m64, m, constant(8))
		r.near(v64, v, constant(8))
	}
}

func TestMuonOrthogonalisesTheMomentum(t *testing.T) {
	for _, shape := range [][2]int{{30, 70}, {70, 30}, {20, 20}, {1, 9}} {
		r := newRig(t, 2, kernels.F32)
		rows, cols := shape[0], shape[1]
		w, mom, g := r.out(r.f32(rows, cols)), r.out(r.f32(rows, cols)), r.f32(rows, cols)
		scratch, control := r.out(r.vec(kernels.MuonScratch(rows, cols))), r.control(0.02, 1, 1, 0, 0.5)
		p := kernels.Muon{Momentum: 0.9, Decay: 0.1}
		w64, mom64, u := values(w), values(mom), load64(g)
		lr, mu := float64(floats(control)[0]), float64(p.Momentum)
		for i, v := range u.v {
			mom64[i] = mu*mom64[i] + 0.5*v
			u.v[i] = 0.5*v + mu*mom64[i]
		}
		norm := math.Sqrt(dot64(u.v, u.v)) + 1e-7
		for i := range u.v {
			u.v[i] /= norm
		}
		for range kernels.MuonIteration {
			gram, _ := mul64(u, u.transposed())
			square, _ := mul64(gram, gram)
			for i := range gram.v {
				gram.v[i] = -4.7750*gram.v[i] + 2.0315*square.v[i]
			}
			next, _ := mul64(gram, u)
			for i := range u.v {
				u.v[i] = 3.4445*u.v[i] + next.v[i]
			}
		}
		for i := range w64 {
			w64[i] -= lr * float64(p.Decay) * w64[i]
			w64[i] -= lr * math.Sqrt(max(1, float64(rows)/float64(cols))) * u.v[i]
		}
		r.run(func(k kernels.Backend) { k.Muon(w, absent, mom, g, scratch, control, p) })
		r.near(mom64, mom, constant(8))
		r.near(w64, w, constant(64*math.Sqrt(float64(cols)))) // lr shrinks the error of the iterations
	}
}
