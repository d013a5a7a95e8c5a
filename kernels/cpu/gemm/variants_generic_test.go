//go:build !amd64 || noasm

package gemm

func variants() []variant { return tiers() }
