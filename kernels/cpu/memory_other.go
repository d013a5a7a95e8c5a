//go:build !linux

package cpu

import "unsafe"

// mapMemory is a Go slice, aligned to a cache line; the garbage collector returns it.
func mapMemory(size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	mem := make([]byte, size+cacheLine)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (cacheLine - 1)
	return mem[skip : skip+size : skip+size], nil
}

func unmapMemory([]byte) {}

func physicalMemory() int { return 0 }

func processorName() string { return fallbackName }
