package vec

import "math"

// Sum is Σ x, in lanes (see the package comment); 0 for no elements.
func Sum(x []float32) float32 { return sum(x) }

func sumGo(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s2) + (s1 + s3)
}

// SumSquares is Σ x², in lanes.
func SumSquares(x []float32) float32 { return dot(x, x) }

// Dot is Σ x·y, in lanes; x sets the length.
func Dot(x, y []float32) float32 { return dot(x, y[:len(x)]) }

func dotGo(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
	}
	for i, v := range x {
		s0 += v * y[i]
	}
	return (s0 + s2) + (s1 + s3)
}

// Max is the largest element: NaN if there is one, −Inf for no elements. Which zero is returned when both are largest is
// unspecified.
func Max(x []float32) float32 { return maximum(x) }

func maximumGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		} else if v != v {
			return v
		}
	}
	return m
}

// ArgMax is the lowest index of the largest element, or of the first NaN if there is one, so that a broken row is not
// passed over in silence. It is -1 for no elements.
func ArgMax(x []float32) int {
	if len(x) == 0 {
		return -1
	}
	m := maximum(x)
	if m == m {
		return index(x, m)
	}
	for i, v := range x {
		if v != v {
			return i
		}
	}
	return -1
}

// indexGo is the lowest i with x[i] == v, or len(x).
func indexGo(x []float32, v float32) int {
	for i, u := range x {
		if u == v {
			return i
		}
	}
	return len(x)
}
