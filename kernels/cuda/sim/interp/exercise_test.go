package interp_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cuda"
)

// bench is a backend on a simulated card, with tensors of random contents.
type bench struct {
	t *testing.T
	kernels.Backend
	r    *rand.Rand
	held []kernels.Buffer
}

// onCard calls f with a simulated card on a thread of its own.
func onCard(t *testing.T, capability int, f func(b *bench)) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	card, err := cuda.Open(cuda.Options{Simulate: true, Capability: capability, Check: true})
	require.NoError(t, err)
	b := &bench{t: t, Backend: card, r: rand.New(rand.NewPCG(2, 4))}
	f(b)
	for _, x := range b.held {
		b.Free(x)
	}
	require.NoError(t, card.Close())
}

// empty is a tensor that nobody has written.
func (b *bench) empty(d kernels.DType, shape ...int) kernels.Tensor {
	n := kernels.Shape(shape).Size()
	buf, err := b.Alloc(n * d.Size())
	require.NoError(b.t, err)
	b.held = append(b.held, buf)
	return kernels.New(buf, d, shape...)
}

// random is a tensor of floats in [-1/2, 1/2).
func (b *bench) random(d kernels.DType, shape ...int) kernels.Tensor {
	x := b.empty(d, shape...)
	var bytes []byte
	for range x.Size() {
		bits := math.Float32bits(b.r.Float32() - .5)
		if d == kernels.BF16 {
			bytes = binary.LittleEndian.AppendUint16(bytes, uint16(bits>>16))
		} else {
			bytes = binary.LittleEndian.AppendUint32(bytes, bits)
		}
	}
	b.Upload(x, bytes)
	return x
}

// below is a tensor of integers from 0 to n-1.
func (b *bench) below(n int, shape ...int) kernels.Tensor {
	x := b.empty(kernels.I32, shape...)
	var bytes []byte
	for range x.Size() {
		bytes = binary.LittleEndian.AppendUint32(bytes, uint32(b.r.IntN(n)))
	}
	b.Upload(x, bytes)
	return x
}

// rows runs the kernels of rows: softmax, norms, sums, embeddings.
func (b *bench) rows() {
	x, y := b.random(kernels.F32, 5, 2100), b.empty(kernels.F32, 5, 2100)
	b.Softmax(y, x)
	b.SoftmaxGrad(b.empty(kernels.F32, 5, 2100), x, y)
	h, w, none := b.random(kernels.F32, 40, 1300), b.random(kernels.F32, 1300), kernels.Tensor{}
	stats := b.empty(kernels.F32, 40, 2)
	b.LayerNorm(b.empty(kernels.F32, 40, 1300), none, stats, h, none, w, w, 1e-5)
	b.LayerNormGrad(b.empty(kernels.F32, 40, 1300), b.empty(kernels.F32, 1300), b.empty(kernels.F32, 1300), b.random(kernels.F32, 40, 1300), h, w, stats, none, false)
	b.BiasGrad(b.empty(kernels.F32, 1300), h, false)
	b.EmbedGrad(b.random(kernels.F32, 300, 64), b.random(kernels.F32, 3000, 64), b.below(300, 3000), true)
	b.GradNorm(b.control(), b.random(kernels.F32, 70000), 1)
	require.NoError(b.t, b.Sync())
}

// control is a control block whose step has begun.
func (b *bench) control() kernels.Tensor { return b.random(kernels.F32, 16) }

// products runs matrix products of 16-bit and 32-bit floats.
func (b *bench) products() {
	for _, d := range []kernels.DType{kernels.BF16, kernels.F32} {
		x, w, dy := b.random(d, 100, 192), b.random(d, 72, 192), b.random(d, 100, 72)
		b.Linear(b.empty(d, 100, 72), x, w, kernels.Epilogue{})
		b.LinearDX(b.empty(d, 100, 192), dy, w, kernels.Epilogue{})
		b.LinearDW(b.empty(kernels.F32, 72, 192), dy, x, 1, false)
	}
	require.NoError(b.t, b.Sync())
}

// attention runs attention and its gradient.
func (b *bench) attention() {
	const batch, time, heads, depth = 1, 136, 2, 64
	a := kernels.Attn{Heads: heads, KVHeads: 1, HeadDim: depth, Causal: true}
	q, k, v := b.random(kernels.BF16, batch, time, heads*depth), b.random(kernels.BF16, batch, time, depth), b.random(kernels.BF16, batch, time, depth)
	o, lse, none := b.empty(kernels.BF16, batch, time, heads*depth), b.empty(kernels.F32, batch, heads, time), kernels.Tensor{}
	b.Attention(o, lse, q, k, v, none, none, a)
	b.AttentionGrad(b.empty(kernels.BF16, batch, time, heads*depth), b.empty(kernels.BF16, batch, time, depth), b.empty(kernels.BF16, batch, time, depth),
		b.empty(kernels.F32, batch, heads, time), b.random(kernels.BF16, batch, time, heads*depth), o, lse, q, k, v, none, none, a)
	require.NoError(b.t, b.Sync())
}
