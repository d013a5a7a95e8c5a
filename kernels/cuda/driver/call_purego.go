//go:build !nocuda && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package driver

import "github.com/ebitengine/purego"

// Supported says whether this program can call a CUDA driver, simulated or not.
const Supported = true

var errUnsupported error

// invoke calls a C function of integers and pointers. Pointers converted in the call's arguments stay valid until it
// returns; an argument slice that is reused makes no garbage.
//
//go:uintptrescapes
func invoke(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}
