package kerneltest

import "math"

// unit is half an ulp of 1 in float32, bf16Unit in BF16.
const (
	unit     = 0x1p-24
	bf16Unit = 0x1p-8
)

// A num is a number and a bound on the error of its evaluation in float32. The package comment gives the rules.
type num struct{ v, e float64 }

func exact(v float64) num { return num{v: v} }

// rounded adds n units of the result to its error.
func rounded(v, e, n float64) num {
	if math.IsInf(v, 0) {
		return num{v: v}
	}
	return num{v, e + n*unit*math.Abs(v)}
}

func (a num) plus(b num) num       { return rounded(a.v+b.v, a.e+b.e, 1) }
func (a num) minus(b num) num      { return rounded(a.v-b.v, a.e+b.e, 1) }
func (a num) times(b num) num      { return rounded(a.v*b.v, slip(a, b), 1) }
func (a num) scaled(c float64) num { return a.times(exact(c)) }
func (a num) negated() num         { return num{-a.v, a.e} }

// slip is what errors of factors do to a product.
func slip(a, b num) float64 { return math.Abs(a.v)*b.e + math.Abs(b.v)*a.e + a.e*b.e }

func (a num) over(b num) num {
	q := a.v / b.v
	return rounded(q, (a.e+math.Abs(q)*b.e)/math.Max(math.Abs(b.v)-b.e, math.SmallestNonzeroFloat64), 3)
}

// through is f(a) for a monotone f.
func (a num) through(f func(float64) float64) num {
	v := f(a.v)
	if a.e == 0 || math.IsInf(a.v, 0) {
		return num{v: v}
	}
	return num{v, math.Max(math.Abs(f(a.v+a.e)-v), math.Abs(f(a.v-a.e)-v))}
}

func (a num) root() num {
	r := a.through(func(x float64) float64 { return math.Sqrt(math.Max(x, 0)) })
	return rounded(r.v, r.e, 3)
}

func (a num) exp() num {
	if math.IsInf(a.v, -1) {
		return num{}
	}
	r := a.through(math.Exp)
	return rounded(r.v, r.e, 4+2*math.Abs(a.v))
}

func (a num) log() num {
	r := a.through(func(x float64) float64 { return math.Log(math.Max(x, math.SmallestNonzeroFloat64)) })
	return rounded(r.v, r.e+4*unit, 4)
}

// bounded is f(a) for a monotone f into [-1, 1].
func (a num) bounded(f func(float64) float64) num {
	r := a.through(f)
	return num{r.v, r.e + 8*unit}
}

func (a num) tanh() num  { return a.bounded(math.Tanh) }
func (a num) erf() num   { return a.bounded(math.Erf) }
func (a num) sigma() num { return a.bounded(logistic) }

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// halved allows for one rounding to BF16 in between, if half.
func (a num) halved(half bool) num {
	if half {
		a.e += bf16Unit * (math.Abs(a.v) + a.e)
	}
	return a
}

// A sum is Σ of many terms, in any order.
type sum struct {
	v, abs, e float64
	n         int
}

func (s *sum) add(a num) {
	s.v += a.v
	s.abs += math.Abs(a.v)
	s.e += a.e
	s.n++
}

func (s *sum) addProduct(a, b num) {
	p := a.v * b.v
	s.v += p
	s.abs += math.Abs(p)
	s.e += slip(a, b)
	s.n++
}

func (s *sum) total() num {
	n := float64(s.n)
	return num{s.v, s.e + math.Min(n, 6*math.Sqrt(n))*unit*s.abs}
}

// A mat is a matrix of nums.
type mat struct {
	rows, cols int
	v          []num
}

func newMat(rows, cols int) mat { return mat{rows, cols, make([]num, rows*cols)} }

func (m mat) row(i int) []num  { return m.v[i*m.cols : (i+1)*m.cols] }
func (m mat) at(i, j int) *num { return &m.v[i*m.cols+j] }
func (m mat) empty() bool      { return m.v == nil }
func (m mat) columns(lo, hi int) mat {
	c := newMat(m.rows, hi-lo)
	for i := range m.rows {
		copy(c.row(i), m.row(i)[lo:hi])
	}
	return c
}

func (m mat) transposed() mat {
	t := newMat(m.cols, m.rows)
	for i := range m.rows {
		for j, x := range m.row(i) {
			*t.at(j, i) = x
		}
	}
	return t
}

// each is f of every element of matrices of one shape.
func each(f func(x ...num) num, ms ...mat) mat {
	r := newMat(ms[0].rows, ms[0].cols)
	x := make([]num, len(ms))
	for i := range r.v {
		for j, m := range ms {
			x[j] = m.v[i]
		}
		r.v[i] = f(x...)
	}
	return r
}

// plus adds a matrix that may be empty.
func (m mat) plus(n mat) mat {
	if n.empty() {
		return m
	}
	return each(func(x ...num) num { return x[0].plus(x[1]) }, m, n)
}

// product is x·yᵀ: element (i, j) is the dot product of two rows.
func product(x, y mat) mat {
	r := newMat(x.rows, y.rows)
	for i := range x.rows {
		for j := range y.rows {
			*r.at(i, j) = dot(x.row(i), y.row(j))
		}
	}
	return r
}

func dot(x, y []num) num {
	var s sum
	for k := range x {
		s.addProduct(x[k], y[k])
	}
	return s.total()
}
