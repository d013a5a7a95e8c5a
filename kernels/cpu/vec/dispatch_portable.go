// The plain Go tier on every architecture.

package vec

func widen(dst []float32, src []uint16) { widenGo(dst, src) }

func narrow(dst []uint16, src []float32) { narrowGo(dst, src) }

func widenF16(dst []float32, src []uint16) { widenF16Go(dst, src) }

func fill(y []float32, a float32) { fillGo(y, a) }

func add(z, x, y []float32) { addGo(z, x, y) }

func sub(z, x, y []float32) { subGo(z, x, y) }

func mul(z, x, y []float32) { mulGo(z, x, y) }

func mulAdd(z, x, y []float32) { mulAddGo(z, x, y) }

func scale(y []float32, a float32, x []float32) { scaleGo(y, a, x) }

func addScaled(z, x []float32, a float32, y []float32) { addScaledGo(z, x, a, y) }

func rotate(y1, y2, x1, x2, cos, sin []float32) { rotateGo(y1, y2, x1, x2, cos, sin) }

func rotateBack(y1, y2, x1, x2, cos, sin []float32) { rotateBackGo(y1, y2, x1, x2, cos, sin) }

func sum(x []float32) float32 { return sumGo(x) }

func dot(x, y []float32) float32 { return dotGo(x, y) }

func maximum(x []float32) float32 { return maximumGo(x) }

func index(x []float32, v float32) int { return indexGo(x, v) }

func exp(y, x []float32) { expGo(y, x) }

func expSum(y, x []float32, shift float32) float32 { return expSumGo(y, x, shift) }

func softmaxGrad(dx, dy, y []float32, s float32) { softmaxGradGo(dx, dy, y, s) }

func tanh(y, x []float32) { tanhGo(y, x) }

func sigmoid(y, x []float32) { sigmoidGo(y, x) }

func gelu(y, x []float32) { geluGo(y, x) }

func geluGrad(dx, dy, x []float32) { geluGradGo(dx, dy, x) }

func geluErf(y, x []float32) { geluErfGo(y, x) }

func geluErfGrad(dx, dy, x []float32) { geluErfGradGo(dx, dy, x) }

func silu(y, x []float32) { siluGo(y, x) }

func siluGrad(dx, dy, x []float32) { siluGradGo(dx, dy, x) }

func swiGLU(y, g, u []float32) { swiGLUGo(y, g, u) }

func swiGLUGrad(dg, du, dy, g, u []float32) { swiGLUGradGo(dg, du, dy, g, u) }

func sumSquaresAbout(x []float32, mean float32) float32 { return sumSquaresAboutGo(x, mean) }

func normalize(y, x, w []float32, mean, rstd float32) { normalizeGo(y, x, w, mean, rstd) }

func normalizeBias(y, x, w, b []float32, mean, rstd float32) { normalizeBiasGo(y, x, w, b, mean, rstd) }

func normGradSums(dy, x, w []float32, mean float32) (a, b float32) {
	return normGradSumsGo(dy, x, w, mean)
}

func normGrad(dx, dy, x, w []float32, mean, rstd, flat, along float32) {
	normGradGo(dx, dy, x, w, mean, rstd, flat, along)
}

func normGradAdd(dx, dy, x, w []float32, mean, rstd, flat, along float32) {
	normGradAddGo(dx, dy, x, w, mean, rstd, flat, along)
}

func normGradScale(dw, dy, x []float32, mean, rstd float32) { normGradScaleGo(dw, dy, x, mean, rstd) }

func normGradScaleBias(dw, db, dy, x []float32, mean, rstd float32) {
	normGradScaleBiasGo(dw, db, dy, x, mean, rstd)
}

func adamW(w, m, v, g []float32, gradScale, beta1, rest1, beta2, rest2, keep, step, root, eps float32) {
	adamWGo(w, m, v, g, gradScale, beta1, rest1, beta2, rest2, keep, step, root, eps)
}
