//go:build nocuda || !linux || !(amd64 || arm64)

package driver

import "errors"

// System fails: NVIDIA devices are opened on Linux.
func System() (Resolve, error) {
	if !Supported {
		return nil, errUnsupported
	}
	return nil, errors.Join(ErrNoDriver, errors.New("NVIDIA devices are opened on Linux only"))
}

// KeepSignals runs f.
func KeepSignals(f func() error) error { return f() }
