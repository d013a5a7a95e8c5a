package interp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// perThread runs statements that leave a thread's result in %r1 and returns the results of a block of n
// threads. %r0 is the thread, %r9 the second parameter; %rd1 points at the results.
func perThread(t testing.TB, n int, statements string, param int32, o Options) ([]uint32, error) {
	t.Helper()
	m, err := Parse(body("ld.param.u64 %rd1, [out]; ld.param.u32 %r9, [n]; mov.u32 %r0, %tid.x; mov.b32 %r1, 0;\n" + statements +
		"\nmul.wide.u32 %rd2, %r0, 4; add.s64 %rd2, %rd1, %rd2; st.global.b32 [%rd2], %r1;"))
	require.NoError(t, err, statements)
	h := NewHeap(1 << 20)
	out, err := h.Alloc(4 * n)
	require.NoError(t, err)
	err = m.Kernels["k"].Launch(h, x1(1), x1(uint32(n)), 1024, args(out, param), o)
	b, _ := h.Bytes(out, 4*n)
	values := make([]uint32, n)
	for i := range values {
		values[i] = le.Uint32(b[4*i:])
	}
	return values, err
}

// results is perThread for programs without faults, in several orders of warps, with the checker.
func results(t testing.TB, n int, statements string, param int32, want func(thread int) uint32) {
	t.Helper()
	for seed := range uint64(3) {
		got, err := perThread(t, n, statements, param, Options{Check: true, Seed: seed})
		require.NoError(t, err, statements)
		for i, v := range got {
			require.Equal(t, want(i), v, "thread %d of %s", i, statements)
		}
	}
}

func TestDivergentLanesTakeTheirOwnWay(t *testing.T) {
	// if and else
	results(t, 64, "and.b32 %r2, %r0, 3; setp.eq.b32 %p1, %r2, 0; @%p1 bra a; mov.b32 %r1, 7; bra.uni b; a: mov.b32 %r1, 9; b: add.s32 %r1, %r1, 1;",
		0, func(i int) uint32 { return map[bool]uint32{true: 10, false: 8}[i%4 == 0] })
	// a loop of as many turns as the lane says, and one inside
	results(t, 64, `and.b32 %r2, %r0, 7; mov.b32 %r3, 0;
outer: setp.ge.s32 %p1, %r3, %r2; @%p1 bra end; mov.b32 %r4, 0;
inner: setp.ge.s32 %p2, %r4, %r3; @%p2 bra next; add.s32 %r1, %r1, 1; add.s32 %r4, %r4, 1; bra inner;
next: add.s32 %r3, %r3, 1; bra outer;
end: add.s32 %r1, %r1, 100;`, 0, func(i int) uint32 { n := uint32(i % 8); return 100 + n*(n-1)/2*b32(n > 0) })
	// leaving a loop from the middle, and the kernel from inside a branch
	results(t, 32, `mul.wide.u32 %rd2, %r0, 4; add.s64 %rd2, %rd1, %rd2; st.global.b32 [%rd2], 5; setp.gt.u32 %p1, %r0, 20;
loop: add.s32 %r1, %r1, 1; setp.eq.b32 %p2, %r1, %r0; @%p2 bra out; setp.gt.u32 %p3, %r1, 10; @%p3 bra past; bra loop;
out: add.s32 %r1, %r1, 1000; past: @%p1 bra stop; bra.uni go; stop: exit; go:`, 0, func(i int) uint32 {
		switch {
		case i > 20:
			return 5
		case i > 0 && i <= 11:
			return uint32(i) + 1000
		}
		return 11
	})
	// a conditional end for some lanes, without a branch
	results(t, 32, "mul.wide.u32 %rd2, %r0, 4; add.s64 %rd2, %rd1, %rd2; st.global.b32 [%rd2], 5; setp.gt.u32 %p1, %r0, 20; @%p1 ret; mov.b32 %r1, 6;",
		0, func(i int) uint32 { return 6 - b32(i > 20) })
}

func b32(b bool) uint32 { return uint32(b2u(b)) }

func TestATableOfBranchTargets(t *testing.T) {
	results(t, 64, `$table: .branchtargets a, b, c, b; and.b32 %r2, %r0, 3; setp.lt.u32 %p1, %r0, 40; @%p1 brx.idx %r2, $table; mov.b32 %r1, 1; bra.uni end;
a: mov.b32 %r1, 10; bra.uni end; b: mov.b32 %r1, 20; bra.uni end; c: mov.b32 %r1, 30; end:`, 0, func(i int) uint32 {
		if i >= 40 {
			return 1
		}
		return [4]uint32{10, 20, 30, 20}[i%4]
	})
	_, err := perThread(t, 32, "$t: .branchtargets a; brx.idx %r0, $t; a:", 0, Options{})
	require.ErrorContains(t, err, "index 1 into a table of 1")
}

