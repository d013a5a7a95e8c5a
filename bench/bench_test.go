package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/train"
	"forja/kernels"
	"forja/kernels/cpu"
)

func openRig(t *testing.T) (*rig, func()) {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	require.NoError(t, err)
	return &rig{Options: Options{small: true}.fill(), sizes: forTests, b: b}, func() { require.NoError(t, b.Close()) }
}

// quick measures everything at tiny sizes.
func quick(t *testing.T) (results []Result, peers []Peer) {
	o := Options{Threads: 2, Rounds: 2, Step: Step{Context: 16}, small: true,
		Result: func(r Result) { results = append(results, r) },
		Peer:   func(p Peer) { peers = append(peers, p) }}
	require.NoError(t, Run(t.Context(), []string{"all"}, o))
	return results, peers
}

func TestEverySectionGivesPositiveFigures(t *testing.T) {
	results, peers := quick(t)
	require.Len(t, peers, 1, "the peer, or why there is none")
	sections, names := map[string]int{}, map[string]bool{}
	for _, r := range results {
		what, _, _ := strings.Cut(r.Name, "/")
		sections[what]++
		assert.False(t, names[r.Name], "%s is there twice", r.Name)
		names[r.Name] = true
		assert.Positive(t, r.Rate, r.Name)
		assert.False(t, math.IsInf(r.Rate, 0), r.Name)
		assert.Positive(t, r.Seconds, r.Name)
		assert.GreaterOrEqual(t, r.Median, r.Seconds, r.Name)
		assert.Positive(t, r.Calls, r.Name)
		assert.NotEmpty(t, r.Unit, r.Name)
		if r.Against != "" {
			assert.InDelta(t, r.Rate/r.AgainstRate, r.Ratio, 1e-9, r.Name)
		}
	}
	for _, s := range Sections() {
		assert.Positive(t, sections[s], "%s measured nothing", s)
	}
	for _, name := range []string{"gemm/bf16/dw/48x33", "step/bf16", "decode/f32", "decode/bf16"} {
		assert.True(t, names[name], name)
	}
}

func TestStepAccountsForItsTime(t *testing.T) {
	results, _ := quick(t)
	for _, r := range results {
		if r.StepFigures == nil {
			continue
		}
		f := r.StepFigures
		assert.InDelta(t, 64/r.Seconds, f.TokS, 1e-6*f.TokS, "4 rows of 16 tokens")
		assert.Zero(t, f.Allocations, "replaying a step allocates nothing")
		assert.Positive(t, f.PlannedBytes)
		assert.Positive(t, f.PeakGFLOPS)
		sum, launches := 0.0, 0
		for i, s := range f.Shares {
			sum += s.Share
			launches += s.Calls
			assert.Positive(t, s.GBS, s.Op)
			if i > 0 {
				assert.LessOrEqual(t, s.Seconds, f.Shares[i-1].Seconds, "largest first")
			}
		}
		assert.InDelta(t, 1, sum, 1e-9)
		c, err := model.Preset(f.Model)
		require.NoError(t, err)
		_, _, plans, err := prepare(tiny(c), kernels.F32, train.Shape{Rows: 4, Micro: 4, Length: 16}, 0)
		require.NoError(t, err)
		assert.Equal(t, plans.First.Calls+plans.Norm.Calls+plans.Update.Calls, launches, "every kernel of an update")
	}
}

func TestResultsAreOneJSONObjectALine(t *testing.T) {
	results, _ := quick(t)
	for _, r := range results {
		var out bytes.Buffer
		require.NoError(t, json.NewEncoder(&out).Encode(r))
		assert.Equal(t, 1, strings.Count(out.String(), "\n"))
		var back map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &back))
		for _, key := range []string{"name", "dtype", "seconds", "seconds_median", "rate", "unit"} {
			assert.Contains(t, back, key, r.Name)
		}
		if strings.HasPrefix(r.Name, "step/") { // what peers/compare.py reads
			assert.Contains(t, back, "tok_s")
			assert.Contains(t, back, "peak_rss")
		} else {
			assert.NotContains(t, back, "tok_s", r.Name)
		}
		var table bytes.Buffer
		r.Print(&table)
		assert.Contains(t, table.String(), r.Name)
	}
}

