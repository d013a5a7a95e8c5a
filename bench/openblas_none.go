//go:build !linux || !(amd64 || arm64) || noopenblas || nocuda

package bench

import "errors"

// openBLAS is never there in this build.
type openBLAS struct{ Peer }

func openPeer(int) (*openBLAS, error) {
	return nil, errors.New("this build cannot load it")
}

func (*openBLAS) multiply(_, _ bool, _, _, _ int, _, _, _ []float32) {}
