package align

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// golden.json holds values worked out apart from this code, some of them published: see its keys.
func golden[T any](t *testing.T, key string) (v T) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &all))
	require.NoError(t, json.Unmarshal(all[key], &v))
	return v
}

const exact = 1e-12

func TestDPOMatchesItsPublishedValues(t *testing.T) {
	g := golden[struct {
		Beta                  float64
		PC                    []float64 `json:"policy_chosen"`
		PR                    []float64 `json:"policy_rejected"`
		RC                    []float64 `json:"ref_chosen"`
		RR                    []float64 `json:"ref_rejected"`
		Delta, Sigmoid, Hinge []float64
		CDPO                  []float64 `json:"cdpo_ls0.1"`
		Robust                []float64 `json:"robust_ls0.1"`
		IPO                   []float64 `json:"ipo_sum"`
		Grad                  []float64 `json:"grad_d_chosen"`
	}](t, "dpo")
	require.NotEmpty(t, g.PC)
	for i := range g.PC {
		m := Margin(g.PC[i], g.PR[i], g.RC[i], g.RR[i])
		assert.InDelta(t, g.Delta[i], m, exact)
		for _, c := range []struct {
			p    Preference
			want float64
		}{{Preference{Kind: "sigmoid", Beta: g.Beta}, g.Sigmoid[i]}, {Preference{Beta: g.Beta, Smooth: 0.1}, g.CDPO[i]},
			{Preference{Beta: g.Beta, Smooth: 0.1, Robust: true}, g.Robust[i]}, {Preference{Kind: "hinge", Beta: g.Beta}, g.Hinge[i]},
			{Preference{Kind: "ipo", Beta: g.Beta}, g.IPO[i]}} {
			loss, _ := c.p.Loss(m)
			assert.InDelta(t, c.want, loss, exact, "%+v", c.p)
		}
		_, grad := Preference{Kind: "sigmoid", Beta: g.Beta}.Loss(m)
		assert.InDelta(t, g.Grad[i], grad, exact)
	}
}

func TestOtherPreferenceLossesMatch(t *testing.T) {
	k := golden[struct{ Chosen, Rejected []float64 }](t, "kto_kl0")
	d := golden[struct {
		PC []float64 `json:"policy_chosen"`
		PR []float64 `json:"policy_rejected"`
		RC []float64 `json:"ref_chosen"`
		RR []float64 `json:"ref_rejected"`
	}](t, "dpo")
	for i := range k.Chosen {
		loss, _ := KTO(d.PC[i]-d.RC[i], 0, 0.1, true)
		assert.InDelta(t, k.Chosen[i], loss, exact)
		loss, _ = KTO(d.PR[i]-d.RR[i], 0, 0.1, false)
		assert.InDelta(t, k.Rejected[i], loss, exact)
	}
	o := golden[struct {
		C    float64 `json:"avg_logp_chosen"`
		R    float64 `json:"avg_logp_rejected"`
		Loss float64 `json:"or_loss_beta0.1"`
	}](t, "orpo")
	loss, _, _ := ORPO(o.C, o.R, 0.1)
	assert.InDelta(t, o.Loss, loss, exact)
	r := golden[struct {
		Chosen, Rejected []float64
		Loss             float64
		Centre           float64 `json:"center_0.01"`
		Margin           float64 `json:"margin0.1"`
	}](t, "rm")
	var plain, margin, centre float64
	for i := range r.Chosen {
		n := float64(len(r.Chosen))
		a, _, _ := Reward(r.Chosen[i], r.Rejected[i], 0, 0)
		b, _, _ := Reward(r.Chosen[i], r.Rejected[i], 0.1, 0)
		c, _, _ := Reward(r.Chosen[i], r.Rejected[i], 0, 0.01)
		plain, margin, centre = plain+a/n, margin+b/n, centre+(c-a)/n
	}
	assert.InDelta(t, r.Loss, plain, exact)
	assert.InDelta(t, r.Margin, margin, exact)
	assert.InDelta(t, r.Centre, centre, exact)
}

func TestAdvantageEstimatesMatch(t *testing.T) {
	type estimate struct {
		Values, Rewards, Returns []float64
		Gamma, Lambda            float64
		Adv                      []float64
		Raw                      []float64 `json:"adv_raw"`
		Kept                     []float64 `json:"adv_whitened_shift_mean_true"`
		Zero                     []float64 `json:"adv_whitened_zero_mean"`
	}
	g := golden[estimate](t, "gae2")
	adv, ret := GAE(g.Rewards, g.Values, g.Gamma, g.Lambda)
	assert.InDeltaSlice(t, g.Adv, adv, exact)
	assert.InDeltaSlice(t, g.Returns, ret, exact)
	p := golden[estimate](t, "gae_torchtune")
	x := []float64{0, 0, 0, 1}
	adv, ret = GAE(x, x, 0.9, 0.95)
	assert.InDeltaSlice(t, p.Raw, adv, exact)
	assert.InDeltaSlice(t, p.Returns, ret, exact)
	assert.InDeltaSlice(t, p.Kept, Whiten(adv, true), 1e-9)
	assert.InDeltaSlice(t, p.Zero, Whiten(adv, false), 1e-9)
}

