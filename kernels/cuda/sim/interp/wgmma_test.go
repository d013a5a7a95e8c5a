package interp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hopperSource reads PTX of testdata/hopper, packed or not.
func hopperSource(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/hopper/" + name)
	require.NoError(t, err)
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		require.NoError(t, err)
		b, err = io.ReadAll(z)
		require.NoError(t, err)
	}
	return string(b)
}

// matrixTensor describes a row-major matrix of bf16 for copies of boxes.
func matrixTensor(t testing.TB, addr uint64, rows, cols, boxRows, boxCols, swizzle int) [128]byte {
	t.Helper()
	m := TensorMap{
		Type: TensorBF16, Rank: 2, Address: addr, Dim: [5]uint64{uint64(cols), uint64(rows)}, Stride: [4]uint64{uint64(2 * cols)},
		Box: [5]uint32{uint32(boxCols), uint32(boxRows)}, ElementStride: [5]uint32{1, 1}, Swizzle: uint32(swizzle),
	}
	b, err := m.Encode()
	require.NoError(t, err)
	return b
}

// transposed is the transpose of a row-major matrix.
func transposed(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// product of (m,k) and (n,k) transposed.
func productNT(a, b []float32, m, n, k int) []float32 {
	c := make([]float32, m*n)
	for i := range m {
		for j := range n {
			for x := range k {
				c[i*n+j] += a[i*k+x] * b[j*k+x]
			}
		}
	}
	return c
}

func TestWgmmaMultipliesInEveryLayoutThatTMABrings(t *testing.T) {
	m, err := Parse(hopperSource(t, "layouts.ptx.gz"))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(13, 14))
	const rows, columns, k = 64, 128, 320
	A, B := smallNumbers(rng, rows*k), smallNumbers(rng, columns*k)
	want := productNT(A, B, rows, columns, k)
	for _, order := range []string{"kk", "kn", "mk", "mn"} {
		for mode, width := range []int{0, 32, 64, 128} {
			name := fmt.Sprintf("layout__%s_%d", order, width)
			elements := max(width, 16) / 2
			r := newRig(t)
			tensor := func(x []float32, extent int, major byte) [128]byte {
				if major == 'k' {
					return matrixTensor(t, r.halves(x), extent, k, extent, elements, mode)
				}
				return matrixTensor(t, r.halves(transposed(x, extent, k)), k, extent, 64, elements, mode)
			}
			d := r.empty(4 * rows * columns)
			p := params(tensor(A, rows, order[0]), tensor(B, columns, order[1]), d, int32(k))
			require.NotNil(t, m.Kernels[name], name)
			for _, o := range []Options{{}, {Check: true}, {Seed: 5}} {
				o.Workers = 1
				require.NoError(t, m.Kernels[name].Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{256, 1, 1}, 3*24576, p, o), "%s %+v", name, o)
				require.Equal(t, want, r.floats(d, rows*columns), "%s %+v", name, o)
			}
		}
	}
}

