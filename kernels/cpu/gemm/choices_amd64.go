//go:build amd64 && !noasm

package gemm

import "forja/kernels/cpu/tier"

var choices = [...]*kernel{
	tier.Portable: &portable, tier.AVX2: &portable, tier.AVX512: &portable, tier.AVX512BF16: &portable,
}
