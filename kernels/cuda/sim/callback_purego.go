//go:build !nocuda && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package sim

import "github.com/ebitengine/purego"

const supported = true

func callback(f any) uintptr { return purego.NewCallback(f) }
