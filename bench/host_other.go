//go:build !linux

package bench

import "time"

func pages[E float32 | uint64](n int) ([]E, error) { return make([]E, max(1, n)), nil }
func release[E float32 | uint64]([]E)              {}

// processorTime is unknown.
func processorTime() time.Duration { return 0 }
