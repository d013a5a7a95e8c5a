package interp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// boxKernel loads the box of tensor p0 at the coordinates of p4 (five s32), writes shared memory as it is to p3, and stores the box
// with tensor p1 at the coordinates of p5, adding it with tensor p2 if add is not empty.
func boxKernel(rank, bytes int, add string) string {
	var s strings.Builder
	s.WriteString("ld.param.u64 %rd3, [p3];\nld.param.u64 %rd4, [p4];\nld.param.u64 %rd5, [p5];\nmov.u64 %rd0, p0;\nmov.u64 %rd1, p1;\nmov.u64 %rd2, p2;\n" +
		"cvta.param.u64 %rd0, %rd0;\ncvta.param.u64 %rd1, %rd1;\ncvta.param.u64 %rd2, %rd2;\nmov.u32 %r0, %tid.x;\nmov.u64 %rd6, dynamic;\ncvt.u32.u64 %r1, %rd6;\n" +
		".shared .align 8 .b8 bar[8];\nmov.u64 %rd7, bar;\ncvt.u32.u64 %r2, %rd7;\n" +
		"prefetch.tensormap [%rd0];\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra WAIT;\n")
	var from, to []string
	for i := range rank {
		fmt.Fprintf(&s, "ld.global.u32 %%r%d, [%%rd4+%d];\nld.global.u32 %%r%d, [%%rd5+%d];\n", 10+i, 4*i, 20+i, 4*i)
		from, to = append(from, fmt.Sprintf("%%r%d", 10+i)), append(to, fmt.Sprintf("%%r%d", 20+i))
	}
	fmt.Fprintf(&s, "mbarrier.init.shared::cta.b64 [%%r2], 1;\nfence.mbarrier_init.release.cluster;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%%r2], %d;\n"+
		"cp.async.bulk.tensor.%dd.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint [%%r1], [%%rd0, {%s}], [%%r2], %%rd3;\n"+
		"WAIT:\nbar.sync 0;\nTRY:\nmbarrier.try_wait.parity.shared::cta.b64 %%p2, [%%r2], 0;\n@!%%p2 bra TRY;\n", bytes, rank, strings.Join(from, ", "))
	// 32 threads copy shared memory, 16 bytes at a time
	fmt.Fprintf(&s, "mul.lo.u32 %%r3, %%r0, 16;\nLOOP:\nsetp.ge.u32 %%p3, %%r3, %d;\n@%%p3 bra STORE;\nadd.u32 %%r4, %%r1, %%r3;\nld.shared.v4.b32 {%%r5, %%r6, %%r7, %%r8}, [%%r4];\n"+
		"cvt.u64.u32 %%rd8, %%r3;\nadd.u64 %%rd8, %%rd3, %%rd8;\nst.global.v4.b32 [%%rd8], {%%r5, %%r6, %%r7, %%r8};\nadd.u32 %%r3, %%r3, 512;\nbra LOOP;\n", bytes)
	fmt.Fprintf(&s, "STORE:\nbar.sync 0;\n@%%p1 ret;\ncp.async.bulk.tensor.%dd.global.shared::cta.bulk_group [%%rd1, {%s}], [%%r1];\n", rank, strings.Join(to, ", "))
	if add != "" {
		fmt.Fprintf(&s, "cp.reduce.async.bulk.tensor.%dd.global.shared::cta.%s.tile.bulk_group [%%rd2, {%s}], [%%r1];\n", rank, add, strings.Join(to, ", "))
	}
	s.WriteString("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n")
	return entry(32, 1, []string{".align 64 .b8[128]", ".align 64 .b8[128]", ".align 64 .b8[128]", ".u64", ".u64", ".u64"}, s.String())
}

// tensorData is a tensor in memory with gaps between its rows, and its map.
type tensorData struct {
	m    TensorMap
	data []byte
	addr uint64
}

// element is the offset of an element, -1 outside.
func (x *tensorData) element(at []int) int {
	off := 0
	for i, v := range at {
		switch {
		case v < 0 || uint64(v) >= x.m.Dim[i]:
			return -1
		case i == 0:
			off = v * x.m.Type.Size()
		default:
			off += v * int(x.m.Stride[i-1])
		}
	}
	return off
}

