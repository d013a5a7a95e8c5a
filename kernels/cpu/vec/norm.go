package vec

// MeanVar returns the mean and the (biased) variance Σ(x − mean)²/n of a row, in two passes, so that a large mean does
// not cancel the variance. Both are NaN for no elements.
func MeanVar(x []float32) (mean, variance float32) {
	n := float32(len(x))
	mean = sum(x) / n
	return mean, sumSquaresAbout(x, mean) / n
}

// sumSquaresAboutGo is Σ (x − mean)².
func sumSquaresAboutGo(x []float32, mean float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		d0, d1, d2, d3 := x[0]-mean, x[1]-mean, x[2]-mean, x[3]-mean
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for _, v := range x {
		s0 += (v - mean) * (v - mean)
	}
	return (s0 + s2) + (s1 + s3)
}

// Normalize computes y = (x − mean)·rstd·w + b; b may be nil, which stands for zeros.
func Normalize(y, x, w, b []float32, mean, rstd float32) {
	n := len(y)
	if b == nil {
		normalize(y, x[:n], w[:n], mean, rstd)
		return
	}
	normalizeBias(y, x[:n], w[:n], b[:n], mean, rstd)
}

func normalizeGo(y, x, w []float32, mean, rstd float32) {
	for i := range y {
		y[i] = (x[i] - mean) * rstd * w[i]
	}
}

func normalizeBiasGo(y, x, w, b []float32, mean, rstd float32) {
	for i := range y {
		y[i] = (x[i]-mean)*rstd*w[i] + b[i]
	}
}

// RMSNormApply computes y = x·rstd·w.
func RMSNormApply(y, x, w []float32, rstd float32) { normalize(y, x[:len(y)], w[:len(y)], 0, rstd) }

// LayerNormGradRow computes the gradient of y = x̂·w + b, x̂ = (x − mean)·rstd, with respect to x:
// dx = rstd·(dy·w − avg(dy·w) − x̂·avg(dy·w·x̂)), added to dx if accumulate.
func LayerNormGradRow(dx, dy, x, w []float32, mean, rstd float32, accumulate bool) {
	n := len(dx)
	dy, x, w = dy[:n], x[:n], w[:n]
	a, b := normGradSums(dy, x, w, mean)
	per := rstd / float32(n)
	if accumulate {
		normGradAdd(dx, dy, x, w, mean, rstd, a*per, b*per*rstd*rstd)
	} else {
		normGrad(dx, dy, x, w, mean, rstd, a*per, b*per*rstd*rstd)
	}
}

// RMSNormGradRow computes the gradient of y = x̂·w, x̂ = x·rstd, with respect to x:
// dx = rstd·(dy·w − x̂·avg(dy·w·x̂)), added to dx if accumulate.
func RMSNormGradRow(dx, dy, x, w []float32, rstd float32, accumulate bool) {
	n := len(dx)
	dy, x, w = dy[:n], x[:n], w[:n]
	_, b := normGradSums(dy, x, w, 0)
	along := b * (rstd / float32(n)) * rstd * rstd
	if accumulate {
		normGradAdd(dx, dy, x, w, 0, rstd, 0, along)
	} else {
		normGrad(dx, dy, x, w, 0, rstd, 0, along)
	}
}

// normGradSumsGo returns Σ dy·w and Σ dy·w·(x − mean).
func normGradSumsGo(dy, x, w []float32, mean float32) (a, b float32) {
	var a0, a1, b0, b1 float32
	for ; len(dy) >= 2 && len(x) >= 2 && len(w) >= 2; dy, x, w = dy[2:], x[2:], w[2:] {
		g0, g1 := dy[0]*w[0], dy[1]*w[1]
		a0 += g0
		a1 += g1
		b0 += g0 * (x[0] - mean)
		b1 += g1 * (x[1] - mean)
	}
	for i := range dy {
		g := dy[i] * w[i]
		a0 += g
		b0 += g * (x[i] - mean)
	}
	return a0 + a1, b0 + b1
}

// normGradGo computes dx = rstd·dy·w − flat − (x − mean)·along.
func normGradGo(dx, dy, x, w []float32, mean, rstd, flat, along float32) {
	for i := range dx {
		dx[i] = rstd*(dy[i]*w[i]) - flat - (x[i]-mean)*along
	}
}

// normGradAddGo adds the same to dx.
func normGradAddGo(dx, dy, x, w []float32, mean, rstd, flat, along float32) {
	for i := range dx {
		dx[i] += rstd*(dy[i]*w[i]) - flat - (x[i]-mean)*along
	}
}

// LayerNormGradParams adds one row's share of the parameters' gradients: dw += dy·(x − mean)·rstd and db += dy; db may
// be nil.
func LayerNormGradParams(dw, db, dy, x []float32, mean, rstd float32) {
	n := len(dw)
	if db == nil {
		normGradScale(dw, dy[:n], x[:n], mean, rstd)
		return
	}
	normGradScaleBias(dw, db[:n], dy[:n], x[:n], mean, rstd)
}

func normGradScaleGo(dw, dy, x []float32, mean, rstd float32) {
	for i := range dw {
		dw[i] += dy[i] * ((x[i] - mean) * rstd)
	}
}

func normGradScaleBiasGo(dw, db, dy, x []float32, mean, rstd float32) {
	for i := range dw {
		dw[i] += dy[i] * ((x[i] - mean) * rstd)
		db[i] += dy[i]
	}
}

// RMSNormGradParams adds one row's share of the scale's gradient: dw += dy·x·rstd.
func RMSNormGradParams(dw, dy, x []float32, rstd float32) {
	normGradScale(dw, dy[:len(dw)], x[:len(dw)], 0, rstd)
}
