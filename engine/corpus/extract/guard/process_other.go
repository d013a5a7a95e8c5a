//go:build !linux

package guard

import (
	"os"
	"time"
)

var started = time.Now()

// processorTime is by the clock, which is never less.
func processorTime() time.Duration { return time.Since(started) }

// limitProcess has nothing to do where the system has no such limits: the watch holds.
func limitProcess(int64) {}

func peak(*os.ProcessState) int64 { return 0 }
