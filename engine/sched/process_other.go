//go:build !unix

package sched

import (
	"errors"
	"time"
)

// OS starts real processes; it needs a Unix.
type OS struct{ Watch time.Duration }

// Start reports that children need a Unix.
func (OS) Start(Command) (Process, error) {
	return nil, errors.New("stages and jobs run as child processes, which needs a Unix (on Windows: WSL)")
}

// Find finds nothing.
func (OS) Find(ProcessID, string) (Process, bool) { return nil, false }
