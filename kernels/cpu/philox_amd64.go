//go:build !noasm

package cpu

import "forja/kernels/cpu/tier"

// philoxVector does as much of philoxRow as fills vectors and returns how much that is.
func philoxVector(words []uint32, c0, c1, c2, c3 uint32, key *[10][2]uint32) int {
	n := len(words) &^ 7
	if n == 0 || tier.Current() < tier.AVX2 {
		return 0
	}
	philoxAVX2(&words[0], n, c0, c1, c2, c3, key)
	return n
}

// philoxAVX2 is philoxRow for a positive multiple of 8 words.
//
//go:noescape
func philoxAVX2(words *uint32, n int, c0, c1, c2, c3 uint32, key *[10][2]uint32)
