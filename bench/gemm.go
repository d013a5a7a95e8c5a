package bench

import (
	"context"
	"fmt"

	"forja/kernels"
)

// PeerVariable names the environment variable that holds the path of an OpenBLAS to measure, in place of the system's.
const PeerVariable = "FORJA_OPENBLAS"

// A Peer is another program's library that multiplied the same matrices.
type Peer struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Config  string `json:"config"`
	Core    string `json:"core"`             // the processor whose kernels it uses
	Chosen  string `json:"chosen,omitempty"` // what it chose first, where that was a worse one
	Threads int    `json:"threads"`
	Missing string `json:"missing,omitempty"` // why there is none
}

// A product is one matrix product of training a linear y = x·wᵀ of K to N channels on M tokens: C(m,n) = op(A)·op(B),
// summed over k.
type product struct {
	kind           string // forward, dx, dw
	layout         string // NT, NN, TN
	transA, transB bool
	m, n, k        int
	M, N, K        int
}

// products lists the three products of a linear.
func products(M, N, K int) []product {
	return []product{
		{"forward", "NT", false, true, M, N, K, M, N, K},
		{"dx", "NN", false, false, M, K, N, M, N, K},
		{"dw", "TN", true, false, N, K, M, M, N, K},
	}
}

func (p product) flops() float64 { return 2 * float64(p.m) * float64(p.n) * float64(p.k) }

func (p product) name(d kernels.DType) string {
	return fmt.Sprintf("gemm/%v/%s/%dx%d", d, p.kind, p.N, p.K)
}

// gemms measures every product in the given dtypes and, on the processor, in OpenBLAS. f32 is compared with OpenBLAS, bf16
// with our f32.
func gemms(ctx context.Context, r *rig) error {
	var err error
	if kind := r.b.Info().Kind; kind != "cpu" {
		r.peer = nil
	} else if r.peer, err = openPeer(r.b.Info().Threads); err == nil {
		r.Peer(r.peer.Peer)
	} else {
		r.peer = nil
		r.Peer(Peer{Name: "openblas", Missing: err.Error()})
	}
	for _, s := range r.linears {
		for _, p := range products(r.tokens, s[0], s[1]) {
			if err := r.gemm(ctx, p); err != nil {
				return fmt.Errorf("%s %dx%d: %w", p.kind, p.N, p.K, err)
			}
		}
	}
	return nil
}

// gemm measures one product.
func (r *rig) gemm(ctx context.Context, p product) error {
	t := &tensors{b: r.b}
	defer t.free()
	a, b := exact(1, p.m*p.k), exact(2, p.k*p.n)
	var contestants []func()
	var results []kernels.Tensor
	for _, d := range r.DTypes {
		x, y, c := r.operands(t, p, d, a, b)
		if t.err != nil {
			return t.err
		}
		contestants = append(contestants, r.call(p, c, x, y))
		results = append(results, c)
	}
	var peers []float32
	if r.peer != nil {
		var operands [3][]float32
		for i, n := range []int{p.m * p.k, p.k * p.n, p.m * p.n} {
			var err error
			if operands[i], err = pages[float32](n); err != nil {
				return err
			}
			defer release(operands[i])
		}
		copy(operands[0], a)
		copy(operands[1], b)
		peers = operands[2]
		contestants = append(contestants, func() { r.peer.multiply(p.transA, p.transB, p.m, p.n, p.k, operands[0], operands[1], peers) })
	}
	for _, f := range contestants {
		f()
	}
	if err := r.b.Sync(); err != nil {
		return err
	}
	for _, c := range results {
		if err := t.verify(p, c, a, b, peers); err != nil {
			return err
		}
	}
	r.Say("gemm %s %d×%d", p.kind, p.N, p.K)
	ts, err := r.race(ctx, contestants...)
	if err != nil {
		return err
	}
	work, f32 := p.flops()/1e9, -1
	for i, d := range r.DTypes {
		res := ts[i].result(p.name(d), d, work, "GFLOP/s")
		switch {
		case d == kernels.F32:
			f32 = i
			if r.peer != nil {
				res = res.overCall("openblas", work, ts[len(ts)-1])
			}
		case f32 >= 0:
			res = res.overCall("f32", work, ts[f32])
		}
		r.Result(res)
	}
	return nil
}

// operands are A, B and C in a dtype; gradients of weights are F32 whatever the activations are.
func (r *rig) operands(t *tensors, p product, d kernels.DType, a, b []float32) (x, y, c kernels.Tensor) {
	shape := func(trans bool, rows, cols int) []int {
		if trans {
			return []int{cols, rows}
		}
		return []int{rows, cols}
	}
	x = t.filled(d, a, shape(p.transA, p.m, p.k)...)
	y = t.filled(d, b, shape(p.transB, p.k, p.n)...)
	if p.kind == "dw" {
		d = kernels.F32
	}
	return x, y, t.empty(d, p.m, p.n)
}

// call is the product on a device.
func (r *rig) call(p product, c, x, y kernels.Tensor) func() {
	switch p.kind {
	case "forward":
		return func() { r.b.Linear(c, x, y, kernels.Epilogue{}) }
	case "dx":
		return func() { r.b.LinearDX(c, x, y, kernels.Epilogue{}) }
	default:
		return func() { r.b.LinearDW(c, x, y, 0, false) }
	}
}

// verify compares a result with the peer's, if there is one, and some of its elements with a sum in double precision.
// The operands make f32 sums exact, so only the rounding of a bf16 result remains.
func (t *tensors) verify(p product, c kernels.Tensor, a, b, peer []float32) error {
	got, err := t.floats(c)
	if err != nil {
		return err
	}
	round := func(x float32) float32 {
		if c.DType != kernels.BF16 {
			return x
		}
		var wide [1]float32
		kernels.FromBF16(wide[:], []uint16{kernels.RoundBF16(x)})
		return wide[0]
	}
	for i, x := range peer {
		if got[i] != round(x) {
			return fmt.Errorf("our %v result and OpenBLAS's differ at element %d: %g and %g: nothing was timed", c.DType, i, got[i], x)
		}
	}
	for i := 0; i < len(got); i += max(1, len(got)/97) {
		row, col, sum := i/p.n, i%p.n, 0.0
		for k := range p.k {
			ia, ib := row*p.k+k, k*p.n+col
			if p.transA {
				ia = k*p.m + row
			}
			if p.transB {
				ib = col*p.k + k
			}
			sum += float64(a[ia]) * float64(b[ib])
		}
		if got[i] != round(float32(sum)) {
			return fmt.Errorf("our %v result is wrong at element %d: %g, want %g: nothing was timed", c.DType, i, got[i], sum)
		}
	}
	return nil
}
