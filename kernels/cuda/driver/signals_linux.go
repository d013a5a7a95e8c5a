//go:build !nocuda && (amd64 || arm64)

package driver

import (
	"syscall"
	"unsafe"
)

// action is a kernel's sigaction, whatever its fields.
type action [64]byte

// KeepSignals runs f, which opens or initialises a C library, and afterwards gives back the signal handlers that the
// library replaced. Libraries such as MPI's install their own for SIGSEGV and others, which Go needs: it panics on the
// one and preempts goroutines by another. A handler that the program itself changes meanwhile, in another goroutine, is
// undone too.
func KeepSignals(f func() error) error {
	const signals = 64
	var before, after [signals + 1]action
	for s := 1; s <= signals; s++ {
		sigaction(s, nil, &before[s])
	}
	err := f()
	for s := 1; s <= signals; s++ {
		if sigaction(s, nil, &after[s]); after[s] != before[s] {
			sigaction(s, &before[s], nil)
		}
	}
	return err
}

func sigaction(signal int, act, old *action) {
	const setSize = 8 // bytes of the kernel's signal set
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(act)),
		uintptr(unsafe.Pointer(old)), setSize, 0, 0) // fails for SIGKILL and SIGSTOP, which nobody can change
}
