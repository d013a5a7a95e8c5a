package interp

// blockExt and warpExt hold what asynchronous copies and products keep per block and warp.
type blockExt struct{}

type warpExt struct{}

// finish is called when the last lane of a warp has ended.
func (w *warp) finish() {}
