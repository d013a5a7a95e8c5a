package train

import "math"

// Spikes decides which updates to skip because their gradient norm is far above its recent mean, in deviations
// (the z-score of llm.c). It is state of the run and saved with it.
type Spikes struct {
	Limit float64 `json:"limit"` // deviations
	Mean  float64 `json:"mean"`
	Var   float64 `json:"var"`
	Seen  int     `json:"seen"`
}

// spikeWindow is the length of the exponential averages, and the number of norms seen before anything is skipped.
const spikeWindow = 128

// Spike reports whether a norm is a spike, and remembers it if it is not.
func (s *Spikes) Spike(norm float64) bool {
	if s == nil {
		return false
	}
	if s.Seen >= spikeWindow && norm > s.Mean+s.Limit*math.Sqrt(s.Var) {
		return true
	}
	s.Seen++
	w := max(1/float64(s.Seen), 1.0/spikeWindow)
	d := norm - s.Mean
	s.Mean += w * d
	s.Var = (1 - w) * (s.Var + w*d*d)
	return false
}
