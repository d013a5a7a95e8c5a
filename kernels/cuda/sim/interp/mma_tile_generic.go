//go:build !amd64

package interp

// run computes the block.
func (m *mmaBlock) run() { m.runPortable() }
