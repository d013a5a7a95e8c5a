package kernels

import (
	"errors"
	"fmt"
)

// Check validates the arguments of the operations that call makes: shapes, dtypes, bounds of buffers and aliasing.
// Nothing is executed. It returns the first error.
func Check(call func(Backend)) error {
	c := &checker{}
	call(c)
	return c.err
}

// A checker is a Backend that launches nothing. Its operations are in check_ops.go, in the order of the interface.
type checker struct {
	op  string
	err error
}

var errDry = errors.New("kernels.Check has no memory")

func (*checker) Info() Info                { return Info{Kind: "check"} }
func (*checker) Alloc(int) (Buffer, error) { return nil, errDry }
func (*checker) Free(Buffer)               {}
func (*checker) Usage() Usage              { return Usage{} }
func (c *checker) Sync() error             { return c.err }
func (*checker) Close() error              { return nil }
func (c *checker) Upload(t Tensor, b []byte) {
	c.begin("Upload")
	c.present("dst", t)
	c.that(len(b) == t.Size()*t.DType.Size(), "host bytes are %d, want %d", len(b), t.Size()*t.DType.Size())
}
func (c *checker) Download(b []byte, t Tensor) {
	c.begin("Download")
	c.present("src", t)
	c.that(len(b) == t.Size()*t.DType.Size(), "host bytes are %d, want %d", len(b), t.Size()*t.DType.Size())
}

func (c *checker) begin(op string) { c.op = op }

// that records an error unless ok.
func (c *checker) that(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf("%s: %s", c.op, fmt.Sprintf(format, args...))
	}
}

// present checks that t exists, has a sane shape and lies within its buffer.
func (c *checker) present(name string, t Tensor) {
	if t.Nil() {
		c.that(false, "%s is missing", name)
		return
	}
	size := t.Size()
	c.that(size >= 0, "%s has shape %v", name, t.Shape)
	if size <= 0 {
		return
	}
	c.that(t.Stride >= t.Cols() || t.Rows() == 1, "%s %v has rows %d apart", name, t.Shape, t.Stride)
	lo, hi := t.span()
	c.that(t.Off >= 0 && lo >= 0 && hi <= t.Buf.Size(), "%s %v lies at bytes [%d,%d) of a buffer of %d", name, t.Shape, lo, hi,
		t.Buf.Size())
}

// arg checks presence, dtype and matrix view. A negative extent is not checked.
func (c *checker) arg(name string, t Tensor, rows, cols int, types ...DType) {
	c.present(name, t)
	if t.Nil() {
		return
	}
	ok := false
	for _, d := range types {
		ok = ok || t.DType == d
	}
	c.that(ok, "%s is %v, want %v", name, t.DType, types)
	c.that((rows < 0 || t.Rows() == rows) && (cols < 0 || t.Cols() == cols),
		"%s has shape %v, want (%s,%s)", name, t.Shape, extent(rows), extent(cols))
}

func extent(n int) string {
	if n < 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

// float is arg for a float tensor, opt for one that may be absent.
func (c *checker) float(name string, t Tensor, rows, cols int) { c.arg(name, t, rows, cols, F32, BF16) }
func (c *checker) f32(name string, t Tensor, rows, cols int)   { c.arg(name, t, rows, cols, F32) }
func (c *checker) i32(name string, t Tensor, rows, cols int)   { c.arg(name, t, rows, cols, I32) }

// vec checks a vector of n elements, whatever its axes.
func (c *checker) vec(name string, t Tensor, n int, types ...DType) {
	c.arg(name, t, -1, -1, types...)
	if !t.Nil() {
		c.that(t.Size() == n, "%s has %d elements, want %d", name, t.Size(), n)
		c.that(t.Dense(), "%s is not dense", name)
	}
}

// sole checks that outputs overlap neither each other nor the inputs. Each input of inPlace may be exactly an output.
func (c *checker) sole(outs, inPlace []Tensor, ins ...Tensor) {
	for i, o := range outs {
		for _, p := range outs[i+1:] {
			c.that(!o.Overlaps(p), "two outputs overlap")
		}
		for _, in := range inPlace {
			c.that(!o.Overlaps(in) || o.Same(in), "an output overlaps an input")
		}
		for _, in := range ins {
			c.that(!o.Overlaps(in), "an output overlaps an input")
		}
	}
}
