package align

import "math"

// logSigmoid is log σ(x) without overflow.
func logSigmoid(x float64) float64 {
	if x < 0 {
		return x - math.Log1p(math.Exp(x))
	}
	return -math.Log1p(math.Exp(-x))
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// A Preference is how DPO scores the margin δ = (log π_c - log ref_c) - (log π_r - log ref_r) between the chosen and the
// rejected completion.
type Preference struct {
	Kind   string  // sigmoid (Rafailov et al. 2023), hinge, or ipo (Azar et al. 2023)
	Beta   float64 // strength of the reference
	Smooth float64 // sigmoid: probability that a label is wrong (conservative DPO)
	Robust bool    // sigmoid: the unbiased estimate under that probability (Chowdhury et al. 2024)
}

// Margin is δ.
func Margin(chosen, rejected, refChosen, refRejected float64) float64 {
	return (chosen - refChosen) - (rejected - refRejected)
}

// Loss of a margin, and its derivative with respect to log π_c; that with respect to log π_r is the opposite.
func (p Preference) Loss(margin float64) (loss, grad float64) {
	x := p.Beta * margin
	switch p.Kind {
	case "hinge":
		if x < 1 {
			return 1 - x, -p.Beta
		}
		return 0, 0
	case "ipo":
		d := margin - 1/(2*p.Beta)
		return d * d, 2 * d
	}
	win, lose := -logSigmoid(x), -logSigmoid(-x) // derivatives -σ(-x) and σ(x)
	e := p.Smooth
	if p.Robust {
		z := 1 - 2*e
		return ((1-e)*win - e*lose) / z, p.Beta * (-(1-e)*sigmoid(-x) - e*sigmoid(x)) / z
	}
	return (1-e)*win + e*lose, p.Beta * (-(1-e)*sigmoid(-x) + e*sigmoid(x))
}

// Reward is the Bradley-Terry loss of two scores that differ by at least margin, with a pull of both towards zero mean,
// and its derivatives with respect to the scores.
func Reward(chosen, rejected, margin, centre float64) (loss, dChosen, dRejected float64) {
	x, sum := chosen-rejected-margin, chosen+rejected
	g := -sigmoid(-x)
	return -logSigmoid(x) + centre*sum*sum, g + 2*centre*sum, -g + 2*centre*sum
}

// KTO is the loss of a single completion whose log ratio to the reference is given, desirable or not, against the
// reference point z0 (Ethayarajh et al. 2024), and its derivative.
func KTO(ratio, z0, beta float64, desirable bool) (loss, grad float64) {
	x := beta * (ratio - z0)
	if !desirable {
		x = -x
		beta = -beta
	}
	s := sigmoid(x)
	return 1 - s, -beta * s * (1 - s)
}

// ORPO is the odds-ratio term of Hong et al. 2024 for mean log-probabilities, and its derivatives.
func ORPO(chosen, rejected, beta float64) (loss, dChosen, dRejected float64) {
	odds := (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected))
	g := -beta * sigmoid(-odds)
	// d/dx (x - log(1 - eˣ)) = 1/(1 - eˣ)
	return -beta * logSigmoid(odds), g / -math.Expm1(chosen), -g / -math.Expm1(rejected)
}

// log1mexp is log(1 - eˣ) for x < 0 (Mächler 2012).
func log1mexp(x float64) float64 {
	if x > -math.Ln2 {
		return math.Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}
