package interp

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// hopperGEMM is a launch of testdata/hopper/gemm.cu: two by two clusters of two blocks.
type hopperGEMM struct {
	r             *rig
	a, b, c       uint64
	p             []byte
	m, n, k       int
	want          []float32
	grid, threads [3]uint32
	shared        int
}

func newHopperGEMM(t testing.TB, k int) *hopperGEMM {
	rng := rand.New(rand.NewPCG(15, 16))
	g := &hopperGEMM{r: newRig(t), m: 256, n: 128, k: k, grid: [3]uint32{2, 2, 1}, threads: [3]uint32{384, 1, 1}, shared: 3*24576 + 2*8192}
	A, B := smallNumbers(rng, g.m*k), smallNumbers(rng, g.n*k)
	g.want = productNT(A, B, g.m, g.n, k)
	for i, v := range g.want { // the kernel stores bf16
		g.want[i] = math.Float32frombits(uint32(roundBF16(v)) << 16)
	}
	g.a, g.b = g.r.halves(A), g.r.halves(B)
	g.c = g.r.empty(2 * g.m * g.n)
	g.p = params(matrixTensor(t, g.a, g.m, k, 128, 64, 3), matrixTensor(t, g.b, g.n, k, 32, 64, 3), matrixTensor(t, g.c, g.m, g.n, 64, 64, 3), int32(k))
	return g
}

func (g *hopperGEMM) launch(k *Kernel, o Options) error {
	o.Workers = 1
	return k.Launch(g.r.h, g.grid, g.threads, g.shared, g.p, o)
}

// result is C as float32.
func (g *hopperGEMM) result() []float32 {
	b := g.r.read(g.c, 2*g.m*g.n)
	x := make([]float32, g.m*g.n)
	for i := range x {
		x[i] = math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16)
	}
	return x
}

func TestHopperGEMMWithClustersMulticastAndTMAStore(t *testing.T) {
	k := parse(t, hopperSource(t, "gemm.ptx"))
	for _, depth := range []int{64, 128, 448} {
		g := newHopperGEMM(t, depth)
		for _, o := range []Options{{}, {Check: true}, {Seed: 7}, {Check: true, Seed: 8}} {
			require.NoError(t, g.launch(k, o), "k=%d %+v", depth, o)
			require.Equal(t, g.want, g.result(), "k=%d %+v", depth, o)
			fillOnes(g.r.read(g.c, 2*g.m*g.n))
		}
	}
}
