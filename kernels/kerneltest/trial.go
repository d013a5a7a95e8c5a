package kerneltest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"forja/kernels"
)

// A trial is one use of an operation: its operands, the call, and what must have come of it.
type trial struct {
	rng    *rand.Rand
	stores []*store
	all    []*operand
	claims []claim
	call   func(kernels.Backend)
	after  func() error // more conditions on the operands' new content, may be nil
}

// A store is device memory and what it holds before and after the call.
type store struct {
	before, after []byte
	buf           kernels.Buffer
}

// An operand is a view of a store. t has its buffer while the trial runs.
type operand struct {
	t  kernels.Tensor
	at *store
}

// A claim is what an output must hold; without want the operation may leave anything there.
type claim struct {
	o     *operand
	want  func() mat
	exact bool
}

// none is an absent operand.
var none = &operand{}

// gap is what memory holds that must not be read: NaN in both float types, a negative index.
const gap = 0xff

// blank is an operand full of gaps, of a shape like kernels.New, with pad elements between its rows.
func (tr *trial) blank(d kernels.DType, pad int, shape ...int) *operand {
	const behind = 64 // a vector store too many, or most of a tile's row
	t := kernels.New(nil, d, shape...)
	t.Stride += pad
	t.Off = 1 + tr.rng.IntN(20)
	t.Off += tr.rng.IntN(2) * (16 - t.Off%16) // aligned as often as not
	s := &store{before: bytes.Repeat([]byte{gap}, (t.Off+t.Rows()*t.Stride+behind)*d.Size())}
	tr.stores = append(tr.stores, s)
	return tr.view(s, t)
}

func (tr *trial) view(s *store, t kernels.Tensor) *operand {
	o := &operand{t, s}
	tr.all = append(tr.all, o)
	return o
}

// pad is a random distance between rows: none, little, or what a column range of a wider matrix has.
func (tr *trial) pad() int {
	return []int{0, 1 + tr.rng.IntN(5), 16, 24 + tr.rng.IntN(40)}[tr.rng.IntN(4)]
}

// columns is a column range and rows a row range of an operand.
func (tr *trial) columns(o *operand, lo, hi int) *operand { return tr.view(o.at, o.t.Columns(lo, hi)) }
func (tr *trial) rows(o *operand, lo, hi int) *operand    { return tr.view(o.at, o.t.RowRange(lo, hi)) }

// bits is an operand's bytes.
func (tr *trial) bits(o *operand) *operand {
	t, size := o.t, o.t.DType.Size()
	t.Off, t.Stride, t.DType, t.Shape = t.Off*size, t.Stride*size, kernels.U8, kernels.Shape{t.Rows(), t.Cols() * size}
	return tr.view(o.at, t)
}

// output is a blank operand with gaps between rows, normal one of standard normal numbers.
func (tr *trial) output(d kernels.DType, shape ...int) *operand {
	return tr.blank(d, tr.pad(), shape...)
}
func (tr *trial) normal(d kernels.DType, shape ...int) *operand {
	return tr.output(d, shape...).set(func(int) float64 { return tr.rng.NormFloat64() })
}

// outVector and vector are dense.
func (tr *trial) outVector(d kernels.DType, shape ...int) *operand { return tr.blank(d, 0, shape...) }
func (tr *trial) vector(d kernels.DType, shape ...int) *operand {
	return tr.outVector(d, shape...).set(func(int) float64 { return tr.rng.NormFloat64() })
}

// ints is a dense I32 vector.
func (tr *trial) ints(values ...int32) *operand {
	return tr.blank(kernels.I32, 0, len(values)).set(func(i int) float64 { return float64(values[i]) })
}

// indices are n numbers below limit, every fourth or so -1 if holes.
func (tr *trial) indices(n, limit int, holes bool) *operand {
	return tr.blank(kernels.I32, 0, n).set(func(int) float64 {
		if holes && tr.rng.IntN(4) == 0 {
			return -1
		}
		return float64(tr.rng.IntN(limit))
	})
}

