package cpu

// philox is Philox4x32-10, the counter-based random number generator of Salmon et al. 2011: four independent words for
// each counter under a key.
func philox(c0, c1, c2, c3, key0, key1 uint32) (w0, w1, w2, w3 uint32) {
	const (
		multiplier0, multiplier1 = 0xd2511f53, 0xcd9e8d57
		weyl0, weyl1             = 0x9e3779b9, 0xbb67ae85
		rounds                   = 10
	)
	for range rounds {
		p0, p1 := uint64(c0)*multiplier0, uint64(c2)*multiplier1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^key0, uint32(p1), uint32(p0>>32)^c3^key1, uint32(p0)
		key0 += weyl0
		key1 += weyl1
	}
	return c0, c1, c2, c3
}
