package align

import "math"

// KL estimates the divergence of the policy from the reference on one token by Schulman's estimators, and gives the
// derivative with respect to the policy's log-probability: k1 = log π - log ref, k2 = k1²/2, k3 = e^-k1 + k1 - 1.
func KL(kind string, logp, ref float64) (kl, grad float64) {
	d := logp - ref
	switch kind {
	case "k1":
		return d, 1
	case "k2":
		return d * d / 2, d
	default:
		e := math.Exp(-d)
		return e + d - 1, 1 - e
	}
}

// Clip is the interval [1-Low, 1+High] in which a policy's ratio to the one that sampled counts.
type Clip struct{ Low, High float64 }

// Surrogate is PPO's clipped loss of one token, -min(ρA, clip(ρ)A) with ρ = e^(logp - old) (Schulman et al. 2017), and its
// derivative with respect to logp. clipped says that the derivative is zero because the ratio has left the interval.
func (c Clip) Surrogate(logp, old, advantage float64) (loss, grad float64, clipped bool) {
	ratio := math.Exp(logp - old)
	bounded := min(max(ratio, 1-c.Low), 1+c.High)
	if bounded*advantage < ratio*advantage {
		return -bounded * advantage, 0, true
	}
	return -ratio * advantage, -ratio * advantage, false
}

// Value is PPO's clipped value loss of one position, and its derivative with respect to v.
func Value(v, old, target, clip float64) (loss, grad float64) {
	bounded := min(max(v, old-clip), old+clip)
	a, b := (v-target)*(v-target), (bounded-target)*(bounded-target)
	if a >= b {
		return a / 2, v - target
	}
	if bounded == v {
		return b / 2, bounded - target
	}
	return b / 2, 0
}

// GAE is generalised advantage estimation (Schulman et al. 2016) over one episode: A_t = δ_t + γλA_{t+1} with
// δ_t = r_t + γV_{t+1} - V_t, and returns A + V. The value after the end is 0.
func GAE(rewards, values []float64, gamma, lambda float64) (advantages, returns []float64) {
	advantages, returns = make([]float64, len(rewards)), make([]float64, len(rewards))
	next, a := 0.0, 0.0
	for t := len(rewards) - 1; t >= 0; t-- {
		a = rewards[t] + gamma*next - values[t] + gamma*lambda*a
		advantages[t], returns[t] = a, a+values[t]
		next = values[t]
	}
	return advantages, returns
}

// moments are the mean and the unbiased variance.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(max(1, len(x)-1))
	}
	return mean, variance
}

// Whiten scales values to unit variance and, unless it keeps it, zero mean.
func Whiten(x []float64, keepMean bool) []float64 {
	mean, variance := moments(x)
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v - mean) / math.Sqrt(variance+1e-8)
		if keepMean {
			y[i] += mean
		}
	}
	return y
}

// Advantages are those of GRPO: the rewards of a group of answers to one question, less their mean, over their unbiased
// deviation where scale is set (Shao et al. 2024; without it, Liu et al. 2025).
func Advantages(rewards []float64, scale bool) []float64 {
	mean, variance := moments(rewards)
	a := make([]float64, len(rewards))
	for i, r := range rewards {
		a[i] = r - mean
		if scale {
			a[i] /= math.Sqrt(variance) + 1e-4
		}
	}
	return a
}

// GRPO is the loss over the tokens of a group's answers.
type GRPO struct {
	Clip
	Beta float64 // of the k3 divergence from the reference
	// Mean says what tokens are averaged over: "answer" (each answer's own, then the answers: GRPO), "tokens" (all
	// tokens: DAPO), or "length" (the constant Length of every answer: Dr. GRPO).
	Mean   string
	Length int
}

// Loss of a group, with each token's log-probabilities under the policy, the policy that sampled, and the reference, and
// the derivatives with respect to the policy's.
func (g GRPO) Loss(logp, old, ref [][]float64, advantages []float64) (loss float64, grad [][]float64) {
	all := 0
	for _, tokens := range logp {
		all += len(tokens)
	}
	grad = make([][]float64, len(logp))
	for i, tokens := range logp {
		var weight float64
		switch g.Mean {
		case "tokens":
			weight = 1 / float64(all)
		case "length":
			weight = 1 / float64(len(logp)*g.Length)
		default:
			weight = 1 / float64(len(logp)*max(1, len(tokens)))
		}
		grad[i] = make([]float64, len(tokens))
		for t, lp := range tokens {
			l, d, _ := g.Surrogate(lp, old[i][t], advantages[i])
			if g.Beta != 0 {
				kl, dkl := KL("k3", lp, ref[i][t])
				l, d = l+g.Beta*kl, d+g.Beta*dkl
			}
			loss += weight * l
			grad[i][t] = weight * d
		}
	}
	return loss, grad
}
