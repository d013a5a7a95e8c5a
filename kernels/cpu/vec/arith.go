package vec

// Fill sets every element of y to a.
func Fill(y []float32, a float32) { fill(y, a) }

func fillGo(y []float32, a float32) {
	for i := range y {
		y[i] = a
	}
}

// Add computes z = x + y.
func Add(z, x, y []float32) { add(z, x[:len(z)], y[:len(z)]) }

func addGo(z, x, y []float32) {
	for i := range z {
		z[i] = x[i] + y[i]
	}
}

// Sub computes z = x − y.
func Sub(z, x, y []float32) { sub(z, x[:len(z)], y[:len(z)]) }

func subGo(z, x, y []float32) {
	for i := range z {
		z[i] = x[i] - y[i]
	}
}

// Mul computes z = x·y, element by element.
func Mul(z, x, y []float32) { mul(z, x[:len(z)], y[:len(z)]) }

func mulGo(z, x, y []float32) {
	for i := range z {
		z[i] = x[i] * y[i]
	}
}

// MulAdd computes z += x·y, element by element.
func MulAdd(z, x, y []float32) { mulAdd(z, x[:len(z)], y[:len(z)]) }

func mulAddGo(z, x, y []float32) {
	for i := range z {
		z[i] += x[i] * y[i]
	}
}

// Scale computes y = a·x.
func Scale(y []float32, a float32, x []float32) { scale(y, a, x[:len(y)]) }

func scaleGo(y []float32, a float32, x []float32) {
	for i := range y {
		y[i] = a * x[i]
	}
}

// Axpy computes y += a·x.
func Axpy(y []float32, a float32, x []float32) { addScaled(y, y, a, x[:len(y)]) }

// AddScaled computes z = x + a·y.
func AddScaled(z, x []float32, a float32, y []float32) { addScaled(z, x[:len(z)], a, y[:len(z)]) }

func addScaledGo(z, x []float32, a float32, y []float32) {
	for i := range z {
		z[i] = x[i] + a*y[i]
	}
}

// Rotate turns the pairs (x1, x2) by the angles whose cosines and sines are given, as rotary position embeddings do to
// the two halves of a head: y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin. (y1, y2) may be (x1, x2).
func Rotate(y1, y2, x1, x2, cos, sin []float32) {
	n := len(y1)
	rotate(y1, y2[:n], x1[:n], x2[:n], cos[:n], sin[:n])
}

func rotateGo(y1, y2, x1, x2, cos, sin []float32) {
	for i := range y1 {
		a, b, c, s := x1[i], x2[i], cos[i], sin[i]
		y1[i] = a*c - b*s
		y2[i] = b*c + a*s
	}
}

// RotateBack turns by the opposite angles, which is the inverse and the gradient of Rotate.
func RotateBack(y1, y2, x1, x2, cos, sin []float32) {
	n := len(y1)
	rotateBack(y1, y2[:n], x1[:n], x2[:n], cos[:n], sin[:n])
}

func rotateBackGo(y1, y2, x1, x2, cos, sin []float32) {
	for i := range y1 {
		a, b, c, s := x1[i], x2[i], cos[i], sin[i]
		y1[i] = a*c + b*s
		y2[i] = b*c - a*s
	}
}
