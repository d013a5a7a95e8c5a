//go:build !unix

package main

import "time"

var started = time.Now()

// processorTime is the time since the start: the system tells nothing better.
func processorTime() time.Duration { return time.Since(started) }
