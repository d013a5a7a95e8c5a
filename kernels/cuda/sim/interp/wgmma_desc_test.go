package interp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mode is one mode of a CuTe layout: nested shapes and strides, the first running fastest.
type mode struct{ shape, stride []int }

func (m mode) at(i int) int {
	off := 0
	for j, n := range m.shape {
		x := i % n
		if j == len(m.shape)-1 {
			x = i
		}
		off += x * m.stride[j]
		i /= n
	}
	return off
}

// canonical is the manual's table of canonical layouts, in elements of 16 bits: T = 8. Offsets are given in elements.
func canonical(s swizzle, majorMN bool, lbo, sbo, m, k int) (mn, kk mode) {
	const T = 8
	w := 1 << s
	switch {
	case majorMN && s == swizzleNone:
		return mode{[]int{T, 1, m}, []int{1, T, sbo}}, mode{[]int{8, k}, []int{T, lbo}}
	case majorMN:
		return mode{[]int{T, w, m}, []int{1, T, lbo}}, mode{[]int{8, k}, []int{w * T, sbo}}
	case s == swizzleNone:
		return mode{[]int{8, m}, []int{T, sbo}}, mode{[]int{T, 2 * k}, []int{1, lbo}}
	}
	return mode{[]int{8, m}, []int{w * T, sbo}}, mode{[]int{T, 2 * k}, []int{1, T}}
}

// swizzled is CuTe's Swizzle<b,4,3> of a byte offset, bit by bit.
func swizzled(b, off int) int {
	for i := range b {
		if off>>(7+i)&1 == 1 {
			off ^= 1 << (4 + i)
		}
	}
	return off
}

func descriptor(start, lbo, sbo int, s swizzle) uint64 {
	code := map[swizzle]uint64{swizzleNone: 0, swizzle128: 1, swizzle64: 2, swizzle32: 3}[s]
	enc := func(x int) uint64 { return uint64(x&0x3ffff) >> 4 }
	return enc(start) | enc(lbo)<<16 | enc(sbo)<<32 | code<<62
}

func TestDescriptorAddressesFollowTheCanonicalLayouts(t *testing.T) {
	for _, s := range []swizzle{swizzleNone, swizzle32, swizzle64, swizzle128} {
		for _, majorMN := range []bool{false, true} {
			for _, strides := range [][2]int{{2048, 4096}, {1024, 512}, {128, 8192}, {3072, 1024}} {
				const start, rows = 0x4000, 128
				lbo, sbo := strides[0], strides[1]
				m, err := decodeMatrix(descriptor(start, lbo, sbo, s), majorMN)
				require.NoError(t, err)
				mn, kk := canonical(s, majorMN, lbo/2, sbo/2, rows/8, 1)
				for r := range rows {
					for k := range 16 {
						want := swizzled(int(s), start+2*(mn.at(r)+kk.at(k)))
						got := 0
						if majorMN {
							got = int(m.chunk(r/8, k)) + r%8*2
						} else {
							got = int(m.chunk(r, k/8)) + k%8*2
						}
						require.Equal(t, want, got, "%v, MN-major %v, leading %d, stride %d: row %d, k %d", s, majorMN, lbo, sbo, r, k)
					}
				}
			}
		}
	}
}

// The manual's worked examples for bf16, with the layouts as it prints them.
func TestDescriptorAddressesOfTheManualsExamples(t *testing.T) {
	for _, x := range []struct {
		name     string
		s        swizzle
		lbo, sbo int // elements
		mn, k    mode
	}{
		{"MN-major, none", swizzleNone, 128, 64, mode{[]int{8, 1, 2}, []int{1, 8, 64}}, mode{[]int{8, 2}, []int{8, 128}}},
		{"MN-major, 32 bytes", swizzle32, 128, 256, mode{[]int{8, 2, 2}, []int{1, 8, 128}}, mode{[]int{8, 2}, []int{16, 256}}},
		{"MN-major, 64 bytes", swizzle64, 256, 512, mode{[]int{8, 4, 2}, []int{1, 8, 256}}, mode{[]int{8, 2}, []int{32, 512}}},
	} {
		m, err := decodeMatrix(descriptor(0, 2*x.lbo, 2*x.sbo, x.s), true)
		require.NoError(t, err)
		for r := range x.mn.shape[1] * 16 {
			for k := range 16 {
				require.Equal(t, swizzled(int(x.s), 2*(x.mn.at(r)+x.k.at(k))), int(m.chunk(r/8, k))+r%8*2, "%s: row %d, k %d", x.name, r, k)
			}
		}
	}
}

