package model

import "math"

// frequencies are the angles per position of each pair of channels (Su et al. 2021), in float64, with the scaling that
// Hugging Face's rope_scaling names.
func (r Rope) frequencies(d int) []float64 {
	f := make([]float64, d/2)
	for i := range f {
		f[i] = math.Pow(r.Theta, -2*float64(i)/float64(d))
		switch r.Scaling {
		case "linear":
			f[i] /= r.Factor
		case "llama3":
			f[i] = r.llama3(f[i])
		}
	}
	return f
}

// llama3 leaves short wavelengths alone, stretches long ones, and interpolates in between (Llama 3.1, 2024).
func (r Rope) llama3(f float64) float64 {
	wave := 2 * math.Pi / f
	long, short := float64(r.Original)/r.LowFreq, float64(r.Original)/r.HighFreq
	switch {
	case wave < short:
		return f
	case wave > long:
		return f / r.Factor
	}
	smooth := (float64(r.Original)/wave - r.LowFreq) / (r.HighFreq - r.LowFreq)
	return (1-smooth)*f/r.Factor + smooth*f
}

// Table holds, for each of positions, d/2 cosines and then d/2 sines.
func (r Rope) Table(positions, d int) []float32 {
	freq := r.frequencies(d)
	t := make([]float32, positions*d)
	for p := range positions {
		row := t[p*d : (p+1)*d]
		for i, f := range freq {
			// Hugging Face computes the angle in F32; doing the same keeps long contexts in step with it.
			sin, cos := math.Sincos(float64(float32(float32(p) * float32(f))))
			row[i], row[i+d/2] = float32(cos), float32(sin)
		}
	}
	return t
}
