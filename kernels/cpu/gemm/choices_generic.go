//go:build !amd64 || noasm

package gemm

import "forja/kernels/cpu/tier"

var choices = [...]*kernel{tier.Portable: &portable}
