package data

import "math/bits"

// A Permutation is a shuffled order of the numbers below N that is computed,
// not stored: a Feistel network of four rounds over the next even power of
// two, walked along its cycle until it lands below N (Black and Rogaway,
// "Ciphers with arbitrary finite domains", 2002).
type Permutation struct {
	n    uint64
	half uint // bits of each half
	key  [4]uint64
}

// Permute makes the order of 0..n-1 that belongs to a key.
func Permute(n, key uint64) Permutation {
	p := Permutation{n: n, half: max(1, uint(bits.Len64(max(n, 1)-1)+1)/2)}
	for round := range p.key {
		p.key[round] = mix(key + uint64(round)*0x9e3779b97f4a7c15)
	}
	return p
}

// At is the number in place i; i must be below N.
func (p Permutation) At(i uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	for {
		left, right := i>>p.half, i&mask
		for _, key := range p.key {
			left, right = right, left^mix(right^key)&mask
		}
		if i = left<<p.half | right; i < p.n {
			return i
		}
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection
// in which every input bit reaches every output bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// epochKey is the randomness of one epoch: pass draws independent values from it.
func epochKey(seed, epoch, pass uint64) uint64 {
	return mix(mix(mix(seed+0x9e3779b97f4a7c15)^epoch) + pass*0xd1342543de82ef95)
}
