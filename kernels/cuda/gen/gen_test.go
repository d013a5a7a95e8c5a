package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/ptx"
)

func here(t *testing.T) tree {
	tr, err := findTree()
	require.NoError(t, err)
	return tr
}

const makeIt = "run `make ptx` and commit kernels/cuda/ptx and kernels/cuda/launches.go"

// Every source has a module that was made from it as it is now.
func TestPTXIsMadeFromTheSources(t *testing.T) {
	tr := here(t)
	names, err := tr.sources()
	require.NoError(t, err)
	require.NotEmpty(t, names)
	modules, err := tr.modules()
	require.NoError(t, err)
	assert.Equal(t, names, modules, makeIt)
	for _, name := range names {
		text, err := tr.read(name)
		require.NoError(t, err)
		hash, err := tr.hash(name)
		require.NoError(t, err)
		assert.Equal(t, hash, fields(text)[1], "%s.cu or a header of it has changed: %s", name, makeIt)
	}
}

// launches.go says the same as the modules.
func TestLaunchesAreGeneratedFromThePTX(t *testing.T) {
	tr := here(t)
	want, err := tr.launches()
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(string(tr), "launches.go"))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), makeIt)
}

// Where the compiler of the committed PTX is installed, it makes the same again.
func TestPTXIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles every kernel")
	}
	c, err := newCompiler(os.Getenv("CLANG"))
	if err != nil {
		t.Skip(err)
	}
	tr := here(t)
	names, err := tr.modules()
	require.NoError(t, err)
	same := make([]bool, len(names))
	parallel(len(names), func(i int) {
		old, err := tr.read(names[i])
		if !assert.NoError(t, err) || !c.fresh(tr, names[i], old) {
			return // of another compiler; or of other sources, which another test reports
		}
		text, err := c.compile(tr, names[i])
		if isWarning(err) {
			err = nil
		}
		if !assert.NoError(t, err) || fields(text) != fields(old) {
			return // somebody is editing
		}
		same[i] = assert.True(t, old == text, "%s: clang makes other PTX of the same source", names[i])
	})
	t.Logf("%s: %v", c.version, same)
}

func TestAMissingCompilerSaysHowToGetOne(t *testing.T) {
	_, err := newCompiler(filepath.Join(t.TempDir(), "clang"))
	assert.ErrorContains(t, err, "apt-get install clang-22")
}

// workspace is a tree of its own with two sources.
func workspace(t *testing.T) tree {
	tr := tree(t.TempDir())
	for _, dir := range []string{"src", "ptx"} {
		require.NoError(t, os.Mkdir(filepath.Join(string(tr), dir), 0o755))
	}
	header, err := os.ReadFile(filepath.Join(here(t).src(), "ptx.h"))
	require.NoError(t, err)
	text := string(header)
	put(t, tr, "ptx.h", text)
	put(t, tr, "one.cu", "#include \"ptx.h\"\nKERNEL(64, 1) one__a(float* x, int n) { if (threadIdx.x < n) x[threadIdx.x] = n; }\n")
	put(t, tr, "two_sm90.cu", "#include \"ptx.h\"\nCLUSTER(2) KERNEL(128, 1) two__a(PARAM(TensorMap) m, uint64* x) { x[0] = m.word[1]; }\n")
	return tr
}

func put(t *testing.T, tr tree, name, text string) {
	require.NoError(t, os.WriteFile(filepath.Join(tr.src(), name), []byte(text), 0o644))
}

// A source that does not compile keeps what it had; the others are brought up to date.
func TestAMistakeInOneSourceStopsNoOther(t *testing.T) {
	if _, err := newCompiler(""); err != nil {
		t.Skip(err)
	}
	tr, said := workspace(t), []string{}
	say := func(line string) { said = append(said, line) }
	require.NoError(t, tr.build("", say))
	assert.ElementsMatch(t, []string{"one", "two_sm90", "launches.go"}, said)
	one, err := tr.read("one")
	require.NoError(t, err)
	two, err := tr.read("two_sm90")
	require.NoError(t, err)
	assert.Contains(t, one, "\n.version 7.0\n.target sm_80\n")
	assert.Contains(t, two, "\n.version 8.0\n.target sm_90a\n")
	assert.Contains(t, two, ".explicitcluster\n.reqnctapercluster 2, 1, 1\n.maxntid 128")

	said = nil
	require.NoError(t, tr.build("", say))
	assert.Empty(t, said, "nothing changed")

	put(t, tr, "one.cu", "#include \"ptx.h\"\nKERNEL(64, 1) one__a(float* x, int n) { x[0] = y; }\n")
	put(t, tr, "two_sm90.cu", "#include \"ptx.h\"\nKERNEL(128, 1) two__b(uint64* x) { x[0] = 2; }\n")
	assert.ErrorContains(t, tr.build("", say), "undeclared identifier 'y'")
	kept, err := tr.read("one")
	require.NoError(t, err)
	assert.Equal(t, one, kept)
	launches, err := os.ReadFile(filepath.Join(string(tr), "launches.go"))
	require.NoError(t, err)
	for _, want := range []string{"oneA", "twoB", `{"two_sm90", "two__b", "sm_90a", 128, 1, 8}`,
		"func (ln *launcher) one(id kernelID, grid dim3, shared int, x ptr, n int32) {\n\tln.begin()\n\tln.ptr(x)\n\tln.i32(n)\n\tln.launch(id, grid, shared)\n}"} {
		assert.Contains(t, string(launches), want)
	}

	require.NoError(t, os.Remove(filepath.Join(tr.src(), "one.cu")))
	require.NoError(t, tr.build("", say))
	modules, err := tr.modules()
	require.NoError(t, err)
	assert.Equal(t, []string{"two_sm90"}, modules)
}