func TestDescriptorRefusesWhatTheManualLeavesUndefined(t *testing.T) {
	good := descriptor(0x2400, 16, 1024, swizzle128)
	_, err := decodeMatrix(good|1<<14, false)
	require.ErrorContains(t, err, "reserved bits")
	_, err = decodeMatrix(good|1<<52, false)
	require.ErrorContains(t, err, "reserved bits")
	_, err = decodeMatrix(good|1<<49, false)
	require.ErrorContains(t, err, "base offset 1")
	for s, at := range map[swizzle]int{swizzle128: 0x2480, swizzle64: 0x2500, swizzle32: 0x2480} {
		_, err = decodeMatrix(descriptor(at, 16, 1024, s), false)
		require.ErrorContains(t, err, "into a pattern", "%v", s)
	}
	for _, at := range []int{0x2400, 0x2420, 0x2440, 0x2460} { // steps of k within the 128-byte rows
		_, err = decodeMatrix(descriptor(at, 16, 1024, swizzle128), false)
		require.NoError(t, err)
	}
	m, err := decodeMatrix(descriptor(0x2400, 16, 1024, swizzle128), false)
	require.NoError(t, err)
	require.ErrorContains(t, m.fragmentsB(make([]byte, 0x2800), elemBF16, 16, false, make([]fragB, 2)), "beyond the 0x2800 bytes")
}

func TestDescriptorFragmentsHoldTheMatrix(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	mem := make([]byte, 64<<10)
	for i := 0; i < len(mem); i += 2 { // small normal numbers of either type
		binary.LittleEndian.PutUint16(mem[i:], uint16(0x3c00|rng.IntN(0x400)))
	}
	for _, s := range []swizzle{swizzleNone, swizzle32, swizzle64, swizzle128} {
		for _, majorMN := range []bool{false, true} {
			for _, e := range []element{elemBF16, elemF16} {
				for _, negate := range []bool{false, true} {
					name := fmt.Sprint(s, majorMN, e, negate)
					lbo, sbo := 2048, 1024
					m, err := decodeMatrix(descriptor(0x400, lbo, sbo, s), majorMN)
					require.NoError(t, err)
					mn, kk := canonical(s, majorMN, lbo/2, sbo/2, 8, 1)
					value := func(r, k int) float32 {
						at := swizzled(int(s), 0x400+2*(mn.at(r)+kk.at(k)))
						v := e.widen(uint32(binary.LittleEndian.Uint16(mem[at:])))
						if negate {
							return -v
						}
						return v
					}
					b := make([]fragB, 8)
					require.NoError(t, m.fragmentsB(mem, e, 64, negate, b))
					var a [4]fragA
					require.NoError(t, m.fragmentsA(mem, e, negate, &a))
					for r := range 64 {
						for k := range 16 {
							require.Equal(t, value(r, k), b[r/8][k/8][k%8/2][k%2][r%2][r%8/2], "%s: column %d, k %d", name, r, k)
						}
					}
					for w := range 4 {
						for l := range 32 {
							for i := range 8 {
								row, k := aPosition16(l, i)
								require.Equal(t, value(16*w+row, k), a[w][i/2][i%2][l], "%s: warp %d, lane %d, a%d", name, w, l, i)
							}
						}
					}
				}
			}
		}
	}
}

func BenchmarkDescriptorFragments(b *testing.B) {
	mem := make([]byte, 64<<10)
	dst := make([]fragB, 32)
	for _, majorMN := range []bool{false, true} {
		m, err := decodeMatrix(descriptor(0, 8192, 1024, swizzle128), majorMN)
		require.NoError(b, err)
		b.Run(fmt.Sprint("MN-major ", majorMN), func(b *testing.B) {
			for b.Loop() {
				_ = m.fragmentsB(mem, elemBF16, 256, false, dst)
			}
		})
	}
}
