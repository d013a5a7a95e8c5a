package interp

import (
	"fmt"
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
	g := &hopperGEMM{r: newRig(t), m: 256, n: 128, k: k, grid: [3]uint32{2, 2, 1}, threads: [3]uint32{384, 1, 1}, shared: 3*24576 + 2*8192}
	x := hopperProblem(g.m, g.n, k)
	g.want, g.a, g.b = x.want, g.r.halves(x.a), g.r.halves(x.b)
	g.c = g.r.empty(2 * g.m * g.n)
	g.p = params(matrixTensor(t, g.a, g.m, k, 128, 64, 3), matrixTensor(t, g.b, g.n, k, 32, 64, 3), matrixTensor(t, g.c, g.m, g.n, 64, 64, 3), int32(k))
	return g
}

// hopperMatrices are random matrices and their product in bf16.
type hopperMatrices struct{ a, b, want []float32 }

var hopperProblems = map[int]hopperMatrices{} // by depth: the product takes longer than many a launch

func hopperProblem(m, n, k int) hopperMatrices {
	if x, ok := hopperProblems[k]; ok {
		return x
	}
	rng := rand.New(rand.NewPCG(15, 16))
	x := hopperMatrices{a: smallNumbers(rng, m*k), b: smallNumbers(rng, n*k)}
	x.want = productNT(x.a, x.b, m, n, k)
	for i, v := range x.want {
		x.want[i] = math.Float32frombits(uint32(roundBF16(v)) << 16)
	}
	hopperProblems[k] = x
	return x
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

func BenchmarkHopperGEMM(b *testing.B) {
	k := parse(b, hopperSource(b, "gemm.ptx"))
	g := newHopperGEMM(b, 1024)
	for _, check := range []bool{false, true} {
		b.Run(fmt.Sprint("checker ", check), func(b *testing.B) {
			for b.Loop() {
				if err := g.launch(k, Options{Check: check}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(2*float64(g.m*g.n*g.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