func TestHashCoversHeaders(t *testing.T) {
	tr := workspace(t)
	before, err := tr.hash("one")
	require.NoError(t, err)
	put(t, tr, "other.h", "// not included\n")
	same, err := tr.hash("one")
	require.NoError(t, err)
	assert.Equal(t, before, same)
	put(t, tr, "ptx.h", "#include \"other.h\"\n")
	with, err := tr.hash("one")
	require.NoError(t, err)
	assert.NotEqual(t, before, with)
	put(t, tr, "other.h", "// included\n")
	changed, err := tr.hash("one")
	require.NoError(t, err)
	assert.NotEqual(t, with, changed)
}

const attributes = `extern "C" __attribute__((global)) void __attribute__((launch_bounds(256, 4))) `

func TestSignaturesAreReadFromPreprocessedSources(t *testing.T) {
	ks, err := signatures(`static void f() {}
` + attributes + `a__f32(float* __restrict__ y, const bf16 *x, const int n, unsigned flags, uint32 u, int64 ld,
   uint64 big, float eps) { f(); }
__attribute__((cluster_dims(2, 1, 1))) ` + attributes + `b__c(const __attribute__((grid_constant)) TensorMap a, void** p) {}
` + attributes + `c__d() {}`)
	require.NoError(t, err)
	assert.Equal(t, []ptx.Kernel{
		{Entry: "a__f32", Cluster: 1, Params: []ptx.Param{{Name: "y", Type: "ptr"}, {Name: "x", Type: "ptr"}, {Name: "n", Type: "int32"},
			{Name: "flags", Type: "uint32"}, {Name: "u", Type: "uint32"}, {Name: "ld", Type: "int64"}, {Name: "big", Type: "uint64"},
			{Name: "eps", Type: "float32"}}},
		{Entry: "b__c", Cluster: 2, Params: []ptx.Param{{Name: "a", Type: "tensormap"}, {Name: "p", Type: "ptr"}}},
		{Entry: "c__d", Cluster: 1},
	}, ks)
}

func TestSignaturesRefuseWhatGoCannotLaunch(t *testing.T) {
	for source, want := range map[string]string{
		"":                                    "no kernel",
		attributes + "softmax(float* x) {}":   "family__variant",
		attributes + "a__b(short x) {}":       `parameter "short x"`,
		attributes + "a__b(double) {}":        "want a pointer",
		attributes + "a__b(Struct s, int) {}": "want a pointer",
	} {
		_, err := signatures(source)
		assert.ErrorContains(t, err, want)
	}
}

func TestNamesInGo(t *testing.T) {
	for entry, want := range map[string]string{
		"softmax__bf16": "softmaxBF16", "gemm__bf16_nt_128x128x32": "gemmBF16NT128x128x32", "norm_grad__layer_f32_256": "normGradLayerF32256",
		"add__mixed": "addMixed", "sort_scatter__i32": "sortScatterI32",
	} {
		assert.Equal(t, want, constant(entry))
	}
	assert.Equal(t, "rowStride", identifier("row_stride", false))
}

func TestFamiliesMustAgree(t *testing.T) {
	k := func(name string, params ...ptx.Param) entry {
		return entry{ptx.Kernel{Entry: name, Params: params}, "m"}
	}
	x, n := ptx.Param{Name: "x", Type: "ptr"}, ptx.Param{Name: "n", Type: "int32"}
	assert.NoError(t, consistent([]entry{k("a__b", x, n), k("a__c", x, n), k("b__b", x)}))
	assert.ErrorContains(t, consistent([]entry{k("a__b", x, n), k("a__c", n, x)}), "different parameters")
	assert.ErrorContains(t, consistent([]entry{k("a__b", x), k("a__b", x)}), "same name")
	assert.ErrorContains(t, consistent([]entry{k("a_b__c", x), k("a__b_c", x)}), "same name")
	assert.ErrorContains(t, consistent([]entry{k("a__b", ptx.Param{Name: "func", Type: "ptr"})}), "cannot be called func")
	assert.ErrorContains(t, consistent([]entry{k("a__b", ptx.Param{Name: "grid", Type: "ptr"})}), "cannot be called grid")
}