// productKernel copies the image of shared memory at p0 (32 KB), loads the accumulators of every thread from p1, multiplies once
// with the descriptors p3 (or the registers of A at p3) and p4, adding to the accumulators if p5 is not 0, and stores them at p2.
func productKernel(columns int, typ string, fromRegisters bool, flags string) string {
	n := columns / 2
	var s strings.Builder
	s.WriteString("ld.param.u64 %rd0, [p0];\nld.param.u64 %rd1, [p1];\nld.param.u64 %rd2, [p2];\nld.param.u64 %rd3, [p3];\nld.param.u64 %rd4, [p4];\n" +
		"ld.param.u32 %r9, [p5];\nsetp.ne.u32 %p1, %r9, 0;\nmov.u32 %r0, %tid.x;\nmov.u64 %rd5, dynamic;\ncvt.u32.u64 %r1, %rd5;\n" +
		"mul.wide.u32 %rd6, %r0, 16;\nadd.u64 %rd0, %rd0, %rd6;\nmad.lo.u32 %r1, %r0, 16, %r1;\n")
	for i := range 16 {
		fmt.Fprintf(&s, "ld.global.v4.b32 {%%r10, %%r11, %%r12, %%r13}, [%%rd0+%d];\nst.shared.v4.b32 [%%r1+%d], {%%r10, %%r11, %%r12, %%r13};\n", 2048*i, 2048*i)
	}
	fmt.Fprintf(&s, "mul.wide.u32 %%rd7, %%r0, %d;\nadd.u64 %%rd1, %%rd1, %%rd7;\nadd.u64 %%rd2, %%rd2, %%rd7;\n", 4*n)
	var d []string
	for i := range n {
		d = append(d, fmt.Sprintf("%%f%d", i))
		fmt.Fprintf(&s, "ld.global.f32 %%f%d, [%%rd1+%d];\n", i, 4*i)
	}
	a := "%rd3"
	if fromRegisters {
		a = "{%r20, %r21, %r22, %r23}"
		fmt.Fprintf(&s, "mul.wide.u32 %%rd8, %%r0, 16;\nadd.u64 %%rd3, %%rd3, %%rd8;\nld.global.v4.b32 %s, [%%rd3];\n", a)
	}
	fmt.Fprintf(&s, "fence.proxy.async;\nbar.sync 0;\nwgmma.fence.sync.aligned;\n"+
		"wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s {%s}, %s, %%rd4, %%p1, %s;\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n",
		columns, typ, typ, strings.Join(d, ", "), a, flags)
	for i := range n {
		fmt.Fprintf(&s, "st.global.f32 [%%rd2+%d], %%f%d;\n", 4*i, i)
	}
	return entry(128, 1, []string{".u64", ".u64", ".u64", ".u64", ".u64", ".u32"}, s.String())
}

// accumulatorPosition is the manual's figure of the accumulators of m64nN: element i of thread t.
func accumulatorPosition(t, i int) (row, col int) {
	warp, lane := t/32, t%32
	row = 16*warp + lane/4
	if i%4 >= 2 {
		row += 8
	}
	return row, 8*(i/4) + lane%4*2 + i%2
}

