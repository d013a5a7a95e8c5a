//go:build !linux || !(amd64 || arm64) || noopenblas

package bench

import "errors"

// openBLAS is never there in this build.
type openBLAS struct {
	path, core, config string
	threads            int
}

func openPeer(int) (*openBLAS, error) {
	return nil, errors.New("this build cannot load it")
}

func (*openBLAS) memory(int) ([]float32, error)                      { return nil, nil }
func (*openBLAS) release([]float32)                                  {}
func (*openBLAS) multiply(_, _ bool, _, _, _ int, _, _, _ []float32) {}
