package interp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// asyncKernels are those of testdata/hopper/async.cu.
func asyncKernels(t testing.TB) map[string]*Kernel {
	t.Helper()
	m, err := Parse(hopperSource(t, "async.ptx"))
	require.NoError(t, err)
	return m.Kernels
}

// words puts uint32s on the heap.
func (r *rig) words(x []uint32) uint64 {
	var b []byte
	for _, v := range x {
		b = le.AppendUint32(b, v)
	}
	return r.bytes(b)
}

// wordsAt reads uint32s.
func (r *rig) wordsAt(addr uint64, n int) []uint32 {
	b := r.read(addr, 4*n)
	x := make([]uint32, n)
	for i := range x {
		x[i] = le.Uint32(b[4*i:])
	}
	return x
}

func TestCopyPipelinesDeliverEveryStage(t *testing.T) {
	for _, name := range []string{"pipeline__groups", "pipeline__mbarrier"} {
		for _, rows := range []int{1, 2, 3, 4, 5, 11} {
			r := newRig(t)
			x := make([]uint32, 512*rows)
			for i := range x {
				x[i] = uint32(i * i)
			}
			y := r.empty(2048)
			p := params(y, r.words(x), int32(rows))
			k := asyncKernels(t)[name]
			everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 0, p, o) })
			for i, v := range r.wordsAt(y, 512) {
				want := uint32(0)
				for row := range rows {
					want += x[512*row+(i+1)%512]
				}
				require.Equal(t, want, v, "%s: %d rows, element %d", name, rows, i)
			}
		}
	}
}

func TestCopySizesFillTheRestWithZeros(t *testing.T) {
	r := newRig(t)
	x := make([]byte, 1024)
	for i := range x {
		x[i] = byte(i%251 + 1)
	}
	k := asyncKernels(t)["copy__sizes"]
	for _, n := range []int{0, 1, 7, 16} {
		y := r.empty(1024)
		p := params(y, r.bytes(x), int32(n))
		everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, p, o) })
		for th := range 32 {
			want := append([]byte(nil), x[32*th:32*th+32]...)
			clear(want[n:16])
			clear(want[16+th%5 : 20])
			if th < 16 {
				clear(want[20:24])
			}
			require.Equal(t, want, r.read(y+uint64(32*th), 32), "%d bytes, thread %d", n, th)
		}
	}
	err := k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, params(r.empty(1024), r.bytes(x), int32(17)), Options{})
	require.ErrorContains(t, err, "17 bytes of a source of at most 16")
	err = k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, params(r.empty(1024), r.bytes(append(x, 0))+1, int32(16)), Options{})
	require.ErrorContains(t, err, "is not a multiple of 16 bytes")
}

func TestBulkCopiesAndReductions(t *testing.T) {
	k := asyncKernels(t)["bulk__all"]
	const n = 1024
	x := make([]uint32, n/4)
	for i := range x {
		x[i] = math.Float32bits(float32(i)) - 1
	}
	everyWay(t, func(o Options) error {
		r := newRig(t)
		f, h, u := make([]uint32, n/4), make([]byte, n), make([]uint32, n/4)
		for i := range f {
			f[i], u[i] = math.Float32bits(1000), math.Float32bits(100)
			le.PutUint16(h[4*i:], uint16(bf16Bits(2)))
			le.PutUint16(h[4*i+2:], uint16(bf16Bits(4)))
		}
		y, fa, ha, ua := r.empty(n), r.words(f), r.bytes(h), r.words(u)
		if err := k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, n, params(y, fa, ha, ua, r.words(x), int32(n)), o); err != nil {
			return err
		}
		for i := range x {
			v := x[i] + 1
			require.Equal(t, v, r.wordsAt(y, n/4)[i])
			require.Equal(t, math.Float32frombits(v)+1000, r.floats(fa, n/4)[i])
			require.Equal(t, max(v, math.Float32bits(100)), r.wordsAt(ua, n/4)[i])
			got := r.read(ha+uint64(4*i), 4)
			lo, hi := math.Float32frombits(v<<16), math.Float32frombits(v&^0xffff)
			require.Equal(t, roundBF16(lo+2), le.Uint16(got))
			require.Equal(t, roundBF16(hi+4), le.Uint16(got[2:]))
		}
		return nil
	})
}

func TestClusterBlocksExchangeSharedMemory(t *testing.T) {
	k := asyncKernels(t)["cluster__exchange"]
	require.Equal(t, [3]uint32{4, 1, 1}, k.Cluster)
	r := newRig(t)
	y := r.empty(8 * 256)
	everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{8, 1, 1}, [3]uint32{64, 1, 1}, 0, params(y), o) })
	for i, v := range r.wordsAt(y, 512) {
		block, th := uint32(i/64), uint32(i%64)
		rank := block % 4
		want := 1000*((rank+1)%4) + th
		for s := range uint32(4) {
			want += 100*(s+1) + th
		}
		require.Equal(t, want, v, "block %d thread %d", block, th)
	}
}