func TestWrongProductIsNotTimed(t *testing.T) {
	rig, free := openRig(t)
	defer free()
	ts := &tensors{b: rig.b}
	defer ts.free()
	for _, p := range products(5, 7, 9) {
		for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
			a, b := exact(1, p.m*p.k), exact(2, p.k*p.n)
			x, y, c := rig.operands(ts, p, d, a, b)
			require.NoError(t, ts.err)
			rig.call(p, c, x, y)()
			require.NoError(t, ts.verify(p, c, a, b, nil), "%s %v", p.kind, d)
			peer, err := ts.floats(c)
			require.NoError(t, err)
			if c.DType == kernels.F32 {
				require.NoError(t, ts.verify(p, c, a, b, peer))
				peer[3] += 1
				assert.ErrorContains(t, ts.verify(p, c, a, b, peer), "differ at element 3")
			}
			rig.b.Fill(c, 3)
			assert.ErrorContains(t, ts.verify(p, c, a, b, nil), "wrong at element 0")
		}
	}
}

func TestExactOperandsSurviveBF16(t *testing.T) {
	x := exact(7, 5000)
	wide := make([]float32, len(x))
	kernels.FromBF16(wide, kernels.ToBF16(x))
	assert.Equal(t, x, wide)
	lowest, highest := x[0], x[0]
	for _, v := range x {
		lowest, highest = min(lowest, v), max(highest, v)
	}
	assert.Equal(t, [2]float32{-0.5, 0.5}, [2]float32{lowest, highest})
}

func TestArithmeticCountsWhatProductsDo(t *testing.T) {
	f32 := func(shape ...int) graph.Type { return graph.Type{Shape: shape, DType: kernels.F32} }
	call := func(op string, in ...graph.Type) graph.Timing {
		return graph.Timing{Op: op, In: in, Out: []graph.Type{f32(2, 3, 8)}}
	}
	x, w, dy := f32(2, 3, 5), f32(7, 5), f32(2, 3, 7)
	const product = 2 * 6 * 5 * 7
	assert.EqualValues(t, product, arithmetic(call("Linear", x, w)))
	assert.EqualValues(t, product, arithmetic(call("LinearDX", dy, w)))
	assert.EqualValues(t, product, arithmetic(call("LinearDW", dy, x)))
	assert.EqualValues(t, 3*product, arithmetic(call("LogProbBoth", x, w)))
	assert.EqualValues(t, 2*2*8*3*4, arithmetic(call("Attention", f32(2, 3, 24))), "half of two products, with the diagonal")
	assert.EqualValues(t, 5*2*8*3*4, arithmetic(call("AttentionGrad", f32(2, 3, 8))))
	assert.Zero(t, arithmetic(call("Embed", x)))
	assert.EqualValues(t, 4*(30+35+48), traffic(graph.Timing{In: []graph.Type{x, w, {}}, Out: []graph.Type{f32(2, 3, 8)}}))
}

func TestUnknownSectionIsRefused(t *testing.T) {
	err := Run(t.Context(), []string{"gemn"}, Options{})
	assert.ErrorContains(t, err, `"gemn"`)
	assert.ErrorContains(t, err, "gemm, attention")
}

func TestMeasuringStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, Run(ctx, []string{"norm"}, Options{small: true}), context.Canceled)
}

func TestMachineSaysWhatItIs(t *testing.T) {
	m := Here("v1")
	assert.Equal(t, "v1", m.Commit)
	assert.NotEmpty(t, m.CPU)
	assert.Positive(t, m.Cores)
	var out bytes.Buffer
	m.Print(&out)
	assert.Contains(t, out.String(), m.CPU)
	m.Load = 7
	assert.True(t, m.Busy())
	m.Load = 0.1
	assert.False(t, m.Busy())
}
