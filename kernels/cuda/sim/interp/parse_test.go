package interp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// body wraps statements in a module with one kernel k of a pointer and a number.
func body(statements string) string {
	return ".version 8.0\n.target sm_90a\n.address_size 64\n.extern .shared .align 16 .b8 dyn[];\n.const .align 4 .b32 table[4] = {1, 2, 3, 4};\n" +
		".visible .entry k(.param .u64 out, .param .u32 n) {\n" +
		".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<99>; .reg .b64 %rd<99>;\n" + statements + "\nret;\n}\n"
}

func TestWhatIsNotUnderstoodIsRefusedWithItsLine(t *testing.T) {
	for statement, want := range map[string]string{
		"frobnicate.b32 %r1, %r2":                     "unknown opcode frobnicate",
		"add.frob.s32 %r1, %r2, %r3":                  "unknown modifier .frob",
		"add.s32 %r1, %r2":                            "2 operands",
		"add.s32 %r1, %r2, %r100":                     `unknown operand "%r100"`,
		"add.s32 %r1, %r2, %r03":                      `unknown operand "%r03"`,
		"add.s32 %r1, %r2, %p1":                       "is a predicate",
		"add.s32 %r1, %r2, 12monkeys":                 "immediate",
		"add.s24 %r1, %r2, %r3":                       "not supported",
		"add.f32.rn %r1, %r2, %r3":                    "not supported",
		"mul.s32 %r1, %r2, %r3":                       "not supported",
		"fma.f32 %r1, %r2, %r3, %r4":                  "not supported",
		"bra nowhere":                                 "there is no label nowhere",
		"brx.idx %r1, nowhere":                        "no branch targets nowhere",
		"@%p10 bra there; there:":                     "no predicate",
		"@%r1 bra there; there:":                      "no predicate",
		"ld.global.v3.b32 {%r1, %r2, %r3}, [%rd1]":    "3 registers",
		"ld.global.v4.b32 {%r1, %r2, %r3}, [%rd1]":    "3 registers",
		"ld.global.v4.b64 {%rd1, %rd2, %rd3}, [%rd1]": "3 registers",
		"ld.global.b32 %r1, %rd1":                     "address",
		"ld.global.b32 %r1, [%rd1+x]":                 "offset",
		"ld.param.b32 %r1, [n+8]":                     "offset 16 of parameters of 12 bytes",
		"ld.frozen.b32 %r1, [%rd1]":                   "unknown modifier .frozen",
		"tex.2d.v4.f32.f32 {%r1, %r2, %r3, %r4}, [x]": "unknown opcode tex",
		"call foo":                                      "unknown opcode call",
		"cvt.s32.f32 %r1, %r2":                          "not supported",
		"cvt.rn.s32.f32 %r1, %r2":                       "not supported",
		"setp.lt.b32 %p1, %r1, %r2":                     "not supported",
		"setp.lt.s32 %r1, %r1, %r2":                     "no predicate",
		"shfl.bfly.b32 %r1, %r2, 1, 0x1f":               "not supported",
		"shfl.sync.bfly.b32 %r1, %r2, 1, 0x1f":          "4 operands",
		"atom.global.add.b32 %r1, [%rd1], 1":            "not supported",
		"bar.sync":                                      "operand 1 is missing",
		"bar.arrive 1":                                  "1 operands",
		"membar.everywhere":                             "everywhere",
		"st.const.b32 [table], 1":                       "cannot be written",
		"st.param.b32 [n], 1":                           "cannot be written",
		".reg .b99 %x":                                  "register type",
		".align 8 .b8 x":                                "unknown directive .align",
		".local .b8 x[999999999999]":                    "array size",
		"twice: mov.b32 %r1, 0; twice: mov.b32 %r1, 0":  "label is defined twice",
		"mov.u32 %r1, %frobid":                          `unknown operand "%frobid"`,
		"mov.b32 {%h1, %h2, %h3}, %r1":                  "not supported",
		"prmt.b16 %h1, %h2, %h3, %h4":                   "not supported",
		"lop3.b32 %r1, %r2, %r3, %r4, 0x1ff":            "truth table",
		"redux.sync.add.b32 %r1, %r2, 0xffffffff":       "not supported",
		"mov.b32 %r1, undeclared":                       `unknown operand "undeclared"`,
		"{ .reg .b32 inner; } mov.b32 %r1, inner":       `unknown operand "inner"`,
		"{ there: } bra there":                          "there is no label there",
		"st.shared.b32 [dyn+4], %r1; st.const.b32 [x],": "unknown operand",
	} {
		_, err := Parse(body(statement + ";"))
		assert.ErrorContains(t, err, want, statement)
		assert.ErrorContains(t, err, "line 8", statement)
	}
	for src, want := range map[string]string{
		"":                                  "without a .target",
		".target sm_80":                     "",
		".frob 7;":                          "line 1: unknown directive",
		"/* ":                               "comment without end",
		"\n\n.entry k(":                     "line 3",
		"\n.entry k() {":                    "no closing brace",
		".target sm_80\n.address_size 32\n": "64-bit",
		".target sm_80\n.entry k() {ret;}.entry k(){}": "declared twice",
		".target sm_80\n.entry k() .frob 3 {}":         "unknown directive .frob",
		".target sm_80\n.entry k() .maxntid 2048 {}":   "1024 threads",
		".target sm_80\n.global .b32 x[1] = {1, 2};":   "more initial values",
		".target sm_80\n.func f() {}":                  "functions are not supported",
		".target sm_80\n.shared .b8 x[-1];":            "array size",
	} {
		_, err := Parse(src)
		if want == "" {
			assert.NoError(t, err, src)
		} else {
			assert.ErrorContains(t, err, want, src)
		}
	}
}

