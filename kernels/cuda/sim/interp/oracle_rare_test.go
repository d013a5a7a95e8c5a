package interp

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// permuted picks bytes of b:a.
func permuted(s ...func(n uint64) uint64) func(a, b, c uint64) uint64 {
	return func(a, b, c uint64) uint64 {
		var r uint64
		for i, f := range s {
			r |= (b<<32 | a) >> (8 * (f(c&3) & 7)) & 0xff << (8 * i)
		}
		return r
	}
}

func plus(k uint64) func(uint64) uint64 { return func(n uint64) uint64 { return n + k } }

func TestRareInstructions(t *testing.T) {
	at := func(k uint64) func(uint64) uint64 { return func(n uint64) uint64 { return max(n, k) } }
	upTo := func(k uint64) func(uint64) uint64 { return func(n uint64) uint64 { return min(n, k) } }
	half := func(k uint64) func(uint64) uint64 { return func(n uint64) uint64 { return n&1*2 + k } }
	pick64 := func(greatest bool) func(a, b, c uint64) uint64 {
		return func(a, b, _ uint64) uint64 {
			x, y := f64(a), f64(b)
			switch {
			case x != x:
				return b
			case y != y:
				return a
			case greatest:
				return u64(math.Max(x, y))
			}
			return u64(math.Min(x, y))
		}
	}
	bf16Max := func(a, b uint64) uint64 { return max32(a<<16, b<<16, false) >> 16 }
	for _, x := range []instruction{
		{"prmt.b32.f4e d, a, b, c", "32 32 32 32", permuted(plus(0), plus(1), plus(2), plus(3))},
		{"prmt.b32.b4e d, a, b, c", "32 32 32 32", permuted(plus(0), plus(7), plus(6), plus(5))},
		{"prmt.b32.rc8 d, a, b, c", "32 32 32 32", permuted(plus(0), plus(0), plus(0), plus(0))},
		{"prmt.b32.ecl d, a, b, c", "32 32 32 32", permuted(at(0), at(1), at(2), at(3))},
		{"prmt.b32.ecr d, a, b, c", "32 32 32 32", permuted(upTo(0), upTo(1), upTo(2), upTo(3))},
		{"prmt.b32.rc16 d, a, b, c", "32 32 32 32", permuted(half(0), half(1), half(0), half(1))},
		{"set.lt.u32.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return -b2u(int32(a) < int32(b)) }},
		{"set.ge.f32.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return 0x3f800000 * b2u(f32(a) >= f32(b)) }},
		{"slct.f32.f32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
			if f32(c) >= 0 {
				return a
			}
			return b
		}},
		{"max.f64 d, a, b", "64 64 64", pick64(true)},
		{"min.f64 d, a, b", "64 64 64", pick64(false)},
		{"max.xorsign.abs.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
			return max32(a&^(1<<31), b&^(1<<31), false)&^(1<<31) | (a^b)&(1<<31)
		}},
		{"max.bf16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return bf16Max(a, b) }},
		{"max.bf16x2 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return bf16Max(a&0xffff, b&0xffff) | bf16Max(a>>16, b>>16)<<16 }},
		{"min.NaN.bf16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 {
			return max32((a^0x8000)<<16, (b^0x8000)<<16, true)>>16 ^ b2u(fromBF16(a) == fromBF16(a) && fromBF16(b) == fromBF16(b))<<15
		}},
		{"cvt.rz.bf16.f32 d, a", "16 32", func(a, _, _ uint64) uint64 {
			if a&0x7fffffff > 0x7f800000 {
				return 0x7fff
			}
			return a >> 16
		}},
		{"cvt.rn.relu.bf16.f32 d, a", "16 32", func(a, _, _ uint64) uint64 {
			if f32(a) < 0 {
				return 0
			}
			return rounded16(a, 8, 127)
		}},
		{"cvt.rna.tf32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return (a + 0x1000) &^ 0x1fff }},
		{"cvt.f32.f16 d, a", "32 16", func(a, _, _ uint64) uint64 {
			m := float64(a & 0x3ff)
			switch e := int(a >> 10 & 31); {
			case e == 31 && m != 0:
				return nan32
			case e == 31:
				m = math.Inf(1)
			case e == 0:
				m = math.Ldexp(m, -24)
			default:
				m = math.Ldexp(1024+m, e-25)
			}
			return u32(float32(m)) | a>>15<<31
		}},
		{"{ .reg .b32 lo; mad.hi.cc.u32 lo, a, b, c; addc.u32 d, 0, 0; }", "32 32 32 32", func(a, b, c uint64) uint64 { return (a*b>>32 + c) >> 32 }},
		{"{ .reg .b64 lo; mad.hi.cc.s64 lo, a, b, c; addc.u64 d, lo, 0; }", "64 64 64 64", func(a, b, c uint64) uint64 {
			p := wide(bigS(a), bigS(b))
			s := new(big.Int).Add(new(big.Int).And(p.Rsh(p, 64), bigU(math.MaxUint64)), bigU(c))
			return s.Uint64() + new(big.Int).Rsh(s, 64).Uint64()
		}},
	} {
		d := x.types[:2]
		x.compute(t, func(a, b, c, got uint64) {
			want := mask(d, x.want(a, b, c))
			nan := d == "32" && got&0x7fffffff > 0x7f800000 && want&0x7fffffff > 0x7f800000 ||
				d == "16" && got&0x7fff > 0x7f80 && want&0x7fff > 0x7f80 || d == "64" && math.IsNaN(f64(got)) && math.IsNaN(f64(want))
			if got != want && !nan {
				t.Fatalf("%s: a=%#x b=%#x c=%#x: %#x, want %#x", x.text, a, b, c, got, want)
			}
		})
	}
}

func TestHalvesAreTruncatedTowardZero(t *testing.T) {
	x := instruction{text: "cvt.rz.f16.f32 d, a", types: "16 32"}
	x.compute(t, func(a, _, _, got uint64) {
		v := math.Abs(float64(f32(a)))
		if v != v || math.IsInf(v, 0) {
			return
		}
		require.Equal(t, a>>31, got>>15)
		require.LessOrEqual(t, float64(fromF16(got&0x7fff)), v)
		if next := float64(fromF16(got&0x7fff + 1)); got&0x7fff < 0x7bff {
			require.Greater(t, next, v)
		}
	})
}

func TestApproximateQuotientsAndHalves(t *testing.T) {
	for _, name := range []string{"approx", "full", "approx.ftz"} {
		x := instruction{text: "div." + name + ".f32 d, a, b", types: "32 32 32"}
		x.compute(t, func(a, b, _, got uint64) {
			num, den := float64(f32(a)), float64(f32(b))
			want := num / den
			usual := func(v float64) bool { return math.Abs(v) > 0x1p-100 && math.Abs(v) < 0x1p100 }
			if usual(num) && usual(den) && usual(want) {
				require.InDelta(t, 1, float64(f32(got))/want, 0x1p-22, x.text)
			}
		})
	}
	for name, f := range map[string]func(float64) float64{"tanh.approx": math.Tanh, "ex2.approx.ftz": math.Exp2} {
		x := instruction{text: name + ".bf16 d, a", types: "16 16"}
		x.compute(t, func(a, _, _, got uint64) {
			v, want := float64(fromBF16(a)), f(float64(fromBF16(a)))
			if math.Abs(want) > 0x1p-100 && math.Abs(want) < 0x1p100 {
				require.InDelta(t, 1, float64(fromBF16(got))/want, 0x1p-7, "%s of %g", name, v)
			}
		})
		x = instruction{text: name + ".bf16x2 d, a", types: "32 32"}
		x.compute(t, func(a, _, _, got uint64) {
			for shift := 0; shift < 32; shift += 16 {
				want := f(float64(fromBF16(a >> shift & 0xffff)))
				if math.Abs(want) > 0x1p-100 && math.Abs(want) < 0x1p100 {
					require.InDelta(t, 1, float64(fromBF16(got>>shift&0xffff))/want, 0x1p-7)
				}
			}
		})
	}
	x := instruction{text: "tanh.approx.f16 d, a", types: "16 16"}
	x.compute(t, func(a, _, _, got uint64) {
		if want := math.Tanh(float64(fromF16(a))); math.Abs(want) > 0x1p-10 {
			require.InDelta(t, 1, float64(fromF16(got))/want, 0x1p-9)
		}
	})
}

func TestDirectedSumsAndProducts(t *testing.T) {
	for text, f := range map[string]func(x, y *big.Float) *big.Float{
		"add.rz": func(x, y *big.Float) *big.Float { return x.Add(x, y) }, "sub.rm": func(x, y *big.Float) *big.Float { return x.Sub(x, y) },
		"mul.rp": func(x, y *big.Float) *big.Float { return x.Mul(x, y) },
	} {
		i := instruction{text: text + ".f32 d, a, b", types: "32 32 32"}
		i.compute(t, func(a, b, _, got uint64) {
			if !finite32(a) || !finite32(b) || !finite32(got) {
				return
			}
			big32 := func(v uint64) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(f32(v))) }
			exact := f(big32(a), big32(b))
			below, above := big32(got).Cmp(exact) <= 0, big32(got).Cmp(exact) >= 0
			switch {
			case text == "mul.rp":
				require.True(t, above)
			case text == "sub.rm":
				require.True(t, below)
			default:
				require.True(t, exact.Sign() >= 0 && below || exact.Sign() <= 0 && above)
			}
			if below && above {
				return
			}
			// the neighbour on the other side is too far
			other := math.Nextafter32(f32(got), float32(math.Inf(1)))
			if above {
				other = math.Nextafter32(f32(got), float32(math.Inf(-1)))
			}
			if c := new(big.Float).SetPrec(600).SetFloat64(float64(other)).Cmp(exact); !math.IsInf(float64(other), 0) {
				require.True(t, below && c > 0 || above && c < 0, "%s %#x %#x: %#x", text, a, b, got)
			}
		})
	}
}

