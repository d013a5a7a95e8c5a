package vfs

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrNoSpace is what errors.Is finds in every error that means a full disk or an exhausted quota.
var ErrNoSpace error = syscall.ENOSPC

// NoSpaceError says which file did not fit and how much room there was.
type NoSpaceError struct {
	Op, Path string
	Need     int64 // bytes wanted; 0 if unknown
	Free     int64 // bytes free after the failure; -1 if unknown
	Err      error // ENOSPC or EDQUOT
}

func (e *NoSpaceError) Error() string {
	s := fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
	if e.Need > 0 {
		s += ": needs " + formatBytes(e.Need)
	}
	if e.Free >= 0 {
		s += fmt.Sprintf(": %s free", formatBytes(e.Free))
	}
	return s + ": make room or write to another disk"
}

func (e *NoSpaceError) Unwrap() error { return e.Err }

// Is reports a quota, too, as [ErrNoSpace].
func (e *NoSpaceError) Is(target error) bool { return target == ErrNoSpace }

// CheckRoom returns a [*NoSpaceError] if fewer than need bytes are free for what will be written at name. A file system that
// cannot tell passes.
func CheckRoom(fsys FS, name string, need int64) error {
	if free, err := fsys.Free(); err == nil && free < need {
		return &NoSpaceError{Op: "reserve", Path: fsys.Path(name), Need: need, Free: free, Err: syscall.ENOSPC}
	}
	return nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// formatBytes writes a size with three digits and a decimal unit.
func formatBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 1000 && unit < 5 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %cB", v, "kMGTPE"[unit])
}
