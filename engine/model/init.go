package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"forja/engine/graph"
)

// Init draws a parameter's first values from the seed and its name alone, so that no order matters: weights normal with
// deviation InitStd, those that write to the residual stream divided by √(2·Layers) (Radford et al. 2019), scales 1,
// biases and padding 0.
func (m *Model) Init(v *graph.Var, seed uint64) []float32 {
	x := make([]float32, v.Shape.Size())
	if len(v.Shape) == 1 {
		if strings.HasSuffix(v.Name, ".w") { // a norm's scale
			for i := range x {
				x[i] = 1
			}
		}
		return x
	}
	if m.lora != nil {
		if a := m.lora.adapter(v); a != nil {
			return a.init(v, seed)
		}
	}
	std := m.InitStd
	if strings.HasSuffix(v.Name, ".o.w") || strings.HasSuffix(v.Name, ".down.w") {
		std /= math.Sqrt(2 * float64(m.Layers))
	}
	r := generator(seed, v.Name)
	n := len(x)
	if v == m.wte || v == m.head {
		n = m.Vocab * m.Channels
	}
	for i := range x[:n] {
		x[i] = float32(r.NormFloat64() * std)
	}
	return x
}

func generator(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
