// Package vec holds the vector primitives of the CPU backend: conversions, reductions, activations, norms, rotations and
// the AdamW step, each over one row held in a slice, on one thread, without allocating.
//
// # Lengths and aliasing
//
// The first slice sets the length; every other slice must be at least as long, or the call panics as an index out of
// range would. A destination may be exactly one of the sources (the same first element); overlap by an offset gives
// unspecified values, and two destinations must not be the same. Slices of any length and alignment are accepted; 0
// does nothing.
//
// # Tiers
//
// Every primitive exists as plain Go, AVX2 and AVX-512; tier.Current chooses at each call. Within a tier the result
// depends on values and lengths alone, never on alignment. Sums are kept in lanes: element i of the main loop goes to
// lane i mod L, L = 4 (portable), 32 (avx2) or 64 (avx512), and the lanes are added pairwise at the end, so
// |error| <= (n/L + 12)·2⁻²⁴·Σ|terms|. The assembly is written by the generator in gen, which is the source to read.
// The tier avx512bf16 uses the avx512 code: VCVTNEPS2BF16 would flush subnormals, and Narrow is bound by memory anyway.
//
// Functions built on the exponential work in float32 polynomials in assembly and in float64 in plain Go. Where e^x is
// below 2⁻¹²⁵ it is 0, on every tier, so that masked scores cost nothing and nothing runs into subnormal arithmetic.
//
// Deliberately absent: threads, strides, matrices (package gemm) and checks with error values; the backend validates
// its arguments once, before any kernel runs.
package vec

//go:generate go run ./gen
