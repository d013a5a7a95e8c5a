package cpu

import (
	"math"

	"forja/kernels"
)

// dropout is Dropout on groups of rows.
type dropout struct {
	b         *Backend
	y, x      matrix
	keys      [10][2]uint32
	sample    uint64
	site      uint32
	rows      int // of a sample
	rowsPer   int
	threshold uint32 // words below it drop
	scale     float32
}

// Do computes a group of rows.
func (p *dropout) Do(worker, k int) {
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.y.rows); i++ {
		s := p.b.scratch[worker].reset()
		x, y := p.x.load(i, 0, p.x.cols, s), p.y.dest(i, 0, p.y.cols, s)
		sample := p.sample + uint64(i/p.rows)
		element := uint32(i % p.rows * p.x.cols)
		words := s.words(len(x))
		philoxRow(words, uint32(sample), uint32(sample>>32), p.site, element, &p.keys)
		drop(y, x, words, p.threshold, p.scale)
		p.y.store(i, 0, y)
	}
}

// drop is y = x·scale where the random word is at least threshold, 0 elsewhere.
func drop(y, x []float32, words []uint32, threshold uint32, scale float32) {
	x, words = x[:len(y)], words[:len(y)]
	for j := range y {
		// All bits of the product, or none: a branch would be mispredicted at the rate of dropping.
		keep := ^uint32(uint64(int64(words[j])-int64(threshold)) >> 32)
		y[j] = math.Float32frombits(math.Float32bits(x[j]*scale) & keep)
	}
}

// Dropout keeps each element with probability 1-p and scales it by 1/(1-p). The element is kept if the first word of
// Philox4x32-10 at (sample low, sample high, site, element) is at least p·2³².
func (b *Backend) Dropout(y, x, rng kernels.Tensor, p float32, site uint32, rows int) {
	d := &b.dropout
	d.y, d.x = view(y), view(x)
	if d.y.absent() {
		return
	}
	r := ints(rng)
	d.keys = philoxKeys([2]uint32{uint32(r[0]), uint32(r[1])})
	d.sample = uint64(uint32(r[2])) | uint64(uint32(r[3]))<<32
	d.site, d.rows = site, rows
	d.threshold, d.scale = uint32(math.Ceil(float64(p)*(1<<32))), 1/(1-p)
	d.rowsPer = max(1, pieceSize/d.y.cols)
	b.run(ceilDiv(d.y.rows, d.rowsPer), 16*d.y.rows*d.y.cols, d)
}
