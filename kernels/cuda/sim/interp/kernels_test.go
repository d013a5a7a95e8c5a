package interp

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// problem is a kernel with its data and the check of its result.
type problem struct {
	entry     string
	heap      *Heap
	grid, dim [3]uint32
	shared    int
	args      []byte
	wrong     func() string // "" if the result is right
}

func (p *problem) run(k *Kernel, o Options) error {
	return k.Launch(p.heap, p.grid, p.dim, p.shared, p.args, o)
}

// source reads a module of testdata.
func source(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".ptx"))
	require.NoError(t, err)
	return string(b)
}

// kernel parses one entry.
func kernel(t testing.TB, src, entry string) *Kernel {
	t.Helper()
	m, err := Parse(src)
	require.NoError(t, err)
	require.Contains(t, m.Kernels, entry)
	return m.Kernels[entry]
}

func x1(x uint32) [3]uint32 { return [3]uint32{x, 1, 1} }

// randoms are n values in [-scale/2, scale/2).
func randoms(n int, scale float32) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	v := make([]float32, n)
	for i := range v {
		v[i] = (r.Float32() - .5) * scale
	}
	return v
}

// uploadBF16 rounds values to bfloat16, puts them on the heap and returns what they became.
func uploadBF16(t testing.TB, h *Heap, values []float32) (uint64, []float32) {
	t.Helper()
	addr, err := h.Alloc(2 * len(values))
	require.NoError(t, err)
	b, err := h.Bytes(addr, 2*len(values))
	require.NoError(t, err)
	rounded := make([]float32, len(values))
	for i, v := range values {
		u := toBF16(v)
		le.PutUint16(b[2*i:], uint16(u))
		rounded[i] = fromBF16(u)
	}
	h.MarkWritten(addr, len(b))
	return addr, rounded
}

// blank is memory for n float32 that nobody has written.
func blank(t testing.TB, h *Heap, n int) uint64 {
	t.Helper()
	addr, err := h.Alloc(4 * n)
	require.NoError(t, err)
	return addr
}

// compare returns a message for the first of the n float32 at addr that is too far from want.
func compareAt(t testing.TB, h *Heap, addr uint64, want []float64, tolerance float64) string {
	for i, got := range download(t, h, addr, len(want)) {
		if !(math.Abs(float64(got)-want[i]) <= tolerance) {
			return "element " + itoa(uint64(i)) + " is wrong"
		}
	}
	return ""
}

func axpyProblem(t testing.TB, n int) *problem {
	h := NewHeap(64 << 20)
	x, y := randoms(n, 1), randoms(n, 2)
	xs, ys := upload(t, h, x), upload(t, h, y)
	want := make([]float64, n)
	for i := range want {
		want[i] = float64(y[i]) + 2*float64(x[i])
	}
	return &problem{
		entry: "axpy", heap: h, grid: x1(uint32(n+255) / 256), dim: x1(256), args: args(ys, xs, float32(2), int32(n)),
		wrong: func() string { return compareAt(t, h, ys, want, 1e-6) },
	}
}

func geluProblem(t testing.TB, n int) *problem {
	h := NewHeap(64 << 20)
	xs, x := uploadBF16(t, h, randoms(n, 8))
	ys := blank(t, h, n/2)
	return &problem{
		entry: "gelu", heap: h, grid: x1(uint32(n/8+255) / 256), dim: x1(256), args: args(ys, xs, int32(n)),
		wrong: func() string {
			b, err := h.Bytes(ys, 2*n)
			require.NoError(t, err)
			for i, v := range x {
				v := float64(v)
				want := .5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+.044715*v*v*v)))
				if got := float64(fromBF16(uint64(le.Uint16(b[2*i:])))); !(math.Abs(got-want) <= 2e-3+math.Abs(want)/128) {
					return "element " + itoa(uint64(i)) + " is wrong"
				}
			}
			return ""
		},
	}
}

func softmaxProblem(t testing.TB, rows, cols int) *problem {
	h := NewHeap(64 << 20)
	x := randoms(rows*cols, 12)
	xs, ys := upload(t, h, x), blank(t, h, rows*cols)
	want := make([]float64, len(x))
	for r := range rows {
		s := 0.
		for c := range cols {
			s += math.Exp(float64(x[r*cols+c]))
		}
		for c := range cols {
			want[r*cols+c] = math.Exp(float64(x[r*cols+c])) / s
		}
	}
	return &problem{
		entry: "softmax", heap: h, grid: x1(uint32(rows)), dim: x1(256), shared: cols*4 + 32, args: args(ys, xs, int32(cols)),
		wrong: func() string { return compareAt(t, h, ys, want, 1e-6) },
	}
}

