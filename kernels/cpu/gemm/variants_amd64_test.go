//go:build !noasm

package gemm

import "forja/kernels/cpu/tier"

// variants adds to the tiers the kernel for pairs of bfloat16, which this processor may pass over for speed.
func variants() []variant {
	vs := tiers()
	if tier.Hardware() >= tier.AVX512BF16 {
		for _, pairs := range []bool{false, true} {
			if pairs != pairsAreFaster {
				vs = append(vs, variant{"the other kernel for bfloat16", func() func() {
					old := pairsAreFaster
					pairsAreFaster = pairs
					return func() { pairsAreFaster = old }
				}})
			}
		}
	}
	return vs
}
