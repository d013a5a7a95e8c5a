package interp

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// run computes the block.
func (m *mmaBlock) run() {
	if hasAVX2 {
		mmaBlockAVX2(m)
		return
	}
	m.runPortable()
}

//go:noescape
func mmaBlockAVX2(m *mmaBlock)