func totalProblem(t testing.TB, blocks, n int) *problem {
	h := NewHeap(64 << 20)
	x := randoms(n, 1)
	xs, out, partial, count := upload(t, h, x), blank(t, h, 1), blank(t, h, blocks), upload(t, h, []float32{0})
	var want float64
	for _, v := range x {
		want += float64(v)
	}
	return &problem{
		entry: "total", heap: h, grid: x1(uint32(blocks)), dim: x1(128), args: args(out, partial, count, xs, int32(n)),
		wrong: func() string { return compareAt(t, h, out, []float64{want}, 1e-3) },
	}
}

func histogramProblem(t testing.TB, n int) *problem {
	h := NewHeap(64 << 20)
	x, counts := make([]float32, n), make([]uint32, 64)
	r := rand.New(rand.NewPCG(3, 3))
	for i := range x {
		v := r.Uint32N(1000)
		x[i] = math.Float32frombits(v)
		counts[v&63]++
	}
	xs, out := upload(t, h, x), upload(t, h, make([]float32, 64))
	return &problem{
		entry: "histogram", heap: h, grid: x1(5), dim: x1(128), args: args(out, xs, int32(n)),
		wrong: func() string {
			for i, v := range download(t, h, out, 64) {
				if math.Float32bits(v) != counts[i] {
					return "bucket " + itoa(uint64(i)) + " is wrong"
				}
			}
			return ""
		},
	}
}

func gemmProblem(t testing.TB, m, n, k int) *problem {
	h := NewHeap(64 << 20)
	as, a := uploadBF16(t, h, randoms(m*k, 1))
	bs, b := uploadBF16(t, h, randoms(n*k, 1.5))
	c := blank(t, h, m*n)
	want := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				want[i*n+j] += float64(a[i*k+l]) * float64(b[j*k+l])
			}
		}
	}
	return &problem{
		entry: "gemm", heap: h, grid: [3]uint32{uint32(n / 64), uint32(m / 64), 1}, dim: x1(128), shared: 3 * 128 * 64,
		args:  args(c, as, bs, int32(m), int32(n), int32(k)),
		wrong: func() string { return compareAt(t, h, c, want, 1e-4) },
	}
}

// ampere are the kernels of testdata/ampere, each with a small problem.
var ampere = []struct {
	file string
	make func(t testing.TB) *problem
}{
	{"ampere/vec", func(t testing.TB) *problem { return axpyProblem(t, 5003) }},
	{"ampere/vec", func(t testing.TB) *problem { return geluProblem(t, 8*333) }},
	{"ampere/vec", func(t testing.TB) *problem { return totalProblem(t, 7, 3001) }},
	{"ampere/vec", func(t testing.TB) *problem { return histogramProblem(t, 3001) }},
	{"ampere/softmax", func(t testing.TB) *problem { return softmaxProblem(t, 9, 1000) }},
	{"ampere/gemm", func(t testing.TB) *problem { return gemmProblem(t, 128, 64, 160) }},
}

func TestKernelsComputeWhatTheySay(t *testing.T) {
	for _, x := range ampere {
		for name, o := range map[string]Options{
			"plain": {}, "checked": {Check: true}, "seeded": {Check: true, Seed: 7}, "one worker": {Workers: 1}, "three workers": {Workers: 3, Stats: &Stats{}},
		} {
			p := x.make(t)
			t.Run(p.entry+"/"+name, func(t *testing.T) {
				require.NoError(t, p.run(kernel(t, source(t, x.file), p.entry), o))
				require.Empty(t, p.wrong())
			})
		}
	}
}

func BenchmarkAxpy(b *testing.B) {
	benchmark(b, "ampere/vec", axpyProblem(b, 1<<16), 1<<16, "ns/thread")
}

func BenchmarkGelu(b *testing.B) {
	benchmark(b, "ampere/vec", geluProblem(b, 1<<16), 1<<16, "ns/element")
}

func BenchmarkSoftmax(b *testing.B) {
	benchmark(b, "ampere/softmax", softmaxProblem(b, 256, 1000), 256*1000, "ns/element")
}

func BenchmarkGemm(b *testing.B) {
	benchmark(b, "ampere/gemm", gemmProblem(b, 256, 256, 256), 2*256*256*256, "ns/FLOP")
}

// benchmark runs a problem on one worker, with the checker and without.
func benchmark(b *testing.B, file string, p *problem, work float64, unit string) {
	k := kernel(b, source(b, file), p.entry)
	for name, check := range map[string]bool{"plain": false, "checked": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, p.run(k, Options{Check: check, Workers: 1}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/work, unit)
		})
	}
}