func TestKernelsDescribeThemselves(t *testing.T) {
	m, err := Parse(`.version 8.0
.target sm_90a, debug
.address_size 64
.file 1 "a.cu"
.visible .entry k( // the first
	.param .align 64 .b8 map[128],
	.param .u8 flag, .param .u64 .ptr .global .align 16 x /* a pointer */,
	.param .f32 scale)
.reqntid 64, 2, 1
.minnctapersm 1
.reqnctapercluster 2, 1, 1
{
	.shared .align 8 .b8 a[12];
	.shared .b64 b;
	.loc 1 2 3
	.pragma "nounroll";
	.reg .b64 %rd<3>;
	mov.b64 %rd1, b;
	mov.b64 %rd2, a;
	ret;
}
`)
	require.NoError(t, err)
	require.Equal(t, "sm_90a", m.Target)
	k := m.Kernels["k"]
	require.Equal(t, []Param{{"map", 128, 64, 0}, {"flag", 1, 1, 128}, {"x", 8, 8, 136}, {"scale", 4, 4, 144}}, k.Params)
	require.Equal(t, 128, k.Threads)
	require.Equal(t, [3]uint32{2, 1, 1}, k.Cluster)
	require.Equal(t, 20, k.StaticShared)
}

func TestLaunchesThatCannotBeAreRefused(t *testing.T) {
	m, err := Parse(strings.Replace(body(""), ") {", ") .maxntid 64 {", 1))
	require.NoError(t, err)
	h, k := NewHeap(1<<10), m.Kernels["k"]
	good := args(uint64(0), int32(1))
	for want, f := range map[string]func() error{
		"grid":              func() error { return k.Launch(h, [3]uint32{1, 0, 1}, x1(1), 0, good, Options{}) },
		"65 threads":        func() error { return k.Launch(h, x1(1), x1(65), 0, good, Options{}) },
		"bytes of argument": func() error { return k.Launch(h, x1(1), x1(1), 0, good[:8], Options{}) },
		"shared memory":     func() error { return k.Launch(h, x1(1), x1(1), 1<<20, good, Options{}) },
		"too many blocks":   func() error { return k.Launch(h, [3]uint32{1 << 31, 2, 1}, x1(1), 0, good, Options{}) },
	} {
		require.ErrorContains(t, f(), want)
	}
	require.NoError(t, k.Launch(h, x1(1), x1(64), 0, good, Options{}))
}

// FuzzParse feeds Parse broken text: it must refuse or accept it, and what it accepts must run without a
// panic.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.ptx")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(string(b))
	}
	f.Add(body("add.s32 %r1, %r2, 0f3F800000; bra there; there: { .reg .b32 x; mov.b32 x, table; ld.const.b32 x, [table+4]; }"))
	f.Add(body("bar.sync 0; $t: .branchtargets a, b; brx.idx %r1, $t; a: b: shfl.sync.idx.b32 %r1|%p1, %r2, 3, 0x1f, -1;"))
	f.Add(body("atom.cas.b64 %rd1, [%rd2], %rd3, -1; mov.b64 {%r1, _}, %rd1; @!%p1 st.v2.b32 [%rd1+-8], {%r1, 7};"))
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 1<<17 {
			return
		}
		m, err := Parse(src)
		if err != nil {
			require.Nil(t, m)
			return
		}
		for name, k := range m.Kernels {
			require.Equal(t, name, k.Name)
			if k.size > 1<<12 || k.Registers > 1<<12 || k.local > 1<<12 || len(m.globals) > 0 {
				continue
			}
			threads := x1(32)
			err := k.Launch(NewHeap(1<<16), k.smallest(), threads, 0, make([]byte, k.size), Options{Check: true, Workers: 1, Steps: 1 << 10})
			if err != nil && k.Threads >= 32 {
				require.ErrorIs(t, err, ErrProgram)
			}
		}
	})
}

// smallest is a grid of one cluster.
func (k *Kernel) smallest() [3]uint32 {
	if k.Cluster[0] == 0 {
		return x1(1)
	}
	return k.Cluster
}