// element is the position of element i of the matrix view, in bytes; line that of row i.
func (o *operand) element(i int) int {
	return o.line(i/o.t.Cols()) + i%o.t.Cols()*o.t.DType.Size()
}
func (o *operand) line(i int) int { return (o.t.Off + i*o.t.Stride) * o.t.DType.Size() }

// set makes element i, counted along the rows, the number nearest to f(i) in the operand's dtype.
func (o *operand) set(f func(i int) float64) *operand {
	for i := range o.t.Size() {
		encode(o.at.before[o.element(i):], o.t.DType, f(i))
	}
	return o
}

// values is the matrix view before the call; get and got are single elements before and after it.
func (o *operand) values() mat {
	if o.at == nil {
		return mat{}
	}
	m := newMat(o.t.Rows(), o.t.Cols())
	for i := range m.v {
		m.v[i] = exact(o.get(i))
	}
	return m
}
func (o *operand) get(i int) float64 { return decode(o.at.before[o.element(i):], o.t.DType) }
func (o *operand) got(i int) float64 { return decode(o.at.after[o.element(i):], o.t.DType) }
func (o *operand) half() bool        { return o.t.DType == kernels.BF16 }

// scalars is a vector's content before the call.
func (o *operand) scalars() []float64 {
	x := make([]float64, o.t.Size())
	for i := range x {
		x[i] = o.get(i)
	}
	return x
}

// encode stores the number nearest to v, ties to even.
func encode(b []byte, d kernels.DType, v float64) {
	switch d {
	case kernels.F32:
		binary.NativeEndian.PutUint32(b, math.Float32bits(float32(v)))
	case kernels.BF16:
		binary.NativeEndian.PutUint16(b, uint16(math.Float32bits(float32(toBF16(v)))>>16))
	case kernels.I32:
		binary.NativeEndian.PutUint32(b, uint32(int32(v)))
	default:
		b[0] = byte(v)
	}
}

func decode(b []byte, d kernels.DType) float64 {
	switch d {
	case kernels.F32:
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(b)))
	case kernels.BF16:
		return float64(math.Float32frombits(uint32(binary.NativeEndian.Uint16(b)) << 16))
	case kernels.F16:
		return fromF16(binary.NativeEndian.Uint16(b))
	case kernels.I32:
		return float64(int32(binary.NativeEndian.Uint32(b)))
	}
	return float64(b[0])
}

// toBF16 is the BF16 number nearest to v: a multiple of 2^(exponent - 7), and of 2⁻¹³³ below 2⁻¹²⁶.
func toBF16(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	ulp := math.Ldexp(1, max(math.Ilogb(v), -126)-7)
	r := math.RoundToEven(v/ulp) * ulp
	if math.Abs(r) >= 0x1p128 {
		return math.Copysign(math.Inf(1), v)
	}
	return math.Copysign(r, v)
}

// fromF16 is the value of an IEEE 754 binary16.
func fromF16(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(1+fraction/1024, exponent-15)
	switch {
	case exponent == 0:
		v = math.Ldexp(fraction/1024, -14)
	case exponent == 31 && fraction == 0:
		v = math.Inf(1)
	case exponent == 31:
		v = math.NaN()
	}
	return math.Copysign(v, 1-2*float64(h>>15))
}

// want claims that an output holds a matrix, within its errors and half an ulp; exactly, that it holds its rounding.
func (tr *trial) want(o *operand, f func() mat) { tr.claims = append(tr.claims, claim{o: o, want: f}) }
func (tr *trial) exactly(o *operand, f func() mat) {
	tr.claims = append(tr.claims, claim{o: o, want: f, exact: true})
}

// free lets the operation leave anything in an operand: working memory.
func (tr *trial) free(o *operand) *operand {
	tr.claims = append(tr.claims, claim{o: o})
	return o
}

