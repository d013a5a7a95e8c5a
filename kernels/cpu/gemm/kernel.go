package gemm

import "unsafe"

// A kernel is a micro-kernel with the packing it wants and the tiles that suit it.
//
// A panel of A is mr rows wide, one of B nr columns, both [unit of k][width]. A unit is 4 bytes: one float32, or two
// bfloat16 of neighbouring k, the lower k in the lower half.
type kernel struct {
	mr, nr       int
	step         int // multiply takes any multiple of step rows, up to mr
	perUnit      int // values of k in a packed unit
	passK        int // units of k summed in registers before they are added to C
	tileM, tileN int // of C, for one worker at a time
	fewRows      int // of A, up to which NT products are not packed

	// pack writes one panel of the given width from lanes <= width rows or columns of o, beginning at x, and k values of
	// k, beginning at k0. Lanes beyond hold anything; an odd k is completed by zero.
	pack func(dst unsafe.Pointer, o operand, x, k0, lanes, k, width int)

	// multiply is C = alpha·A·B over n units for the first rows rows of a panel of A, plus C if add.
	multiply func(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool, rows int)
}
