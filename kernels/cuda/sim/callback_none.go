//go:build nocuda || !((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package sim

const supported = false

func callback(any) uintptr { return 0 }
