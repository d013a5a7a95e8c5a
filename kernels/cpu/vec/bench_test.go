package vec

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"forja/kernels/cpu/tier"
)

// sink keeps results of reductions alive.
var sink float32

// BenchmarkPrimitives measures every primitive in every tier on a row in the first-level cache and on one in memory.
// GB/s counts each source and destination once; a destination that is also read counts twice.
func BenchmarkPrimitives(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 22} {
		for _, p := range benchmarked() {
			for _, level := range tier.All() {
				if level == tier.AVX512BF16 {
					continue // the code of avx512
				}
				b.Run(p.name+"/n="+strconv.Itoa(n)+"/"+level.String(), func(b *testing.B) {
					defer tier.Set(level)()
					in := sources(rand.New(rand.NewPCG(9, 1)), p, n)
					out := sources(rand.New(rand.NewPCG(9, 2)), primitive{name: p.name, in: p.out}, n)
					b.SetBytes(int64(4 * n * (p.in + p.out)))
					b.ReportAllocs()
					for b.Loop() {
						p.run(out, in)
					}
				})
			}
		}
	}
}

// benchmarked are the primitives of the table and those it does not hold, in its form.
func benchmarked() []primitive {
	words := make([]uint16, 1<<22)
	return append(primitives(),
		primitive{name: "Sum", in: 1, run: func(_, in [][]float32) { sink = Sum(in[0]) }},
		primitive{name: "Dot", in: 2, run: func(_, in [][]float32) { sink = Dot(in[0], in[1]) }},
		primitive{name: "Max", in: 1, run: func(_, in [][]float32) { sink = Max(in[0]) }},
		primitive{name: "ArgMax", in: 1, run: func(_, in [][]float32) { sink = float32(ArgMax(in[0])) }},
		primitive{name: "MeanVar", in: 1, run: func(_, in [][]float32) { sink, _ = MeanVar(in[0]) }},
		primitive{name: "ExpSum", in: 1, out: 1, run: func(o, in [][]float32) { sink = ExpSum(o[0], in[0], 3) }},
		primitive{name: "Widen (bytes of float32 only)", out: 1, run: func(o, _ [][]float32) { Widen(o[0], words[:len(o[0])]) }},
		primitive{name: "WidenF16 (bytes of float32 only)", out: 1, run: func(o, _ [][]float32) { WidenF16(o[0], words[:len(o[0])]) }},
		primitive{name: "Narrow (bytes of float32 only)", in: 1, run: func(_, in [][]float32) { Narrow(words[:len(in[0])], in[0]) }},
	)
}