func TestBulkTensorCopiesOfEveryRankTypeAndSwizzle(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	types := []TensorType{TensorU8, TensorBF16, TensorF32, TensorI32, TensorF64, TensorF16, TensorU64}
	for round := range 60 {
		rank := 1 + round%5
		m := TensorMap{Type: types[rng.IntN(len(types))], Rank: uint32(rank), Swizzle: uint32(rng.IntN(4)), L2Promotion: 2}
		size := m.Type.Size()
		row := []int{16 * (1 + rng.IntN(6)), 32, 64, 128}[m.Swizzle]
		m.Box[0] = uint32(row / size)
		bytes, pitch := row, uint64(size)
		var from, to []int
		for i := range rank {
			if i > 0 {
				m.Box[i] = uint32(1 + rng.IntN(4))
				bytes *= int(m.Box[i])
				m.Stride[i-1] = (pitch+15)&^15 + uint64(16*rng.IntN(3))
				pitch = m.Stride[i-1]
			}
			m.Dim[i] = uint64(1 + rng.IntN(2*int(m.Box[i])+3))
			m.ElementStride[i] = 1
			pitch *= m.Dim[i]
			unit := 1
			if i == 0 {
				unit = 16 / size
			}
			from = append(from, (rng.IntN(int(m.Dim[i])+4)-3)/unit*unit)
			to = append(to, rng.IntN(int(m.Dim[i])+2)/unit*unit)
		}
		if m.Type.isFloat() {
			m.OOBFill = uint32(rng.IntN(2))
		}
		name := fmt.Sprintf("%+v from %v to %v", m, from, to)
		r := newRig(t)
		tensor := func() *tensorData {
			x := &tensorData{m: m, data: make([]byte, pitch)}
			for i := range x.data {
				x.data[i] = byte(rng.Uint32() & 0x3f) // no NaN, no overflow
			}
			x.addr = r.bytes(x.data)
			x.m.Address = x.addr
			return x
		}
		source, stored, added := tensor(), tensor(), tensor()
		add := "add"
		if m.Type == TensorU8 || m.Type == TensorF64 {
			add = ""
		}
		shared := r.empty(bytes)
		encode := func(x *tensorData) [128]byte {
			b, err := x.m.Encode()
			require.NoError(t, err)
			return b
		}
		coords := func(at []int) uint64 {
			var w []uint32
			for _, v := range at {
				w = append(w, uint32(v))
			}
			return r.words(w)
		}
		k := parse(t, boxKernel(rank, bytes, add))
		p := params(encode(source), encode(stored), encode(added), shared, coords(from), coords(to))
		o := Options{Workers: 1, Check: round%2 == 0, Seed: uint64(round % 3)}
		require.NoError(t, k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, bytes, p, o), name)

		nan := map[int][]byte{2: {0xff, 0x7f}, 4: {0xff, 0xff, 0xff, 0x7f}, 8: {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}}
		got := r.read(shared, bytes)
		wantStored, wantAdded := append([]byte(nil), stored.data...), append([]byte(nil), added.data...)
		for n := range bytes / size {
			at, where, rest := make([]int, rank), make([]int, rank), n
			for i := range rank {
				at[i], where[i] = from[i]+rest%int(m.Box[i]), to[i]+rest%int(m.Box[i])
				rest /= int(m.Box[i])
			}
			want := make([]byte, size)
			if off := source.element(at); off >= 0 {
				copy(want, source.data[off:])
			} else if m.OOBFill == 1 {
				want = nan[size]
			}
			place := swizzled(int(m.Swizzle), n*size)
			require.Equal(t, want, got[place:place+size], "%s: element %d", name, n)
			if off := stored.element(where); off >= 0 {
				copy(wantStored[off:], want)
				if f := mergers(add, tensorMergeType(m.Type, add)); f != nil {
					f(wantAdded[off:off+size], want)
				}
			}
		}
		require.Equal(t, wantStored, r.read(stored.addr, len(wantStored)), name)
		require.Equal(t, wantAdded, r.read(added.addr, len(wantAdded)), name)
	}
}

func TestBulkCopiesRefuseWhatIsUndefined(t *testing.T) {
	good := boxKernel(2, 1024, "add")
	for _, x := range [][2]string{
		{"shared::cluster.global", "shared::cta.global"}, {".tile", ".im2col"}, {"2d.shared", "6d.shared"}, {"{%r10, %r11}", "{%r10}"},
		{"mbarrier::complete_tx::bytes", "bulk_group"}, {".add.", ".mul."}, {"bulk_group [%rd1", "bulk_group [%rd1+"},
	} {
		_, err := Parse(strings.Replace(good, x[0], x[1], 1))
		require.Error(t, err, x[1])
	}
}
