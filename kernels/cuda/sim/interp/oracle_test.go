package interp

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instruction is one instruction over the registers d, a, b and c, with what it should compute.
type instruction struct {
	text  string // d, a, b, c stand for registers, p for a predicate that a's lowest bit sets
	types string // widths of d and the operands: "32 32 16"; 1 for a predicate
	want  func(a, b, c uint64) uint64
}

func s16(v uint64) int64 { return int64(int16(v)) }
func s32(v uint64) int64 { return int64(int32(v)) }
func s64(v uint64) int64 { return int64(v) }

// wide is a product of 128 bits.
func wide(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

func bigS(v uint64) *big.Int { return big.NewInt(int64(v)) }
func bigU(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func finite32(v uint64) bool { return v&0x7f800000 != 0x7f800000 }

var integerInstructions = []instruction{
	{"add.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a + b }},
	{"sub.u32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a - b }},
	{"add.s16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return a + b }},
	{"sub.s16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return a - b }},
	{"add.u64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return a + b }},
	{"sub.s64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return a - b }},
	{"add.sat.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(min(max(s32(a)+s32(b), math.MinInt32), math.MaxInt32)) }},
	{"sub.sat.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(min(max(s32(a)-s32(b), math.MinInt32), math.MaxInt32)) }},
	{"add.s32 d, a, -17", "32 32", func(a, _, _ uint64) uint64 { return a - 17 }},
	{"mul.lo.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.lo.u16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.lo.s64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.wide.s16 d, a, b", "32 16 16", func(a, b, _ uint64) uint64 { return uint64(s16(a) * s16(b)) }},
	{"mul.wide.u16 d, a, b", "32 16 16", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.wide.s32 d, a, b", "64 32 32", func(a, b, _ uint64) uint64 { return uint64(s32(a) * s32(b)) }},
	{"mul.wide.u32 d, a, b", "64 32 32", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.hi.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(s32(a) * s32(b) >> 32) }},
	{"mul.hi.u32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a * b >> 32 }},
	{"mul.hi.s16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return uint64(s16(a) * s16(b) >> 16) }},
	{"mul.hi.u16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return a * b >> 16 }},
	{"mul.hi.s64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 {
		p := wide(bigS(a), bigS(b))
		return uint64(p.Rsh(p, 64).Int64())
	}},
	{"mul.hi.u64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 {
		p := wide(bigU(a), bigU(b))
		return p.Rsh(p, 64).Uint64()
	}},
	{"mad.lo.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return a*b + c }},
	{"mad.lo.s64 d, a, b, c", "64 64 64 64", func(a, b, c uint64) uint64 { return a*b + c }},
	{"mad.lo.u16 d, a, b, c", "16 16 16 16", func(a, b, c uint64) uint64 { return a*b + c }},
	{"mad.wide.s32 d, a, b, c", "64 32 32 64", func(a, b, c uint64) uint64 { return uint64(s32(a)*s32(b)) + c }},
	{"mad.wide.u32 d, a, b, c", "64 32 32 64", func(a, b, c uint64) uint64 { return a*b + c }},
	{"mad.wide.s16 d, a, b, c", "32 16 16 32", func(a, b, c uint64) uint64 { return uint64(s16(a)*s16(b)) + c }},
	{"mad.hi.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return uint64(s32(a)*s32(b)>>32) + c }},
	{"mad.hi.u32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return a*b>>32 + c }},
	{"div.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
		if uint32(b) == 0 {
			return math.MaxUint64
		}
		return uint64(s32(a) / s32(b))
	}},
	{"div.u64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 {
		if b == 0 {
			return math.MaxUint64
		}
		return a / b
	}},
	{"rem.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
		if uint32(b) == 0 {
			return math.MaxUint64
		}
		return uint64(s32(a) % s32(b))
	}},
	{"rem.u32 d, a, 7", "32 32", func(a, _, _ uint64) uint64 { return a % 7 }},
	{"rem.s64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 {
		if b == 0 {
			return math.MaxUint64
		}
		return uint64(s64(a) % s64(b))
	}},
	{"min.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(min(s32(a), s32(b))) }},
	{"max.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(max(s32(a), s32(b))) }},
	{"min.u32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return min(a, b) }},
	{"max.u64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return max(a, b) }},
	{"max.s64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return uint64(max(s64(a), s64(b))) }},
	{"min.s16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return uint64(min(s16(a), s16(b))) }},
	{"max.u16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return max(a, b) }},
	{"min.relu.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(max(0, min(s32(a), s32(b)))) }},
	{"max.s16x2 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
		return uint64(uint16(max(s16(a), s16(b)))) | uint64(uint16(max(s16(a>>16), s16(b>>16))))<<16
	}},
	{"add.u16x2 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return (a+b)&0xffff | (a>>16+b>>16)<<16 }},
	{"neg.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return -a }},
	{"neg.s64 d, a", "64 64", func(a, _, _ uint64) uint64 { return -a }},
	{"neg.s16 d, a", "16 16", func(a, _, _ uint64) uint64 { return -a }},
	{"abs.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(max(s32(a), -s32(a))) }},
	{"abs.s64 d, a", "64 64", func(a, _, _ uint64) uint64 { return uint64(max(s64(a), -s64(a))) }},
	{"sad.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return c + uint64(max(s32(a), s32(b))-min(s32(a), s32(b))) }},
	{"sad.u32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return c + max(a, b) - min(a, b) }},
	{"{ .reg .b64 lo; add.cc.u64 lo, a, b; addc.u64 d, c, 0; }", "64 64 64 64", func(a, b, c uint64) uint64 { _, o := bits.Add64(a, b, 0); return c + o }},
	{"{ .reg .b32 lo; add.cc.u32 lo, a, b; addc.u32 d, c, c; }", "32 32 32 32", func(a, b, c uint64) uint64 { return 2*c + (a+b)>>32 }},
	{"{ .reg .b64 lo; sub.cc.u64 lo, a, b; subc.u64 d, c, 0; }", "64 64 64 64", func(a, b, c uint64) uint64 { _, o := bits.Sub64(a, b, 0); return c - o }},
	{"{ .reg .b32 lo; mad.lo.cc.u32 lo, a, b, c; madc.hi.u32 d, a, b, 0; }", "32 32 32 32", func(a, b, c uint64) uint64 { return (a*b + c) >> 32 }},
}

var bitInstructions = []instruction{
	{"and.b32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a & b }},
	{"or.b64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return a | b }},
	{"xor.b16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return a ^ b }},
	{"xor.b32 d, a, -1", "32 32", func(a, _, _ uint64) uint64 { return ^a }},
	{"not.b32 d, a", "32 32", func(a, _, _ uint64) uint64 { return ^a }},
	{"not.b16 d, a", "16 16", func(a, _, _ uint64) uint64 { return ^a }},
	{"cnot.b32 d, a", "32 32", func(a, _, _ uint64) uint64 { return b2u(a == 0) }},
	{"shl.b32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
		if b > 31 {
			return 0
		}
		return a << b
	}},
	{"shl.b64 d, a, b", "64 64 32", func(a, b, _ uint64) uint64 { return a << b }},
	{"shl.b16 d, a, b", "16 16 32", func(a, b, _ uint64) uint64 { return a << b }},
	{"shr.u32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a >> b }},
	{"shr.b64 d, a, b", "64 64 32", func(a, b, _ uint64) uint64 { return a >> b }},
	{"shr.s32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return uint64(s32(a) >> min(b, 31)) }},
	{"shr.s64 d, a, b", "64 64 32", func(a, b, _ uint64) uint64 { return uint64(s64(a) >> min(b, 63)) }},
	{"shr.s16 d, a, b", "16 16 32", func(a, b, _ uint64) uint64 { return uint64(s16(a) >> min(b, 15)) }},
	{"shf.l.wrap.b32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return (b<<32 | a) << (c & 31) >> 32 }},
	{"shf.r.wrap.b32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return (b<<32 | a) >> (c & 31) }},
	{"shf.l.clamp.b32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return (b<<32 | a) << min(c, 32) >> 32 }},
	{"shf.r.clamp.b32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return (b<<32 | a) >> min(c, 32) }},
	{"lop3.b32 d, a, b, c, 0xe8", "32 32 32 32", func(a, b, c uint64) uint64 { return a&b | a&c | b&c }},
	{"lop3.b32 d, a, b, c, 0x1b", "32 32 32 32", func(a, b, c uint64) uint64 {
		var r uint64
		for i := range 32 {
			r |= 0x1b >> (a>>i&1<<2 | b>>i&1<<1 | c>>i&1) & 1 << i
		}
		return r
	}},
	{"prmt.b32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		var r uint64
		for i := range 4 {
			s := c >> (4 * i) & 15
			x := (b<<32 | a) >> (s & 7 * 8) & 0xff
			if s > 7 {
				x = x >> 7 * 0xff
			}
			r |= x << (8 * i)
		}
		return r
	}},
	{"prmt.b32 d, a, 0, 0x123U", "32 32", func(a, _, _ uint64) uint64 { return uint64(bits.ReverseBytes32(uint32(a))) }},
	{"popc.b32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(bits.OnesCount64(a)) }},
	{"popc.b64 d, a", "32 64", func(a, _, _ uint64) uint64 { return uint64(bits.OnesCount64(a)) }},
	{"clz.b32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(bits.LeadingZeros32(uint32(a))) }},
	{"clz.b64 d, a", "32 64", func(a, _, _ uint64) uint64 { return uint64(bits.LeadingZeros64(a)) }},
	{"brev.b32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) }},
	{"brev.b64 d, a", "64 64", func(a, _, _ uint64) uint64 { return bits.Reverse64(a) }},
	{"bfind.u32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(bits.Len32(uint32(a))) - 1 }},
	{"bfind.s32 d, a", "32 32", func(a, _, _ uint64) uint64 {
		if s32(a) < 0 {
			a = ^a
		}
		return uint64(bits.Len32(uint32(a))) - 1
	}},
	{"bfind.shiftamt.u64 d, a", "32 64", func(a, _, _ uint64) uint64 {
		if a == 0 {
			return math.MaxUint64
		}
		return uint64(bits.LeadingZeros64(a))
	}},
	{"bfe.u32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		var r uint64
		for i := range min(c&0xff, 32) {
			if at := b&0xff + i; at < 32 {
				r |= a >> at & 1 << i
			}
		}
		return r
	}},
	{"bfe.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 { return bfeSigned(a, b&0xff, c&0xff, 32) }},
	{"bfe.s64 d, a, b, c", "64 64 32 32", func(a, b, c uint64) uint64 { return bfeSigned(a, b&0xff, c&0xff, 64) }},
	{"bfi.b32 d, a, b, 5, 9", "32 32 32", func(a, b, _ uint64) uint64 { return b&^(511<<5) | a&511<<5 }},
	{"bfi.b32 d, a, b, c, 40", "32 32 32 32", func(a, b, c uint64) uint64 {
		r := b
		for i := range uint64(40) {
			if at := c&0xff + i; at < 32 && i < 32 {
				r = r&^(1<<at) | a>>i&1<<at
			}
		}
		return r
	}},
	{"dp4a.s32.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		r := s32(c)
		for i := range 4 {
			r += int64(int8(a>>(8*i))) * int64(int8(b>>(8*i)))
		}
		return uint64(r)
	}},
	{"dp4a.u32.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		r := s32(c)
		for i := range 4 {
			r += int64(uint8(a>>(8*i))) * int64(int8(b>>(8*i)))
		}
		return uint64(r)
	}},
	{"dp2a.hi.s32.u32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		return uint64(s32(c) + s16(a)*int64(uint8(b>>16)) + s16(a>>16)*int64(uint8(b>>24)))
	}},
	{"mov.b32 d, {a, b}", "32 16 16", func(a, b, _ uint64) uint64 { return a | b<<16 }},
	{"mov.b64 d, {a, b}", "64 32 32", func(a, b, _ uint64) uint64 { return a | b<<32 }},
	{"mov.b64 d, {a, b, a, c}", "64 16 16 16", func(a, b, c uint64) uint64 { return a | b<<16 | a<<32 | c<<48 }},
	{"{ .reg .b16 x; mov.b32 {x, d}, a; }", "16 32", func(a, _, _ uint64) uint64 { return a >> 16 }},
	{"mov.b64 {_, d}, a", "32 64", func(a, _, _ uint64) uint64 { return a >> 32 }},
	{"selp.b32 d, a, b, p", "32 32 32", func(a, b, _ uint64) uint64 { return [2]uint64{b, a}[a&1] }},
	{"selp.b64 d, a, b, !p", "64 64 64", func(a, b, _ uint64) uint64 { return [2]uint64{a, b}[a&1] }},
	{"slct.b32.s32 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		if s32(c) >= 0 {
			return a
		}
		return b
	}},
}

func bfeSigned(a, pos, n uint64, width uint64) uint64 {
	if n == 0 {
		return 0
	}
	sign := a >> min(pos+n-1, width-1) & 1
	var r uint64
	for i := range width {
		bit := sign
		if i < n && pos+i < width {
			bit = a >> (pos + i) & 1
		}
		r |= bit << i
	}
	return r
}

var floatInstructions = []instruction{
	{"add.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return u32(f32(a) + f32(b)) }},
	{"sub.rn.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return u32(f32(a) - f32(b)) }},
	{"mul.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return u32(f32(a) * f32(b)) }},
	{"mul.ftz.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return flushOne(u32(f32(flushOne(a)) * f32(flushOne(b)))) }},
	{"add.sat.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 {
		r := f32(a) + f32(b)
		if r != r {
			return 0
		}
		return u32(min(max(r, 0), 1)) &^ (1 << 31)
	}},
	{"div.rn.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return u32(f32(a) / f32(b)) }},
	{"rcp.rn.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return u32(1 / f32(a)) }},
	{"sqrt.rn.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return u32(float32(math.Sqrt(float64(f32(a))))) }},
	{"neg.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return a ^ 1<<31 }},
	{"abs.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return a &^ (1 << 31) }},
	{"abs.f64 d, a", "64 64", func(a, _, _ uint64) uint64 { return a &^ (1 << 63) }},
	{"copysign.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return a&(1<<31) | b&^(1<<31) }},
	{"max.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return max32(a, b, false) }},
	{"min.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return max32(a^1<<31, b^1<<31, false) ^ 1<<31 }},
	{"max.NaN.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return max32(a, b, true) }},
	{"add.f64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return u64(f64(a) + f64(b)) }},
	{"mul.rn.f64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return u64(f64(a) * f64(b)) }},
	{"div.rn.f64 d, a, b", "64 64 64", func(a, b, _ uint64) uint64 { return u64(f64(a) / f64(b)) }},
	{"fma.rn.f64 d, a, b, c", "64 64 64 64", func(a, b, c uint64) uint64 { return u64(math.FMA(f64(a), f64(b), f64(c))) }},
	{"sqrt.rn.f64 d, a", "64 64", func(a, _, _ uint64) uint64 { return u64(math.Sqrt(f64(a))) }},
	{"cvt.f64.f32 d, a", "64 32", func(a, _, _ uint64) uint64 { return u64(float64(f32(a))) }},
	{"cvt.rn.f32.f64 d, a", "32 64", func(a, _, _ uint64) uint64 { return u32(float32(f64(a))) }},
	{"cvt.rn.f32.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return u32(float32(int32(a))) }},
	{"cvt.rn.f32.u32 d, a", "32 32", func(a, _, _ uint64) uint64 { return u32(float32(uint32(a))) }},
	{"cvt.rn.f32.u64 d, a", "32 64", func(a, _, _ uint64) uint64 { return u32(float32(a)) }},
	{"cvt.rn.f32.s64 d, a", "32 64", func(a, _, _ uint64) uint64 { return u32(float32(int64(a))) }},
	{"cvt.rz.f32.u64 d, a", "32 64", func(a, _, _ uint64) uint64 {
		r, _ := new(big.Float).SetMode(big.ToZero).SetPrec(24).SetUint64(a).Float32()
		return u32(r)
	}},
	{"cvt.rn.f64.s64 d, a", "64 64", func(a, _, _ uint64) uint64 { return u64(float64(int64(a))) }},
	{"cvt.rp.f64.u64 d, a", "64 64", func(a, _, _ uint64) uint64 {
		r, _ := new(big.Float).SetMode(big.ToPositiveInf).SetPrec(53).SetUint64(a).Float64()
		return u64(r)
	}},
	{"cvt.rn.f32.u16 d, a", "32 16", func(a, _, _ uint64) uint64 { return u32(float32(a)) }},
	{"cvt.rzi.s32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return toInteger(math.Trunc(float64(f32(a))), -1<<31, 1<<31-1) }},
	{"cvt.rni.s32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return toInteger(math.RoundToEven(float64(f32(a))), -1<<31, 1<<31-1) }},
	{"cvt.rmi.u32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return toInteger(math.Floor(float64(f32(a))), 0, 1<<32-1) }},
	{"cvt.rzi.u16.f32 d, a", "16 32", func(a, _, _ uint64) uint64 { return toInteger(math.Trunc(float64(f32(a))), 0, 1<<16-1) }},
	{"cvt.rpi.s8.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return toInteger(math.Ceil(float64(f32(a))), -128, 127) }},
	{"cvt.rni.f32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return nanAs(u32(float32(math.RoundToEven(float64(f32(a)))))) }},
	{"cvt.rmi.f32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return nanAs(u32(float32(math.Floor(float64(f32(a)))))) }},
	{"cvt.rzi.f64.f64 d, a", "64 64", func(a, _, _ uint64) uint64 { return u64(math.Trunc(f64(a))) }},
	{"cvt.sat.f32.f32 d, a", "32 32", func(a, _, _ uint64) uint64 { return saturate(a) }},
	{"cvt.rn.bf16.f32 d, a", "16 32", func(a, _, _ uint64) uint64 { return rounded16(a, 8, 127) }},
	{"cvt.rn.f16.f32 d, a", "16 32", func(a, _, _ uint64) uint64 { return rounded16(a, 5, 15) }},
	{"cvt.rn.bf16x2.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return rounded16(a, 8, 127)<<16 | rounded16(b, 8, 127) }},
	{"cvt.rn.f16x2.f32 d, a, b", "32 32 32", func(a, b, _ uint64) uint64 { return rounded16(a, 5, 15)<<16 | rounded16(b, 5, 15) }},
	{"cvt.f32.bf16 d, a", "32 16", func(a, _, _ uint64) uint64 { return a << 16 }},
	{"cvt.u32.u16 d, a", "32 16", func(a, _, _ uint64) uint64 { return a }},
	{"cvt.s32.s16 d, a", "32 16", func(a, _, _ uint64) uint64 { return uint64(s16(a)) }},
	{"cvt.s64.s32 d, a", "64 32", func(a, _, _ uint64) uint64 { return uint64(s32(a)) }},
	{"cvt.u64.u32 d, a", "64 32", func(a, _, _ uint64) uint64 { return a }},
	{"cvt.u32.u64 d, a", "32 64", func(a, _, _ uint64) uint64 { return a }},
	{"cvt.s32.s8 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(int8(a)) }},
	{"cvt.s16.s8 d, a", "16 16", func(a, _, _ uint64) uint64 { return uint64(int8(a)) }},
	{"cvt.u16.u32 d, a", "16 32", func(a, _, _ uint64) uint64 { return a }},
	{"cvt.s8.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(int8(a)) }},
	{"cvt.sat.s8.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(max(-128, min(127, s32(a)))) }},
	{"cvt.sat.u8.s32 d, a", "32 32", func(a, _, _ uint64) uint64 { return uint64(max(0, min(255, s32(a)))) }},
	{"cvt.sat.s32.s64 d, a", "32 64", func(a, _, _ uint64) uint64 { return uint64(max(math.MinInt32, min(math.MaxInt32, s64(a)))) }},
	{"fma.rn.bf16 d, a, b, c", "16 16 16 16", func(a, b, c uint64) uint64 { return half16(a, b, c, 8, 127) }},
	{"fma.rn.f16 d, a, b, c", "16 16 16 16", func(a, b, c uint64) uint64 { return half16(a, b, c, 5, 15) }},
	{"fma.rn.bf16x2 d, a, b, c", "32 32 32 32", func(a, b, c uint64) uint64 {
		return half16(a&0xffff, b&0xffff, c&0xffff, 8, 127) | half16(a>>16, b>>16, c>>16, 8, 127)<<16
	}},
	{"mul.rn.bf16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return half16(a, b, 0x8000, 8, 127) }},
	{"add.f16 d, a, b", "16 16 16", func(a, b, _ uint64) uint64 { return half16(a, 0x3c00, b, 5, 15) }},
	{"neg.bf16x2 d, a", "32 32", func(a, _, _ uint64) uint64 { return a ^ 0x80008000 }},
	{"abs.f16 d, a", "16 16", func(a, _, _ uint64) uint64 { return a & 0x7fff }},
}

// nanAs gives every NaN the same bits.
func nanAs(v uint64) uint64 {
	if v&0x7fffffff > 0x7f800000 {
		return nan32
	}
	return v
}

func max32(a, b uint64, nan bool) uint64 {
	x, y := f32(a), f32(b)
	switch {
	case x != x && y != y || nan && (x != x || y != y):
		return nan32
	case x != x:
		return b
	case y != y:
		return a
	case x == 0 && y == 0:
		return a & b
	}
	return u32(max(x, y))
}

func toInteger(f, least, most float64) uint64 {
	if f != f {
		return 0
	}
	return uint64(int64(min(max(f, least), most)))
}

// rounded16 rounds a float32 to a 16-bit float with so many bits of exponent, by big numbers.
func rounded16(v uint64, exponent, bias int) uint64 {
	f := float64(f32(v))
	if f != f {
		return 0x7fff
	}
	return roundBig(new(big.Float).SetPrec(300).SetFloat64(f), v>>31, exponent, bias)
}

// roundBig rounds to nearest even.
func roundBig(x *big.Float, sign uint64, exponent, bias int) uint64 {
	digits := 15 - exponent // of the mantissa
	infinite := uint64(1<<exponent-1) << digits
	if x.IsInf() {
		return infinite | sign<<15
	}
	abs := new(big.Float).Abs(x)
	e := max(abs.MantExp(nil)-1, 1-bias)
	if abs.Sign() == 0 {
		e = 1 - bias
	}
	unit := new(big.Float).SetMantExp(big.NewFloat(1), e-digits)
	n, _ := new(big.Float).Quo(abs, unit).Int(nil)
	rest := new(big.Float).Sub(abs, new(big.Float).Mul(unit, new(big.Float).SetPrec(300).SetInt(n)))
	switch c := rest.Cmp(new(big.Float).Quo(unit, big.NewFloat(2))); {
	case c > 0, c == 0 && n.Bit(0) == 1:
		n.Add(n, big.NewInt(1))
	}
	m := n.Uint64() // in units of 2^(e-digits): the bits, but for the exponent
	v := uint64(e+bias-1)<<digits + m
	return min(v, infinite) | sign<<15
}

// half16 is a*b+c of 16-bit floats rounded once.
func half16(a, b, c uint64, exponent, bias int) uint64 {
	get := fromBF16
	if exponent == 5 {
		get = fromF16
	}
	x, y, z := float64(get(a)), float64(get(b)), float64(get(c))
	if s := x*y + z; s != s {
		return 0x7fff
	} else if math.IsInf(s, 0) {
		return uint64(1<<exponent-1)<<(15-exponent) | math.Float64bits(s)>>63<<15
	} else if s == 0 && x*y == 0 && z == 0 || x*y == -z { // the sign of zero
		return math.Float64bits(s) >> 63 << 15
	}
	p := func(f float64) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(f) }
	s := new(big.Float).SetPrec(600).Add(new(big.Float).SetPrec(600).Mul(p(x), p(y)), p(z))
	return roundBig(s, b2u(s.Signbit()), exponent, bias)
}

// interesting are operands that break things.
var interesting = []uint64{
	0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, 1<<63 - 1, math.MaxUint64,
	0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x3f7fffff, 0x3effffff,
	0x3ff0000000000000, 0x7ff0000000000000, 0xfff8000000000000, 0x43e0000000000000, 0x3f803f80, 0x3c003c00, 0x7c00, 0x0400, 0x03ff, 0x3fc0, 0x00010000, 0x3f808000, 0x477fe000, 0x477ff000, 0x33000000,
}

// operand draws a value: special, small, a float of moderate size, or any.
func operand(r *rand.Rand) uint64 {
	switch r.IntN(5) {
	case 0, 1:
		return interesting[r.IntN(len(interesting))]
	case 2:
		return uint64(r.IntN(64))
	case 3:
		return u32(float32(r.NormFloat64())) | uint64(r.Uint32())<<32
	}
	return r.Uint64()
}

// text is a module with one kernel that loads the operands of each thread, runs the instruction in the
// lanes where bit 0 of the fourth operand is set, and stores d.
func (x *instruction) module() string {
	var b strings.Builder
	b.WriteString(".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 in) {\n" +
		".reg .b64 %rd<9>; .reg .b32 %t, %m; .reg .pred p, go;\n" +
		"ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [in]; mov.u32 %t, %tid.x;\n" +
		"mul.wide.u32 %rd3, %t, 32; add.s64 %rd4, %rd2, %rd3; mul.wide.u32 %rd5, %t, 8; add.s64 %rd6, %rd1, %rd5;\n" +
		"ld.global.b32 %m, [%rd4+24]; and.b32 %m, %m, 1; setp.eq.b32 go, %m, 1;\n" +
		"ld.global.b32 %m, [%rd4]; and.b32 %m, %m, 1; setp.eq.b32 p, %m, 1;\n")
	for i, width := range strings.Fields(x.types) {
		name := string("dabc"[i])
		if width == "1" {
			fmt.Fprintf(&b, ".reg .pred %s; setp.eq.b32 %s, 0, 1;\n", name, name)
			continue
		}
		fmt.Fprintf(&b, ".reg .b%s %s;\n", width, name)
		if i == 0 {
			fmt.Fprintf(&b, "mov.b%s d, 0x55;\n", width)
		} else {
			fmt.Fprintf(&b, "ld.global.b%s %s, [%%rd4+%d];\n", width, name, 8*(i-1))
		}
	}
	body := x.text
	if inner, ok := strings.CutPrefix(body, "{ "); ok {
		body = strings.TrimSuffix(inner, "}")
	}
	for _, s := range strings.Split(body, ";") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if s[0] == '.' {
			fmt.Fprintf(&b, "%s;\n", s)
		} else {
			fmt.Fprintf(&b, "@go %s;\n", s)
		}
	}
	if d := strings.Fields(x.types)[0]; d == "1" {
		b.WriteString("selp.b64 %rd7, 1, 0, d;\n")
	} else if d == "64" {
		b.WriteString("mov.b64 %rd7, d;\n")
	} else {
		fmt.Fprintf(&b, "cvt.u64.u%s %%rd7, d;\n", d)
	}
	b.WriteString("st.global.b64 [%rd6], %rd7;\nret;\n}\n")
	return b.String()
}

// mask keeps the bits of a width.
func mask(width string, v uint64) uint64 {
	switch width {
	case "1":
		return v & 1
	case "16":
		return v & 0xffff
	case "32":
		return v & 0xffffffff
	}
	return v
}

// compute runs the instruction on random operands, several to a thread, and calls check for each
// thread's operands and result.
func (x *instruction) compute(t *testing.T, check func(a, b, c, got uint64)) {
	m, err := Parse(x.module())
	require.NoError(t, err, x.module())
	widths := strings.Fields(x.types)
	r := rand.New(rand.NewPCG(11, 13))
	const n = 1024
	for range 3 {
		h := NewHeap(1 << 20)
		in, err := h.Alloc(32 * n)
		require.NoError(t, err)
		out, err := h.Alloc(8 * n)
		require.NoError(t, err)
		b, err := h.Bytes(in, 32*n)
		require.NoError(t, err)
		for i := range 4 * n {
			le.PutUint64(b[8*i:], operand(r))
		}
		// The first warps run whole.
		for i := range n / 2 {
			b[32*i+24] |= 1
		}
		h.MarkWritten(in, 32*n)
		require.NoError(t, m.Kernels["k"].Launch(h, x1(1), x1(n), 0, args(out, in), Options{Check: true}))
		res, err := h.Bytes(out, 8*n)
		require.NoError(t, err)
		for i := range n {
			var v [3]uint64
			for j := range min(3, len(widths)-1) {
				v[j] = mask(widths[j+1], le.Uint64(b[32*i+8*j:]))
			}
			got := le.Uint64(res[8*i:])
			if b[32*i+24]&1 == 0 {
				want := mask(widths[0], 0x55)
				if widths[0] == "1" {
					want = 0
				}
				require.Equal(t, want, got, "%s: a lane that does not take part has changed", x.text)
				continue
			}
			check(v[0], v[1], v[2], got)
		}
	}
}

func TestInstructionsComputeWhatTheManualSays(t *testing.T) {
	isNaN := func(width string, v uint64) bool {
		return width == "32" && v&0x7fffffff > 0x7f800000 || width == "64" && v&(1<<63-1) > 0x7ff<<52
	}
	for group, list := range [][]instruction{integerInstructions, bitInstructions, floatInstructions} {
		for _, x := range list {
			t.Run(x.text, func(t *testing.T) {
				d := strings.Fields(x.types)[0]
				x.compute(t, func(a, b, c, got uint64) {
					want := mask(d, x.want(a, b, c))
					if want != got && !(group == 2 && isNaN(d, want) && isNaN(d, got)) {
						t.Fatalf("%s: a=%#x b=%#x c=%#x: %#x, want %#x", x.text, a, b, c, got, want)
					}
				})
			})
		}
	}
}

func TestRoundingOnceIsExact(t *testing.T) {
	for _, mode := range []struct {
		name string
		mode big.RoundingMode
	}{{"rn", big.ToNearestEven}, {"rz", big.ToZero}, {"rm", big.ToNegativeInf}, {"rp", big.ToPositiveInf}} {
		x := instruction{text: "fma." + mode.name + ".f32 d, a, b, c", types: "32 32 32 32"}
		x.compute(t, func(a, b, c, got uint64) {
			if !finite32(a) || !finite32(b) || !finite32(c) {
				return
			}
			p := func(v uint64) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(f32(v))) }
			s := new(big.Float).SetPrec(600).Add(new(big.Float).SetPrec(600).Mul(p(a), p(b)), p(c))
			if s.Sign() == 0 { // the sign of zero is another matter
				require.Zero(t, got&0x7fffffff)
				return
			}
			// Subnormals have less precision, which big.Float.Float32 knows of only when rounding to nearest.
			f, _ := s.Float32()
			exact := new(big.Float).SetFloat64(float64(f)).Cmp(s)
			switch {
			case mode.mode == big.ToNearestEven || exact == 0 && !math.IsInf(float64(f), 0):
			case mode.mode == big.ToNegativeInf && exact > 0, mode.mode == big.ToZero && exact > 0 && s.Sign() > 0:
				f = math.Nextafter32(f, float32(math.Inf(-1)))
			case mode.mode == big.ToPositiveInf && exact < 0, mode.mode == big.ToZero && exact < 0 && s.Sign() < 0:
				f = math.Nextafter32(f, float32(math.Inf(1)))
			}
			if u32(f) != got {
				t.Fatalf("%s: a=%#x b=%#x c=%#x: %#x, want %#x", x.text, a, b, c, got, u32(f))
			}
		})
	}
}
