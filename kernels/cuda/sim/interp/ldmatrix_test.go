package interp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// matrixKernel fills shared memory from p0 (4 KB, 128 bytes per thread), and lets lane l read or write the row at p1[l] (offsets).
// A load gives count registers per lane at p2; a store takes them from there, and all shared memory goes to p3.
func matrixKernel(load bool, count int, trans bool) string {
	var regs []string
	for i := range count {
		regs = append(regs, fmt.Sprintf("%%r%d", 100+i))
	}
	mod := fmt.Sprintf("x%d", count)
	if trans {
		mod += ".trans"
	}
	list := "{" + strings.Join(regs, ", ") + "}"
	var s strings.Builder
	s.WriteString("ld.param.u64 %rd0, [p0];\nld.param.u64 %rd1, [p1];\nld.param.u64 %rd2, [p2];\nld.param.u64 %rd3, [p3];\n" +
		"mov.u32 %r0, %tid.x;\nmov.u64 %rd4, dynamic;\ncvt.u32.u64 %r1, %rd4;\nmul.lo.u32 %r2, %r0, 128;\ncvt.u64.u32 %rd5, %r2;\n" +
		"add.u64 %rd6, %rd0, %rd5;\nadd.u32 %r3, %r1, %r2;\n")
	for i := range 32 {
		fmt.Fprintf(&s, "ld.global.b32 %%r%d, [%%rd6+%d];\nst.shared.b32 [%%r3+%d], %%r%d;\n", 10+i, 4*i, 4*i, 10+i)
	}
	s.WriteString("bar.sync 0;\nmul.wide.u32 %rd7, %r0, 4;\nadd.u64 %rd8, %rd1, %rd7;\nld.global.b32 %r4, [%rd8];\nadd.u32 %r4, %r4, %r1;\n")
	fmt.Fprintf(&s, "mul.wide.u32 %%rd9, %%r0, %d;\nadd.u64 %%rd10, %%rd2, %%rd9;\n", 4*count)
	if load {
		fmt.Fprintf(&s, "ldmatrix.sync.aligned.m8n8.%s.shared.b16 %s, [%%r4];\n", mod, list)
		for i, r := range regs {
			fmt.Fprintf(&s, "st.global.b32 [%%rd10+%d], %s;\n", 4*i, r)
		}
		return entry(32, 1, []string{".u64", ".u64", ".u64", ".u64"}, s.String())
	}
	for i, r := range regs {
		fmt.Fprintf(&s, "ld.global.b32 %s, [%%rd10+%d];\n", r, 4*i)
	}
	fmt.Fprintf(&s, "stmatrix.sync.aligned.m8n8.%s.shared::cta.b16 [%%r4], %s;\nbar.sync 0;\nadd.u64 %%rd11, %%rd3, %%rd5;\n", mod, list)
	for i := range 32 {
		fmt.Fprintf(&s, "ld.shared.b32 %%r%d, [%%r3+%d];\nst.global.b32 [%%rd11+%d], %%r%d;\n", 10+i, 4*i, 4*i, 10+i)
	}
	return entry(32, 1, []string{".u64", ".u64", ".u64", ".u64"}, s.String())
}

// rowsOf draws distinct rows of 16 bytes within 4 KB.
func rowsOf(rng *rand.Rand) []byte {
	var b []byte
	for _, i := range rng.Perm(256)[:32] {
		b = binary.LittleEndian.AppendUint32(b, uint32(16*i))
	}
	return b
}

func TestLdmatrixGivesEveryLaneItsElements(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, count := range []int{1, 2, 4} {
		for _, trans := range []bool{false, true} {
			k := parse(t, matrixKernel(true, count, trans))
			r := newRig(t)
			data := make([]byte, 4096)
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			rows := rowsOf(rng)
			out := r.empty(32 * 4 * count)
			p := params(r.bytes(data), r.bytes(rows), out, out)
			everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 4096, p, o) })
			got := r.read(out, 32*4*count)
			for lane := range 32 {
				for j := range count {
					for e := range 2 {
						row, col := lane/4, lane%4*2+e
						if trans {
							row, col = col, row
						}
						at := int(binary.LittleEndian.Uint32(rows[4*(8*j+row):])) + 2*col
						require.Equal(t, data[at:at+2], got[4*(lane*count+j)+2*e:][:2], "x%d trans %v: lane %d, matrix %d, element %d", count, trans, lane, j, e)
					}
				}
			}
		}
	}
}

func TestStmatrixPutsEveryElementInItsPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, count := range []int{1, 2, 4} {
		for _, trans := range []bool{false, true} {
			k := parse(t, matrixKernel(false, count, trans))
			r := newRig(t)
			data, regs := make([]byte, 4096), make([]byte, 32*4*count)
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			for i := range regs {
				regs[i] = byte(rng.Uint32())
			}
			rows := rowsOf(rng)
			out := r.empty(4096)
			p := params(r.bytes(data), r.bytes(rows), r.bytes(regs), out)
			everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 4096, p, o) })
			want := append([]byte(nil), data...)
			for lane := range 32 {
				for j := range count {
					for e := range 2 {
						row, col := lane/4, lane%4*2+e
						if trans {
							row, col = col, row
						}
						at := int(binary.LittleEndian.Uint32(rows[4*(8*j+row):])) + 2*col
						copy(want[at:at+2], regs[4*(lane*count+j)+2*e:])
					}
				}
			}
			require.Equal(t, want, r.read(out, 4096), "x%d trans %v", count, trans)
		}
	}
}

func TestLdmatrixCountsBankConflicts(t *testing.T) {
	k := parse(t, matrixKernel(true, 4, false))
	for _, x := range []struct {
		name   string
		offset func(row int) int
		extra  int64
	}{
		{"consecutive rows of 16 bytes", func(r int) int { return 16 * r }, 0},
		{"rows of 128 bytes", func(r int) int { return 128 * r }, 4 * 7},
		{"rows of 32 bytes", func(r int) int { return 32 * r }, 4 * 1},
		{"rows of 128 bytes, swizzled", func(r int) int { return 128*r + r%8*16 }, 0},
		{"one row for all", func(int) int { return 0 }, 0},
	} {
		r := newRig(t)
		var rows []byte
		for i := range 32 {
			rows = binary.LittleEndian.AppendUint32(rows, uint32(x.offset(i)))
		}
		out := r.empty(32 * 16)
		stats := &Stats{}
		p := params(r.bytes(make([]byte, 4096)), r.bytes(rows), out, out)
		require.NoError(t, k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 4096, p, Options{Stats: stats}))
		require.Equal(t, int64(4), stats.MatrixPhases, x.name)
		require.Equal(t, x.extra, stats.MatrixExtra, x.name)
	}
}

func TestLdmatrixRefusesWhatIsUndefined(t *testing.T) {
	run := func(src string, rows []byte) error {
		r := newRig(t)
		out := r.empty(32 * 16)
		return parse(t, src).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 4096, params(r.bytes(make([]byte, 4096)), r.bytes(rows), out, out), Options{})
	}
	src := matrixKernel(true, 4, false)
	misaligned := make([]byte, 128)
	misaligned[4*5] = 8
	require.ErrorContains(t, run(src, misaligned), "not a multiple of 16")
	outside := make([]byte, 128)
	binary.LittleEndian.PutUint32(outside[4*31:], 4096)
	require.ErrorContains(t, run(src, outside), "out of bounds")
	partial := strings.Replace(src, "ldmatrix.sync", "setp.lt.u32 %p1, %r0, 16;\n@%p1 ldmatrix.sync", 1)
	require.ErrorContains(t, run(partial, make([]byte, 128)), "all 32 must take part")
	for _, bad := range []string{"x3", "x4.num", "x4.row"} {
		_, err := Parse(strings.Replace(src, ".x4", "."+bad, 1))
		require.Error(t, err, bad)
	}
}
