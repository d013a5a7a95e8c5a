package kernels

import (
	"fmt"
	"math"
)

// Quant is a format of quantised weights: blocks of neighbours in a row share a scale. A packed matrix of (N,K) weights is U8
// (N, Width(K)) and its scales F32 (N, K/Block()); K is a multiple of the block.
type Quant uint8

const (
	NF4 Quant = iota // blocks of 64: scale·NF4Codes[index], the scale the largest magnitude (Dettmers et al. 2023, QLoRA)
	Q8               // blocks of 32: scale·int8, the scale the largest magnitude over 127 (GGUF's Q8_0, with an F32 scale)
)

func (q Quant) String() string { return [...]string{"nf4", "q8"}[q] }

// Block is the number of weights that share a scale.
func (q Quant) Block() int { return [...]int{64, 32}[q] }

// Width is the number of bytes of cols weights: two NF4 weights in a byte, the first in its high half.
func (q Quant) Width(cols int) int {
	if q == NF4 {
		return cols / 2
	}
	return cols
}

// NF4Codes are the quantiles of a normal distribution that NF4 rounds to.
var NF4Codes = [16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
	-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
	0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1}

// nf4Between are the midpoints of neighbouring codes, as bitsandbytes rounds them.
var nf4Between = [15]float32{-0.8480964004, -0.6106329263, -0.4599952698, -0.3396794349, -0.2346074060, -0.1379117332, -0.0455250181,
	0.0397901498, 0.1202552505, 0.2035212517, 0.2920137718, 0.3893125355, 0.5016634166, 0.6427869201, 0.8614784181}

// Encode packs a row of weights, and fills in its scales.
func (q Quant) Encode(packed []byte, scales, row []float32) error {
	block := q.Block()
	if len(row)%block != 0 || len(packed) != q.Width(len(row)) || len(scales) != len(row)/block {
		return fmt.Errorf("quantise %d weights to %v: want a multiple of %d, and room for %d bytes and %d scales; there are %d and %d",
			len(row), q, block, q.Width(len(row)), len(row)/block, len(packed), len(scales))
	}
	for b := range scales {
		x := row[b*block : (b+1)*block]
		var most float32
		for _, v := range x {
			most = max(most, float32(math.Abs(float64(v))))
		}
		if q == Q8 {
			scales[b] = most / 127
			inverse := float32(0)
			if most > 0 {
				inverse = 1 / scales[b]
			}
			for i, v := range x {
				packed[b*block+i] = byte(int8(math.RoundToEven(float64(v * inverse))))
			}
			continue
		}
		scales[b] = most
		inverse := float32(0)
		if most > 0 {
			inverse = 1 / most
		}
		for i := 0; i < block; i += 2 {
			packed[(b*block+i)/2] = nf4Index(x[i]*inverse)<<4 | nf4Index(x[i+1]*inverse)
		}
	}
	return nil
}

// nf4Index is the code nearest to v.
func nf4Index(v float32) (i byte) {
	for _, mid := range nf4Between {
		if v > mid {
			i++
		}
	}
	return i
}

// Decode unpacks the weights [lo, lo+len(dst)) of a row. lo is a multiple of the block.
func (q Quant) Decode(dst []float32, packed []byte, scales []float32, lo int) {
	block := q.Block()
	for at := 0; at < len(dst); at += block {
		s, x := scales[(lo+at)/block], dst[at:min(at+block, len(dst))]
		if q == Q8 {
			for i, c := range packed[lo+at:][:len(x)] {
				x[i] = float32(int8(c)) * s
			}
			continue
		}
		for i, c := range packed[(lo+at)/2:][:(len(x)+1)/2] {
			x[2*i] = NF4Codes[c>>4] * s
			if 2*i+1 < len(x) {
				x[2*i+1] = NF4Codes[c&15] * s
			}
		}
	}
}
