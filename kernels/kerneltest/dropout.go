package kerneltest

import (
	"fmt"
	"math/bits"

	"forja/kernels"
)

// philox is Philox4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	for round := range 10 {
		if round > 0 {
			key[0] += 0x9e3779b9 // the golden ratio
			key[1] += 0xbb67ae85 // √3 - 1
		}
		hi0, lo0 := bits.Mul32(0xd2511f53, counter[0])
		hi1, lo1 := bits.Mul32(0xcd9e8d57, counter[2])
		counter = [4]uint32{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
	}
	return counter
}

// dropout is keep·x/(1-p). Element e of a sample is dropped if the first word of the counter (sample low, sample high,
// site, e) is below p·2³². It also says which elements were dropped.
func dropout(x mat, rng [4]uint32, p float32, site uint32, rows int) (y mat, dropped []bool) {
	y, dropped = newMat(x.rows, x.cols), make([]bool, len(x.v))
	first := uint64(rng[3])<<32 | uint64(rng[2])
	keep := exact(1).minus(exact(float64(p)))
	for i := range x.rows {
		sample := first + uint64(i/rows)
		for j := range x.cols {
			element := uint32(i%rows*x.cols + j)
			word := philox([4]uint32{uint32(sample), uint32(sample >> 32), site, element}, [2]uint32{rng[0], rng[1]})[0]
			k := i*x.cols + j
			if dropped[k] = float64(word) < float64(p)*0x1p32; !dropped[k] {
				y.v[k] = x.v[k].times(exact(1).over(keep))
			}
		}
	}
	return y, dropped
}

func dropoutCases(l *list) {
	for _, f := range []form{{6, 33, small}, {1, 1, normal}, {12, 64, normal}, {30, 129, normal}, {3, 2100, normal}, {120, 700, long}} {
		for _, d := range mixtures(2) {
			for k, p := range []float32{0, 0.1, 0.5, 0.9} {
				for _, rows := range []int{1, 3, f.m} {
					if f.m%rows > 0 {
						continue
					}
					name := fmt.Sprintf("(%d,%d) %v p %g samples of %d rows", f.m, f.n, d, p, rows)
					l.add("Dropout", f.scope, name, func(tr *trial) {
						block := [4]uint32{tr.rng.Uint32(), tr.rng.Uint32(), tr.rng.Uint32(), tr.rng.Uint32()}
						if k%2 == 0 {
							block[2] = 1<<32 - 1 // the second sample carries
						}
						rng := tr.ints(int32(block[0]), int32(block[1]), int32(block[2]), int32(block[3]))
						site := tr.rng.Uint32N(1000)
						y, x := tr.output(d[0], f.m, f.n), tr.normal(d[1], f.m, f.n)
						if k > 1 && inPlace(d, 1) {
							y = x
						}
						tr.call = func(b kernels.Backend) { b.Dropout(y.t, x.t, rng.t, p, site, rows) }
						tr.want(y, func() mat { y, _ := dropout(x.values(), block, p, site, rows); return y })
						tr.after = func() error {
							_, dropped := dropout(x.values(), block, p, site, rows)
							for i, zero := range dropped {
								if zero && y.got(i) != 0 {
									return fmt.Errorf("element %d is kept", i)
								}
							}
							return nil
						}
					})
				}
			}
		}
	}
}