// Random programs of nested ifs and loops, run in lockstep here and lane by lane by a small interpreter
// of the tree they were made from.
func TestRandomControlFlowAgreesWithOneThreadAtATime(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	for range 60 {
		g := &program{r: r}
		root := g.block(3)
		text := root.text
		results(t, 64, "mov.b32 %r20, %r0;\n"+text, 0, func(i int) uint32 {
			x := &thread{x: uint32(i)}
			root.run(x)
			return x.acc
		})
	}
}

// program makes random structured programs over %r20, which starts as the thread, and %r1, the result.
type program struct {
	r      *rand.Rand
	labels int
}

type thread struct{ x, acc uint32 }

type piece struct {
	text string
	run  func(*thread)
}

func (g *program) label() string {
	g.labels++
	return fmt.Sprintf("L%d", g.labels)
}

func (g *program) block(depth int) piece {
	var all []piece
	for range 1 + g.r.IntN(3) {
		switch kind := g.r.IntN(4); {
		case depth == 0 || kind == 0:
			k := g.r.Uint32N(1000)
			all = append(all, piece{
				fmt.Sprintf("mad.lo.u32 %%r1, %%r1, 31, %d; add.u32 %%r1, %%r1, %%r20;\n", k),
				func(t *thread) { t.acc = t.acc*31 + k + t.x },
			})
		case kind == 1:
			all = append(all, piece{"mad.lo.u32 %r20, %r20, 5, 3;\n", func(t *thread) { t.x = t.x*5 + 3 }})
		case kind == 2:
			bit := g.r.IntN(5)
			yes, no := g.block(depth-1), g.block(depth-1)
			a, b := g.label(), g.label()
			all = append(all, piece{
				fmt.Sprintf("bfe.u32 %%r21, %%r20, %d, 1; setp.ne.b32 %%p1, %%r21, 0; @%%p1 bra %s;\n%sbra.uni %s;\n%s: %s%s:\n", bit, a, no.text, b, a, yes.text, b),
				func(t *thread) {
					if t.x>>bit&1 != 0 {
						yes.run(t)
					} else {
						no.run(t)
					}
				},
			})
		default:
			in := g.block(depth - 1)
			a, b, mask, reg := g.label(), g.label(), 1+g.r.Uint32N(7), 30+depth
			all = append(all, piece{
				fmt.Sprintf("and.b32 %%r%d, %%r20, %d;\n%s: setp.eq.b32 %%p1, %%r%d, 0; @%%p1 bra %s; sub.u32 %%r%d, %%r%d, 1;\n%sbra %s;\n%s:\n", reg, mask, a, reg, b, reg, reg, in.text, a, b),
				func(t *thread) {
					for n := t.x & mask; n > 0; n-- {
						in.run(t)
					}
				},
			})
		}
	}
	var text strings.Builder
	for _, p := range all {
		text.WriteString(p.text)
	}
	return piece{text.String(), func(t *thread) {
		for _, p := range all {
			p.run(t)
		}
	}}
}

func TestAHangEndsInAnError(t *testing.T) {
	_, err := perThread(t, 32, "loop: bra loop;", 0, Options{Steps: 1 << 18})
	require.ErrorContains(t, err, "hangs")
	_, err = perThread(t, 32, "$t: .branchtargets a; a: mov.b32 %r2, 0; brx.idx %r2, $t;", 0, Options{Steps: 1 << 18})
	require.ErrorContains(t, err, "hangs")
	_, err = perThread(t, 32, "loop: ld.volatile.global.u32 %r1, [%rd1]; setp.ne.u32 %p1, %r1, 7; @%p1 bra loop;", 0, Options{Steps: 1 << 18})
	require.ErrorContains(t, err, "hangs")
}

func TestFaultsNameBlockThreadAndLine(t *testing.T) {
	_, err := perThread(t, 64, "setp.eq.u32 %p1, %r0, 45;\n\n@%p1 trap;", 0, Options{})
	require.ErrorIs(t, err, ErrProgram)
	require.ErrorContains(t, err, "line 11: @%p1 trap: block [0 0 0] thread 45: the kernel trapped")
}
