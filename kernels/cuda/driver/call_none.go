//go:build nocuda || !((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package driver

import "errors"

// Supported says whether this program can call a CUDA driver, simulated or not.
const Supported = false

var errUnsupported = errors.New("this program was built without CUDA (tag nocuda, or a platform without it): use --device cpu")

func invoke(uintptr, ...uintptr) uintptr { return uintptr(NotSupported) }