func TestAtomicsOfOtherWidths(t *testing.T) {
	start := "mov.b32 %r3, dyn; setp.eq.b32 %p1, %r0, 0; mov.b64 %rd5, 0; @%p1 st.shared.b64 [%r3], %rd5; bar.sync 0;\n"
	end := "\nbar.sync 0; "
	results(t, 64, start+"cvt.u64.u32 %rd6, %r0; shl.b64 %rd6, %rd6, 31; red.shared.add.u64 [%r3], %rd6;"+end+"ld.shared.b64 %rd7, [%r3]; shr.u64 %rd7, %rd7, 31; cvt.u32.u64 %r1, %rd7;",
		0, func(int) uint32 { return 63 * 64 / 2 })
	results(t, 64, start+"cvt.u64.u32 %rd6, %r0; atom.shared.max.s64 %rd7, [%r3], %rd6;"+end+"ld.volatile.shared.b64 %rd7, [%r3]; cvt.u32.u64 %r1, %rd7;",
		0, func(int) uint32 { return 63 })
	results(t, 64, start+"cvt.u16.u32 %h1, %r0; mov.b16 %h2, 0; setp.eq.u32 %p2, %r0, 40; @%p2 atom.shared.cas.b16 %h3, [%r3+2], %h2, %h1;"+end+"ld.shared.b32 %r1, [%r3];",
		0, func(int) uint32 { return 40 << 16 })
	results(t, 64, start+"mov.b32 %r4, 0x3f804000; red.shared.add.noftz.bf16x2 [%r3], %r4;"+end+"ld.shared.b32 %r1, [%r3];",
		0, func(int) uint32 { return 0x42804300 })
	// what one warp publishes, another waits for
	results(t, 64, start+`setp.lt.u32 %p1, %r0, 32; and.b32 %r4, %r0, 31; shl.b32 %r5, %r4, 2; add.u32 %r5, %r5, %r3; @%p1 bra give;
wait: ld.acquire.cta.shared.b32 %r6, [%r3]; setp.ne.u32 %p2, %r6, 7; @%p2 bra wait; ld.shared.b32 %r1, [%r5+128]; bra.uni end;
give: add.u32 %r1, %r0, 100; st.shared.b32 [%r5+128], %r1; bar.warp.sync -1; setp.eq.u32 %p3, %r0, 0; @%p3 st.release.cta.shared.b32 [%r3], 7; end:`,
		0, func(i int) uint32 { return uint32(i%32) + 100 })
}
