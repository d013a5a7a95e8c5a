package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// sample is Sample, row by row.
type sample struct {
	b              *Backend
	logits, params matrix
	seen           matrix
	next           []int32
	logp           []float32
	vocab          int
}

// Do draws the token of row i.
func (p *sample) Do(worker, i int) {
	s := p.b.scratch[worker].reset()
	param := p.params.f32(i, 0, kernels.SampleParams)
	z := s.floats(p.vocab)
	copy(z, p.logits.f32(i, 0, p.vocab))
	if r := param[kernels.SampleRepetition]; r > 0 && r != 1 && !p.seen.absent() {
		repetition(z, p.seen.bytes(i), r)
	}
	temperature := param[kernels.SampleTemperature]
	if temperature <= 0 {
		p.next[i], p.logp[i] = int32(vec.ArgMax(z)), 0
		return
	}
	vec.Scale(z, 1/temperature, z)
	top := vec.Max(z)
	if top-top != 0 { // NaN or infinite: there is no distribution
		p.next[i], p.logp[i] = int32(vec.ArgMax(z)), float32(math.NaN())
		return
	}
	c := newCandidates(z, top, s)
	token, probability := c.draw(
		int(param[kernels.SampleTopK]), param[kernels.SampleTopP], param[kernels.SampleMinP], param[kernels.SampleUniform])
	p.next[i], p.logp[i] = token, float32(math.Log(probability))
}

// repetition makes seen tokens less likely (Keskar et al. 2019).
func repetition(z []float32, seen []byte, penalty float32) {
	for j := range z {
		switch {
		case seen[j] == 0:
		case z[j] > 0:
			z[j] /= penalty
		default:
			z[j] *= penalty
		}
	}
}

// Sample draws one token a row.
func (b *Backend) Sample(next, logp, logits, params, seen kernels.Tensor, vocab int) {
	p := &b.sample
	p.logits, p.params, p.seen = view(logits), view(params), view(seen)
	p.next, p.logp, p.vocab = ints(next), floats(logp), vocab
	if p.logits.absent() {
		return
	}
	b.run(p.logits.rows, 16*p.logits.rows*vocab, p)
}