func TestClusterBulkCopyReachesTheOtherBlock(t *testing.T) {
	k := asyncKernels(t)["cluster__send"]
	r := newRig(t)
	y := r.empty(4 * 1024)
	everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{4, 1, 1}, [3]uint32{64, 1, 1}, 0, params(y), o) })
	for i, v := range r.wordsAt(y, 1024) {
		other := uint32(i/256%2) ^ 1
		require.Equal(t, 10000*(other+1)+uint32(i%256), v, "word %d", i)
	}
}

func TestClusterReductionAndMulticastWithoutTensorMap(t *testing.T) {
	k := asyncKernels(t)["cluster__reduce"]
	r := newRig(t)
	x := make([]uint32, 256)
	for i := range x {
		x[i] = uint32(3 * i)
	}
	y := r.empty(2048)
	p := params(y, r.words(x))
	everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{2, 1, 1}, [3]uint32{64, 1, 1}, 0, p, o) })
	for i, v := range r.wordsAt(y, 512) {
		other, at := uint32(i/256)^1, i%256
		require.Equal(t, x[at]+uint32(10*at)+1000*(other+1)+uint32(at/64), v, "word %d", i)
	}
}

func TestReductionsAgreeWithTheirDefinition(t *testing.T) {
	word := func(v uint32) []byte { return le.AppendUint32(nil, v) }
	for _, x := range []struct {
		operation, typ string
		old, new, want uint32
	}{
		{"add", "u32", 0xffffffff, 2, 1}, {"add", "s32", 5, 0xffffffff, 4}, {"min", "s32", 1, 0xffffffff, 0xffffffff}, {"min", "u32", 1, 0xffffffff, 1},
		{"max", "s32", 1, 0xffffffff, 1}, {"max", "u32", 1, 0xffffffff, 0xffffffff}, {"inc", "u32", 3, 4, 4}, {"inc", "u32", 4, 4, 0},
		{"dec", "u32", 0, 9, 9}, {"dec", "u32", 10, 9, 9}, {"dec", "u32", 5, 9, 4}, {"and", "b32", 12, 10, 8}, {"or", "b32", 12, 10, 14}, {"xor", "b32", 12, 10, 6},
		{"add", "f32", math.Float32bits(1.5), math.Float32bits(2), math.Float32bits(3.5)},
	} {
		f := mergers(x.operation, x.typ)
		require.NotNil(t, f, "%s.%s", x.operation, x.typ)
		old := word(x.old)
		f(old, word(x.new))
		require.Equal(t, x.want, le.Uint32(old), "%+v", x)
	}
	for _, x := range [][2]string{{"min", "f32"}, {"inc", "s32"}, {"and", "u32"}, {"add", "s64"}, {"min", "b32"}, {"xor", "bf16"}, {"", "u32"}} {
		require.Nil(t, mergers(x[0], x[1]), "%v", x)
	}
	// every bf16 and f16 survives widening and rounding, and halfway values go to even
	for h := range 1 << 16 {
		if v := elemBF16.widen(uint32(h)); v == v {
			require.Equal(t, uint16(h), roundBF16(v))
		}
		if v := elemF16.widen(uint32(h)); v == v {
			require.Equal(t, uint16(h), roundF16(v))
		}
	}
	require.Equal(t, uint16(0x3c00), roundF16(1+1.0/2048))
	require.Equal(t, uint16(0x3c02), roundF16(1+3.0/2048))
	require.Equal(t, uint16(0x7c00), roundF16(65520))
	require.Equal(t, uint16(0x7bff), roundF16(65519))
	require.Equal(t, uint16(1), roundF16(math.Float32frombits(0x33000001)))
	require.Equal(t, uint16(0), roundF16(math.Float32frombits(0x33000000)))
}

func TestBulkLoadSeesWhatWasFenced(t *testing.T) {
	for _, fence := range []string{"fence.proxy.async", "fence.proxy.async.global"} {
		b := hopperBug{old: `(cp\.async\.bulk\.shared::cluster\.global\S+ \[%r\d+\], \[(%rd\d+)\])`, n: 1,
			new: `{ .reg .b32 q; ld.global.u32 q, [$2]; st.global.u32 [$2], q; ` + fence + `; } $1`}
		m, err := Parse(b.plant(t, hopperSource(t, "async.ptx"), "bulk__all"))
		require.NoError(t, err)
		r := newRig(t)
		x := make([]uint32, 256)
		p := params(r.empty(1024), r.words(x), r.bytes(make([]byte, 1024)), r.words(x), r.words(x), int32(1024))
		require.NoError(t, m.Kernels["bulk__all"].Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 1024, p, Options{Check: true}))
	}
}
