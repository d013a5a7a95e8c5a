package bench

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages is zeroed memory for n elements, in large pages where the system has them, as forja's own operands are. The
// garbage collector does not own it: it goes back with release.
func pages[E float32 | uint64](n int) ([]E, error) {
	size := max(1, n) * int(unsafe.Sizeof(E(0)))
	bytes, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	_ = unix.Madvise(bytes, unix.MADV_HUGEPAGE) // advice
	return unsafe.Slice((*E)(unsafe.Pointer(&bytes[0])), max(1, n)), nil
}

func release[E float32 | uint64](x []E) {
	if len(x) > 0 {
		_ = unix.Munmap(bytesOf(x)) // cannot fail for what Mmap returned
	}
}

// processorTime is what all threads of this process have used.
func processorTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
