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

// Bound is the largest norm that is no spike, as things stand; 0 if any may be.
func (s *Spikes) Bound() float64 {
	if s == nil || s.Seen < spikeWindow {
		return 0
	}
	return s.Mean + s.Limit*math.Sqrt(s.Var)
}

// Note remembers a norm that was no spike.
func (s *Spikes) Note(norm float64) {
	if s == nil {
		return
	}
	s.Seen++
	w := max(1/float64(s.Seen), 1.0/spikeWindow)
	d := norm - s.Mean
	s.Mean += w * d
	s.Var = (1 - w) * (s.Var + w*d*d)
}