// run executes the call on a backend, and downloads all memory.
func (tr *trial) run(b kernels.Backend) (err error) {
	for _, s := range tr.stores {
		if s.buf, err = b.Alloc(len(s.before)); err != nil {
			return err
		}
		defer b.Free(s.buf)
		b.Upload(kernels.New(s.buf, kernels.U8, len(s.before)), s.before)
	}
	for _, o := range tr.all {
		o.t.Buf = o.at.buf
	}
	if err := kernels.Check(tr.call); err != nil {
		return fmt.Errorf("kernels.Check refuses a good call: %w", err)
	}
	tr.call(b)
	for _, s := range tr.stores {
		s.after = make([]byte, len(s.before))
		b.Download(s.after, kernels.New(s.buf, kernels.U8, len(s.before)))
	}
	return b.Sync()
}

// verify compares what the stores hold with the claims.
func (tr *trial) verify() error {
	for _, c := range tr.claims {
		if c.want != nil {
			if err := c.verify(tr.name(c.o)); err != nil {
				return err
			}
		}
	}
	for i, s := range tr.stores {
		if k := firstDifference(tr.untouched(s, s.before), tr.untouched(s, s.after)); k >= 0 {
			return fmt.Errorf("byte %d of operand %d, which is no output's, was written", k, i)
		}
	}
	if tr.after != nil {
		return tr.after()
	}
	return nil
}

// name is how messages call an operand: its number in order of creation, and its view.
func (tr *trial) name(o *operand) string {
	for i, s := range tr.stores {
		if s == o.at {
			return fmt.Sprintf("operand %d, %v %v", i, o.t.DType, o.t.Shape)
		}
	}
	return "?"
}

// untouched is a copy of a store's content in which everything that may change is zero.
func (tr *trial) untouched(s *store, content []byte) []byte {
	c := bytes.Clone(content)
	for _, claim := range tr.claims {
		if o := claim.o; o.at == s {
			width := o.t.Cols() * o.t.DType.Size()
			for i := range o.t.Rows() {
				clear(c[o.line(i):][:width])
			}
		}
	}
	return c
}

// result is what a trial has computed: everything but working memory.
func (tr *trial) result() []byte {
	var all []byte
	for _, s := range tr.stores {
		c := bytes.Clone(s.after)
		for _, claim := range tr.claims {
			if o := claim.o; o.at == s && claim.want == nil {
				for i := range o.t.Size() {
					clear(c[o.element(i):][:o.t.DType.Size()])
				}
			}
		}
		all = append(all, c...)
	}
	return all
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func (c claim) verify(name string) error {
	want := c.want()
	if want.rows*want.cols != c.o.t.Size() {
		return fmt.Errorf("%s: the oracle has shape (%d,%d)", name, want.rows, want.cols)
	}
	var wrong int
	var first strings.Builder
	for i, w := range want.v {
		got, limit := c.o.got(i), 0.0
		if c.exact {
			var b [4]byte
			encode(b[:], c.o.t.DType, w.v)
			w.v = decode(b[:], c.o.t.DType)
		} else {
			limit = w.e + halfULP(c.o.t.DType, math.Abs(w.v)+w.e) + 0x1p-126
		}
		if w.v == got || math.Abs(w.v-got) <= limit || math.IsNaN(w.v) && math.IsNaN(got) {
			continue
		}
		if wrong++; wrong == 1 {
			fmt.Fprintf(&first, "element (%d,%d) is %g, want %g ± %.3g", i/want.cols, i%want.cols, got, w.v, limit)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s: %s; %d of %d elements are wrong", name, &first, wrong, len(want.v))
	}
	return nil
}

// halfULP is half the distance of numbers of a dtype at magnitude v.
func halfULP(d kernels.DType, v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	if d == kernels.BF16 {
		return math.Ldexp(1, math.Ilogb(v)-8)
	}
	return math.Ldexp(1, math.Ilogb(v)-24)
}
