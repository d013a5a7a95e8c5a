//go:build !noasm

package par

// pause tells the processor that this is a wait loop.
func pause()
