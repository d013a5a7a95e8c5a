package cpu

// philox is Philox4x32-10, the counter-based random number generator of Salmon et al. 2011: four independent words for
// each counter under a key.
func philox(c0, c1, c2, c3 uint32, key *[10][2]uint32) (w0, w1, w2, w3 uint32) {
	const multiplier0, multiplier1 = 0xd2511f53, 0xcd9e8d57
	for _, k := range key {
		p0, p1 := uint64(c0)*multiplier0, uint64(c2)*multiplier1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k[0], uint32(p1), uint32(p0>>32)^c3^k[1], uint32(p0)
	}
	return c0, c1, c2, c3
}

// philoxKeys are the keys of the ten rounds: a Weyl sequence.
func philoxKeys(key [2]uint32) (keys [10][2]uint32) {
	const weyl0, weyl1 = 0x9e3779b9, 0xbb67ae85
	for i := range keys {
		keys[i] = key
		key[0] += weyl0
		key[1] += weyl1
	}
	return keys
}

// philoxRow sets words[j] to the first word at the counter (c0, c1, c2, c3+j).
func philoxRow(words []uint32, c0, c1, c2, c3 uint32, key *[10][2]uint32) {
	done := philoxVector(words, c0, c1, c2, c3, key)
	for j := done; j < len(words); j++ {
		words[j], _, _, _ = philox(c0, c1, c2, c3+uint32(j), key)
	}
}