func TestPolicyLossesMatch(t *testing.T) {
	for key, want := range golden[map[string]float64](t, "ppo") {
		var logp, adv float64
		_, err := fmt.Sscanf(key, "(%g, %g)", &logp, &adv)
		require.NoError(t, err)
		loss, _, _ := Clip{0.2, 0.2}.Surrogate(logp, 0, adv)
		assert.InDelta(t, want, loss, exact, key)
	}
	k := golden[struct{ Logp, Ref, K1, K2, K3 float64 }](t, "kl")
	for kind, want := range map[string]float64{"k1": k.K1, "k2": k.K2, "k3": k.K3} {
		kl, _ := KL(kind, k.Logp, k.Ref)
		assert.InDelta(t, want, kl, exact, kind)
	}
}

func TestGRPOMatches(t *testing.T) {
	g := golden[struct {
		Rewards        []float64
		Group          []float64 `json:"adv_group(eps 1e-4)"`
		Logp, Old, Ref [][]float64
		Losses         map[string]json.RawMessage
	}](t, "grpo")
	assert.InDeltaSlice(t, g.Group, Advantages(g.Rewards, true), exact)
	n := 0
	for key, raw := range g.Losses {
		var scale string
		var o GRPO
		if _, err := fmt.Sscanf(key, "group_std,beta=%g,eps=(%g,%g)", &o.Beta, &o.Low, &o.High); err == nil {
			scale = "group"
		} else if _, err := fmt.Sscanf(key, "no_std,beta=%g,eps=(%g,%g)", &o.Beta, &o.Low, &o.High); err != nil {
			continue
		}
		var want map[string]float64
		require.NoError(t, json.Unmarshal(raw, &want))
		for mean, name := range map[string]string{"answer": "grpo", "tokens": "dapo_bnpo", "length": "dr_grpo_L=8"} {
			o.Mean, o.Length = mean, 8
			loss, _ := o.Loss(g.Logp, g.Old, g.Ref, Advantages(g.Rewards, scale == "group"))
			assert.InDelta(t, want[name], loss, exact, "%s %s", key, name)
			n++
		}
	}
	assert.Equal(t, 24, n)
}

// slope is the central difference of f at x.
func slope(f func(float64) float64, x float64) float64 {
	const h = 1e-6
	return (f(x+h) - f(x-h)) / (2 * h)
}

func TestDerivativesMatchFiniteDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		x, y, a := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
		near := func(want, got float64, what string) { assert.InDelta(t, want, got, 1e-5*max(1, want, -want), what) }
		for _, p := range []Preference{{Kind: "sigmoid", Beta: 0.5}, {Beta: 0.5, Smooth: 0.1}, {Beta: 0.5, Smooth: 0.1, Robust: true},
			{Kind: "ipo", Beta: 0.3}, {Kind: "hinge", Beta: 0.2}} {
			_, g := p.Loss(x)
			near(slope(func(v float64) float64 { l, _ := p.Loss(v); return l }, x), g, p.Kind)
		}
		_, dc, dr := Reward(x, y, 0.1, 0.05)
		near(slope(func(v float64) float64 { l, _, _ := Reward(v, y, 0.1, 0.05); return l }, x), dc, "chosen")
		near(slope(func(v float64) float64 { l, _, _ := Reward(x, v, 0.1, 0.05); return l }, y), dr, "rejected")
		_, k := KTO(x, y, 0.4, a > 0)
		near(slope(func(v float64) float64 { l, _ := KTO(v, y, 0.4, a > 0); return l }, x), k, "kto")
		c, d := -0.1-x*x, -0.1-y*y
		_, dc, dr = ORPO(c, d, 0.2)
		near(slope(func(v float64) float64 { l, _, _ := ORPO(v, d, 0.2); return l }, c), dc, "orpo chosen")
		near(slope(func(v float64) float64 { l, _, _ := ORPO(c, v, 0.2); return l }, d), dr, "orpo rejected")
		for _, kind := range []string{"k1", "k2", "k3"} {
			_, g := KL(kind, x, y)
			near(slope(func(v float64) float64 { l, _ := KL(kind, v, y); return l }, x), g, kind)
		}
		clip := Clip{0.2, 0.3}
		_, g, _ := clip.Surrogate(x, y, a)
		near(slope(func(v float64) float64 { l, _, _ := clip.Surrogate(v, y, a); return l }, x), g, "surrogate")
		_, g = Value(x, y, a, 0.2)
		near(slope(func(v float64) float64 { l, _ := Value(v, y, a, 0.2); return l }, x), g, "value")
	}
}

func TestGRPOGradientMatchesFiniteDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	logp, old, ref := [][]float64{{0}, {0, 0, 0}, {0, 0}}, [][]float64{{0}, {0, 0, 0}, {0, 0}}, [][]float64{{0}, {0, 0, 0}, {0, 0}}
	for i := range logp {
		for j := range logp[i] {
			logp[i][j], old[i][j], ref[i][j] = -1+0.3*r.NormFloat64(), -1+0.3*r.NormFloat64(), -1+0.3*r.NormFloat64()
		}
	}
	adv := Advantages([]float64{1, 0, 0.5}, true)
	for _, mean := range []string{"answer", "tokens", "length"} {
		g := GRPO{Clip: Clip{0.2, 0.28}, Beta: 0.1, Mean: mean, Length: 4}
		_, grad := g.Loss(logp, old, ref, adv)
		for i := range logp {
			for j := range logp[i] {
				x := logp[i][j]
				want := slope(func(v float64) float64 {
					logp[i][j] = v
					l, _ := g.Loss(logp, old, ref, adv)
					return l
				}, x)
				logp[i][j] = x
				assert.InDelta(t, want, grad[i][j], 1e-6)
			}
		}
	}
}
