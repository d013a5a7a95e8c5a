package interp_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/ptx"
	"forja/kernels/cuda/sim/interp"
)

// mistake is a kind of bug that is planted in kernels, at every place where its pattern is found.
type mistake struct {
	name    string
	pattern *regexp.Regexp
	to      string
}

var mistakes = []mistake{
	{"a barrier is missing", regexp.MustCompile(`(?m)^\s*bar\.sync[^;]*;`), ""},
	{"a warp barrier is missing", regexp.MustCompile(`(?m)^\s*bar\.warp\.sync[^;]*;`), ""},
	{"a fence is missing", regexp.MustCompile(`(?m)^\s*(fence\.acq_rel|membar)[^;]*;`), ""},
	{"a copy is not waited for", regexp.MustCompile(`(?m)^\s*cp\.async\.wait_group[^;]*;`), ""},
	{"a group of copies is not closed", regexp.MustCompile(`(?m)^\s*cp\.async\.commit_group;`), ""},
	{"lanes add up too few", regexp.MustCompile(`shfl\.sync\.bfly`), "shfl.sync.up"},
}

// harmless counts, by kernel and mistake, the places where a mistake changes nothing in the launches of this
// test: there is another barrier, all copies have been waited for, or the loop has a single turn.
var harmless = map[string]int{
	"attention__d64: a barrier is missing":                   1, // both after the last tile
	"attention__d64: a copy is not waited for":               1,
	"attention_grad__keys_d64: a barrier is missing":         1,
	"attention_grad__keys_d64: a copy is not waited for":     1,
	"attention_grad__keys_d64: a warp barrier is missing":    2, // behind a barrier; between two tiles
	"attention_grad__queries_d64: a barrier is missing":      1,
	"attention_grad__queries_d64: a copy is not waited for":  1,
	"attention_grad__queries_d64: a warp barrier is missing": 1,
	"gemm__nn_64x64: a barrier is missing":                   1, // both after the last tile
	"gemm__nn_64x64: a copy is not waited for":               1,
	"gemm__nt_64x64: a barrier is missing":                   1,
	"gemm__nt_64x64: a copy is not waited for":               1,
	"gemm__tn_64x64: a barrier is missing":                   1,
	"gemm__tn_64x64: a copy is not waited for":               1,
	"softmax__f32_block: lanes add up too few":               1, // any number near the maximum will do
	"sort_scan__u32: a barrier is missing":                   1, // of a loop with a single turn
	"sort_scatter__i32: a warp barrier is missing":           1, // before a barrier
}

// Every mistake in the synchronisation of the kernels that ship is noticed: an error, or another result.
func TestMistakesInRealKernelsAreCaught(t *testing.T) {
	planted := plantMistakes(t, 80, mistakes, harmless, func(b *bench) {
		b.rows()
		b.products()
		b.attention()
	})
	require.Greater(t, planted, 100)
}

// plantMistakes makes every mistake in every kernel that the exercise launches, one at a time, and runs it with what the
// kernel was launched with. Those that nobody notices must be harmless. It returns how many there were.
func plantMistakes(t *testing.T, capability int, mistakes []mistake, harmless map[string]int, exercise func(b *bench)) int {
	t.Helper()
	module := map[string]string{} // of an entry
	for _, m := range ptx.Modules() {
		text, err := ptx.Module(m)
		require.NoError(t, err)
		for _, e := range regexp.MustCompile(`\.entry (\w+)`).FindAllStringSubmatch(text, -1) {
			module[e[1]] = m
		}
	}
	type mutant struct {
		kernel  *interp.Kernel
		mistake string
		line    int
	}
	alive := map[string][]*mutant{}
	original := map[string]*interp.Kernel{}
	var entries []string
	planted, busy := 0, false
	stop := interp.Tap(func(k *interp.Kernel, h *interp.Heap, grid, dim [3]uint32, shared int, args []byte) {
		if busy {
			return
		}
		busy = true
		defer func() { busy = false }()
		run := func(k *interp.Kernel) (*interp.Heap, error) {
			c := h.Clone(args)
			return c, k.Launch(c, grid, dim, shared, args, interp.Options{Check: true, Steps: 1 << 20})
		}
		if original[k.Name] == nil {
			text, err := ptx.Extract(module[k.Name], k.Name)
			require.NoError(t, err)
			parse := func(text string) *interp.Kernel {
				m, err := interp.Parse(text)
				require.NoError(t, err)
				return m.Kernels[k.Name]
			}
			original[k.Name] = parse(text)
			entries = append(entries, k.Name)
			for _, x := range mistakes {
				for _, at := range x.pattern.FindAllStringIndex(text, -1) {
					planted++
					alive[k.Name] = append(alive[k.Name], &mutant{parse(text[:at[0]] + x.to + text[at[1]:]), x.name, 1 + strings.Count(text[:at[0]], "\n")})
				}
			}
		}
		want, err := run(original[k.Name])
		require.NoError(t, err)
		var left []*mutant
		for _, m := range alive[k.Name] {
			if got, err := run(m.kernel); err == nil && got.Same(want) {
				left = append(left, m)
			}
		}
		alive[k.Name] = left
	})
	defer stop()
	onCard(t, capability, exercise)
	for _, entry := range entries {
		survived := map[string]int{}
		for _, m := range alive[entry] {
			survived[m.mistake]++
			t.Logf("%s: %s before line %d: nobody noticed", entry, m.mistake, m.line)
		}
		for _, x := range mistakes {
			assert.LessOrEqual(t, survived[x.name], harmless[entry+": "+x.name], "%s: %s", entry, x.name)
		}
	}
	t.Logf("%d mistakes in %d kernels", planted, len(entries))
	return planted
}
