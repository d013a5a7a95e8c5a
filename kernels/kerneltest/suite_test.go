package kerneltest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cpu"
)

// planted are bugs that a mutant may have, for each operation.
var planted = map[string][]string{
	"Info":              {"no kind"},
	"Alloc":             {"a byte more", "what there is", "silent about the size"},
	"Free":              {"never"},
	"Usage":             {"no peak"},
	"Upload":            {"rows together"},
	"Download":          {"rows together"},
	"Sync":              {"an error from nowhere"},
	"Close":             {"an error from nowhere"},
	"Copy":              {"truncates", "a row less", "denormals of f16 are zero"},
	"Fill":              {"rounds integers", "a row more"},
	"Add":               {"truncates", "a row less", "twice the first"},
	"Activate":          {"one gelu for the other", "a column less"},
	"ActivateGrad":      {"one gelu for the other", "a column less"},
	"SwiGLU":            {"gate and up swapped", "a column less"},
	"SwiGLUGrad":        {"gradients swapped", "gate off by 1e-4"},
	"Dropout":           {"seed swapped", "keeps more", "no site", "one sample"},
	"RoPE":              {"never back", "only the heads", "position of the next"},
	"Softmax":           {"a column less"},
	"SoftmaxGrad":       {"a column less"},
	"Linear":            {"no scale", "no bias", "no activation", "no pre", "no residual", "a product less", "truncates"},
	"LinearDX":          {"no scale", "no residual", "no activation"},
	"LinearDW":          {"no scale", "a product less", "always from zero"},
	"LinearQuant":       {"no scale", "no bias", "no activation", "halves swapped", "scales of the row before", "a product less"},
	"LinearQuantDX":     {"no scale", "no residual", "no activation", "halves swapped"},
	"BiasGrad":          {"a row less", "never from zero"},
	"Embed":             {"negative is the first", "never from zero"},
	"EmbedGrad":         {"negative is the first", "always from zero"},
	"LayerNorm":         {"of the sum as stored", "no bias", "eps of 1e-5 always"},
	"LayerNormGrad":     {"no mean", "no residual", "always from zero"},
	"RMSNorm":           {"eps of 1e-5 always", "variance, not its root"},
	"RMSNormGrad":       {"rows of dw less", "no residual", "always from zero"},
	"Attention":         {"never causal", "no scale", "from the start", "a key more", "a key less", "lse of nothing is 0"},
	"AttentionGrad":     {"never causal", "no scale", "from the start", "a key more", "a key less", "no delta"},
	"LinearLogProb":     {"padding counts", "no bias", "entropy of nothing"},
	"LinearLogProbGrad": {"padding counts", "no dlse", "always from zero"},
	"LinearLogProbBoth": {"negative target is the first", "no dlse", "always from zero"},
	"GradNorm":          {"a row less", "never clips", "clears the block"},
	"AdamW":             {"no decay", "no factor", "eps of 1e-8 always", "unclipped", "truncates"},
	"Muon":              {"no decay", "no factor", "momentum off by a thousandth", "a row less"},
	"KVAppend":          {"keys for values", "negative from the end"},
	"PagedAttention":    {"no scale", "all but itself", "one too many", "pages in order"},
	"Sample":            {"no top-k", "no top-p", "no min-p", "no repetition", "no number", "padding counts", "last of the largest"},
}

// methods are the operations of the interface.
func methods() (names []string) {
	t := reflect.TypeFor[kernels.Backend]()
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}

func TestEveryPlantedBugIsFound(t *testing.T) {
	byOperation(scenarios(), normal, func(op string, l list) {
		for _, bug := range planted[op] {
			t.Run(op+"/"+bug, func(t *testing.T) {
				good, err := cpu.Open(cpu.Options{Threads: 1})
				require.NoError(t, err)
				defer func() { require.NoError(t, good.Close()) }()
				b := &mutant{Backend: good, bug: bug}
				for _, s := range l {
					if s.closes {
						b.Backend, err = cpu.Open(cpu.Options{Threads: 1})
						require.NoError(t, err)
					}
					if err := s.run(b); err != nil {
						t.Logf("%s: %v", s.name, err)
						return
					}
				}
				t.Error("the suite passes")
			})
		}
	})
}

func TestEveryOperationHasCasesAndPlantedBugs(t *testing.T) {
	cases := map[string]map[scope]int{}
	for _, s := range scenarios() {
		if cases[s.op] == nil {
			cases[s.op] = map[scope]int{}
		}
		cases[s.op][s.scope]++
	}
	assert.Len(t, cases, len(methods()))
	assert.Len(t, planted, len(methods()))
	for _, m := range methods() {
		assert.NotZero(t, cases[m][small], "%s has no small case", m)
		assert.NotEmpty(t, planted[m], "%s has no planted bug", m)
	}
}

func TestEveryGradientIsChecked(t *testing.T) {
	all := methods()
	for _, m := range all {
		forward := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m, "Grad"), "DX"), "DW")
		if forward != m {
			assert.Contains(t, gradients, m)
		}
	}
	for m := range gradients {
		assert.Contains(t, all, m)
	}
}

func TestEveryOperationHasAContract(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../backend.go", nil, parser.ParseComments)
	require.NoError(t, err)
	documented := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok {
			for _, f := range i.Methods.List {
				for _, name := range f.Names {
					documented[name.Name] = f.Doc.Text()
				}
			}
		}
		return true
	})
	for _, m := range methods() {
		if m == "Info" { // its type is its contract
			continue
		}
		assert.True(t, strings.HasPrefix(documented[m], m+" "), "%s has no comment that begins with its name", m)
	}
}

// drifting fills with another value each time.
type drifting struct {
	kernels.Backend
	calls float32
}

func (b *drifting) Fill(dst kernels.Tensor, v float32) {
	b.calls++
	b.Backend.Fill(dst, v+b.calls)
}

func TestDeterminismSeesResultsThatChange(t *testing.T) {
	device := func(wrap func(kernels.Backend) kernels.Backend) *kernels.Device {
		d, err := kernels.OpenDevice(func() (kernels.Backend, error) {
			b, err := cpu.Open(cpu.Options{Threads: 1})
			return wrap(b), err
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		return d
	}
	steady := device(func(b kernels.Backend) kernels.Backend { return b })
	drifts := device(func(b kernels.Backend) kernels.Backend { return &drifting{Backend: b} })
	for _, s := range scenarios() {
		if s.op == "Fill" && s.scope == small {
			require.NoError(t, s.repeat(t, []*kernels.Device{steady, steady}))
			require.ErrorContains(t, s.repeat(t, []*kernels.Device{steady, drifts}), "differs")
			require.ErrorContains(t, s.repeat(t, []*kernels.Device{drifts, drifts}), "differs")
		}
	}
}