func TestWgmmaOfEveryWidth(t *testing.T) {
	const base = reservedShared // where dynamic shared memory starts: the image is placed there
	rng := rand.New(rand.NewPCG(17, 18))
	for columns := 8; columns <= 256; columns += 8 {
		n := columns / 2
		typ, e, bits := "bf16", elemBF16, bf16Bits
		if columns%24 == 0 {
			typ, e, bits = "f16", elemF16, halfBits
		}
		fromRegisters, accumulate := columns%16 == 0, columns%32 != 0
		transA, transB := columns/8%3 == 1 && !fromRegisters, columns/8%2 == 1
		negA, negB := columns/8%5 == 2, columns/8%5 == 3
		sw := swizzle(columns / 8 % 4)
		sign := func(neg bool) string {
			if neg {
				return "-1"
			}
			return "1"
		}
		flags := sign(negA) + ", " + sign(negB)
		if !fromRegisters {
			flags += fmt.Sprintf(", %d", map[bool]int{true: 1}[transA])
		}
		flags += fmt.Sprintf(", %d", map[bool]int{true: 1}[transB])
		image := make([]byte, 32<<10)
		for i := 0; i < len(image); i += 2 {
			le.PutUint16(image[i:], uint16(bits(float32(rng.IntN(9)-4))))
		}
		strides := func(trans bool, rows int) (lbo, sbo int) {
			w := sw.width()
			switch {
			case !trans && sw == swizzleNone:
				return 16 * rows, 128
			case !trans:
				return 16, 8 * w
			case sw == swizzleNone:
				return 128, 256
			}
			return 16 * w, 8 * w
		}
		aStart, bStart := base, base+8192
		aLBO, aSBO := strides(transA, 64)
		bLBO, bSBO := strides(transB, columns)
		element := func(start int, trans bool, lbo, sbo, r, k int, neg bool) float32 {
			mn, kk := canonical(sw, trans, lbo/2, sbo/2, 32, 1)
			v := e.widen(uint32(le.Uint16(image[swizzled(int(sw), start+2*(mn.at(r)+kk.at(k)))-base:])))
			if neg {
				return -v
			}
			return v
		}
		A := make([]float32, 64*16)
		aOperand := descriptor(aStart, aLBO, aSBO, sw)
		r := newRig(t)
		var regs []byte
		for i := range A {
			A[i] = element(aStart, transA, aLBO, aSBO, i/16, i%16, negA)
			if fromRegisters {
				A[i] = float32(rng.IntN(9) - 4)
			}
		}
		if fromRegisters {
			for th := range 128 {
				for i := range 4 {
					var word uint64
					for h := range 2 {
						row, k := aPosition16(th%32, 2*i+h)
						word |= bits(A[(16*(th/32)+row)*16+k]) << (16 * h)
					}
					regs = le.AppendUint32(regs, uint32(word))
				}
			}
			aOperand = r.bytes(regs)
			if negA {
				for i := range A {
					A[i] = -A[i]
				}
			}
		}
		C := smallNumbers(rng, 128*n)
		var c []byte
		for _, v := range C {
			c = le.AppendUint32(c, math.Float32bits(v))
		}
		scale := uint32(0)
		if accumulate {
			scale = 7
		}
		out := r.empty(len(c))
		p := params(r.bytes(image), r.bytes(c), out, aOperand, descriptor(bStart, bLBO, bSBO, sw), scale)
		k := parse(t, productKernel(columns, typ, fromRegisters, flags))
		everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 32<<10, p, o) })
		got := r.floats(out, 128*n)
		for th := range 128 {
			for i := range n {
				row, col := accumulatorPosition(th, i)
				want := float32(0)
				if accumulate {
					want = C[th*n+i]
				}
				for x := range 16 {
					want += A[row*16+x] * element(bStart, transB, bLBO, bSBO, col, x, negB)
				}
				if want != got[th*n+i] {
					t.Fatalf("%d columns of %s, %v, registers %v, transposed %v %v, negated %v %v: thread %d, d%d is %v, want %v",
						columns, typ, sw, fromRegisters, transA, transB, negA, negB, th, i, got[th*n+i], want)
				}
			}
		}
	}
}

