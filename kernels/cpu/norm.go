package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// norm is LayerNorm, or RMSNorm if rms, on groups of rows.
type norm struct {
	b          *Backend
	y, sum     matrix
	x, r, w, c matrix // c is the bias
	stats      []float32
	eps        float32
	rms        bool
	rowsPer    int
}

// Do normalises a group of rows.
func (p *norm) Do(worker, k int) {
	n := p.y.cols
	s := p.b.scratch[worker].reset()
	w := p.w.load(0, 0, n, s)
	var c []float32
	if !p.c.absent() {
		c = p.c.load(0, 0, n, s)
	}
	mark := s.used
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.y.rows); i++ {
		s.used = mark
		h := p.x.load(i, 0, n, s)
		y := p.y.dest(i, 0, n, s)
		if !p.r.absent() {
			sum := p.sum.dest(i, 0, n, s)
			vec.Add(sum, h, p.r.load(i, 0, n, s))
			p.sum.store(i, 0, sum)
			h = sum
		}
		if p.rms {
			rstd := invSqrt(vec.SumSquares(h)/float32(n) + p.eps)
			p.stats[i] = rstd
			vec.RMSNormApply(y, h, w, rstd)
		} else {
			mean, variance := vec.MeanVar(h)
			rstd := invSqrt(variance + p.eps)
			p.stats[2*i], p.stats[2*i+1] = mean, rstd
			vec.Normalize(y, h, w, c, mean, rstd)
		}
		p.y.store(i, 0, y)
	}
}

func invSqrt(x float32) float32 { return float32(1 / math.Sqrt(float64(x))) }

func (p *norm) start(y, sum, stats, x, r, w, c kernels.Tensor, eps float32, rms bool) {
	p.y, p.sum, p.stats, p.x, p.r = view(y), view(sum), floats(stats), view(x), view(r)
	p.w, p.c, p.eps, p.rms = vector(w), vector(c), eps, rms
	if p.y.absent() {
		return
	}
	p.rowsPer = max(1, 2*pieceSize/p.y.cols)
	p.b.run(ceilDiv(p.y.rows, p.rowsPer), 4*p.y.rows*p.y.cols, p)
}

// LayerNorm is h = x + r; y = (h - mean)·rstd·w + b.
func (b *Backend) LayerNorm(y, sum, stats, x, r, w, bias kernels.Tensor, eps float32) {
	b.norm.start(y, sum, stats, x, r, w, bias, eps, false)
}

// RMSNorm is h = x + r; y = h·rstd·w.
func (b *Backend) RMSNorm(y, sum, rstd, x, r, w kernels.Tensor, eps float32) {
	b.norm.start(y, sum, rstd, x, r, w, absent, eps, true)
}

// normGrad is LayerNormGrad, or RMSNormGrad if rms. Chunks of rows have sums of their own for dw and db, which are
// added up in order afterwards.
type normGrad struct {
	b                   *Backend
	dx, dy, h, w, r     matrix
	stats               []float32
	rms, sumW, sumB     bool
	rowsPer, partLength int
	parts               []float32 // for each chunk dw, then db
}

// normChunks is the most chunks that rows are divided into.
const normChunks = 64

// Do computes dx of a chunk and its share of dw and db.
func (p *normGrad) Do(worker, k int) {
	n := p.dy.cols
	s := p.b.scratch[worker].reset()
	w := p.w.load(0, 0, n, s)
	var dw, db []float32
	if p.parts != nil {
		part := p.parts[k*p.partLength : (k+1)*p.partLength]
		clear(part)
		if p.sumW {
			dw = part[:n]
		}
		if p.sumB {
			db = part[p.partLength-n:]
		}
	}
	mark := s.used
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.dy.rows); i++ {
		s.used = mark
		dy, h := p.dy.load(i, 0, n, s), p.h.load(i, 0, n, s)
		mean, rstd := float32(0), float32(0)
		if p.rms {
			rstd = p.stats[i]
		} else {
			mean, rstd = p.stats[2*i], p.stats[2*i+1]
		}
		if dw != nil {
			vec.LayerNormGradParams(dw, db, dy, h, mean, rstd)
		} else if db != nil {
			vec.Add(db, db, dy)
		}
		if !p.dx.absent() {
			p.rowGrad(i, dy, h, w, mean, rstd, s)
		}
	}
}

// rowGrad computes row i of dx.
func (p *normGrad) rowGrad(i int, dy, h, w []float32, mean, rstd float32, s *scratch) {
	n := len(dy)
	dx := s.floats(n)
	add := !p.r.absent()
	if add {
		p.r.loadTo(dx, i, 0, n)
	}
	if p.rms {
		vec.RMSNormGradRow(dx, dy, h, w, rstd, add)
	} else {
		vec.LayerNormGradRow(dx, dy, h, w, mean, rstd, add)
	}
	p.dx.store(i, 0, dx)
}

func (p *normGrad) start(dx, dw, db, dy, h, w, stats, residual kernels.Tensor, accumulate, rms bool) {
	p.dx, p.dy, p.h, p.w, p.r = view(dx), view(dy), view(h), vector(w), view(residual)
	p.stats, p.rms, p.sumW, p.sumB, p.parts = floats(stats), rms, !dw.Nil(), !db.Nil(), nil
	n := p.dy.cols
	if n == 0 {
		return
	}
	p.rowsPer = max(8, ceilDiv(p.dy.rows, normChunks))
	chunks := ceilDiv(p.dy.rows, p.rowsPer)
	p.partLength = 0
	if p.sumW {
		p.partLength += n
	}
	if p.sumB {
		p.partLength += n
	}
	if p.partLength > 0 {
		p.parts = p.b.shared.reset().floats(chunks * p.partLength)
	}
	p.b.run(chunks, 4*p.dy.rows*n, p)
	sums := dense32(p.parts, chunks, p.partLength)
	if p.sumW {
		p.b.stripes.start(floats(dw), sums.block(0, chunks, 0, n), accumulate)
	}
	if p.sumB {
		p.b.stripes.start(floats(db), sums.block(0, chunks, p.partLength-n, p.partLength), accumulate)
	}
}

// LayerNormGrad is the gradient of LayerNorm at h, plus residual.
func (b *Backend) LayerNormGrad(dx, dw, db, dy, h, w, stats, residual kernels.Tensor, accumulate bool) {
	b.normGrad.start(dx, dw, db, dy, h, w, stats, residual, accumulate, false)
}

// RMSNormGrad is the gradient of RMSNorm at h, plus residual.
func (b *Backend) RMSNormGrad(dx, dw, dy, h, w, rstd, residual kernels.Tensor, accumulate bool) {
	b.normGrad.start(dx, dw, absent, dy, h, w, rstd, residual, accumulate, true)
}