func TestWgmmaRefusesWhatIsUndefined(t *testing.T) {
	good := productKernel(16, "bf16", false, "1, 1, 0, 0")
	for _, x := range [][2]string{
		{"m64n16k16", "m64n12k16"}, {"m64n16k16", "m64n264k16"}, {"m64n16k16", "m64n16k8"}, {"f32.bf16.bf16", "f16.bf16.bf16"}, {"f32.bf16.bf16", "f32.bf16.f16"},
		{"1, 1, 0, 0;", "1, 1, 0;"}, {"1, 1, 0, 0;", "2, 1, 0, 0;"}, {"1, 1, 0, 0;", "1, 1, 0, 2;"}, {"{%f0, ", "{%f1, "}, {"{%f0, ", "{"},
		{"wgmma.fence.sync.aligned", "wgmma.fence.aligned"},
	} {
		_, err := Parse(strings.Replace(good, x[0], x[1], 1))
		require.Error(t, err, x[1])
	}
	run := func(src string, a, b uint64) error {
		r := newRig(t)
		p := params(r.bytes(make([]byte, 32<<10)), r.bytes(make([]byte, 4096)), r.empty(4096), a, b, uint32(1))
		return parse(t, src).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 32<<10, p, Options{Workers: 1})
	}
	a, b := descriptor(1024, 16, 1024, swizzle128), descriptor(9216, 16, 1024, swizzle128)
	require.NoError(t, run(good, a, b))
	require.ErrorContains(t, run(good, a|1<<50, b), "A: matrix descriptor")
	require.ErrorContains(t, run(good, a, b+8), "into a pattern")
	require.ErrorContains(t, run(good, a, descriptor(32<<10, 16, 4096, swizzle128)), "B: the matrix at")
	replace := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	require.ErrorContains(t, run(replace("wgmma.fence.sync.aligned;\n", ""), a, b), "needs a wgmma.fence before it")
	require.ErrorContains(t, run(replace("wgmma.wait_group.sync.aligned 0;\n", ""), a, b), "was never waited for")
	require.ErrorContains(t, run(replace("wgmma.fence", "cvt.u64.u32 %rd9, %r0;\nshl.b64 %rd9, %rd9, 16;\nadd.u64 %rd4, %rd4, %rd9;\nwgmma.fence"), a, b),
		"descriptor of B differs between lanes")
	require.ErrorContains(t, run(replace("wgmma.fence", "shr.u32 %r5, %r0, 5;\ncvt.u64.u32 %rd9, %r5;\nshl.b64 %rd9, %rd9, 16;\nadd.u64 %rd4, %rd4, %rd9;\nwgmma.fence"), a, b),
		"descriptors differ between the warps of a warpgroup")
	require.ErrorContains(t, run(replace("wgmma.fence", "setp.lt.u32 %p1, %r0, 64;\nwgmma.fence"), a, b), "scale-d differs between the warps")
	partial := strings.Replace(replace("wgmma.fence", "setp.lt.u32 %p2, %r0, 64;\n@%p2 bra SKIP;\nwgmma.fence"), "st.global.f32", "SKIP:\nst.global.f32", 1)
	require.ErrorContains(t, run(partial, a, b), "deadlock")
}

// BenchmarkTensorInstructions repeats one instruction: m64n256k16 of a warpgroup, and m16n8k16 of each of its warps.
func BenchmarkTensorInstructions(b *testing.B) {
	const turns = 100
	loop := func(body string) string {
		return fmt.Sprintf("mov.u32 %%r400, 0;\nLOOP: %s\nadd.u32 %%r400, %%r400, 1;\nsetp.lt.u32 %%p9, %%r400, %d;\n@%%p9 bra LOOP;", body, turns)
	}
	wide := regexp.MustCompile(`(?s)wgmma\.fence.*wait_group\.sync\.aligned 0;`)
	src := productKernel(256, "bf16", false, "1, 1, 0, 0")
	wgmma := strings.Replace(src, wide.FindString(src), loop(wide.FindString(src)), 1)
	one := regexp.MustCompile(`mma\.sync[^;]*;`)
	src = fragmentKernel("m16n8k16", "bf16", 4, 2)
	mma := strings.Replace(src, one.FindString(src), loop(strings.Repeat(one.FindString(src), 8)), 1)
	for _, check := range []bool{false, true} {
		r := newRig(b)
		p := params(r.bytes(make([]byte, 32<<10)), r.bytes(make([]byte, 64<<10)), r.empty(64<<10), descriptor(reservedShared, 16, 1024, swizzle128),
			descriptor(reservedShared, 16, 1024, swizzle128), uint32(1))
		for name, x := range map[string]struct {
			k     *Kernel
			p     []byte
			size  uint32
			flops float64
		}{
			"wgmma": {parse(b, wgmma), p, 128, 2 * 64 * 256 * 16 * turns},
			"mma":   {parse(b, mma), params(r.bytes(make([]byte, 512)), r.bytes(make([]byte, 256)), r.bytes(make([]byte, 512)), r.empty(512)), 32, 2 * 16 * 8 * 16 * 8 * turns},
		} {
			b.Run(fmt.Sprint(name, ", checker ", check), func(b *testing.B) {
				for b.Loop() {
					if err := x.k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{x.size, 1, 1}, 32<<10, x.p, Options{Check: check, Workers: 1}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(x.flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
