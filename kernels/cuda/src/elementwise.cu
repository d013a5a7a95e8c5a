// elementwise.cu: sums, activations and gated activations. Each element is read and written once: with operands of s bytes
// add moves 3s an element, activate 2s, activate_grad 3s, swiglu 3s, swiglu_grad 5s. The bits of `half`, one for each operand in
// the order of the parameters, say which are bf16.
#include "activation.h"
#include "forms.h"

constexpr int THREADS = 256;

// z = x + y
template <class M> DEV void add(void* z, const void* x, const void* y, int64 ldz, int64 ldx, int64 ldy, int rows, int chunks, uint32 half) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    auto p = M::load(x, row * ldx + col, half & 2), q = M::load(y, row * ldy + col, half & 4);
    float a[M::V], b[M::V];
    M::widen(a, p, half & 2);
    M::widen(b, q, half & 4);
    UNROLL for (int v = 0; v < M::V; v++) a[v] += b[v];
    M::store(z, row * ldz + col, half & 1, a);
  });
}
#define ADD(NAME, M)                                                                                                \
  KERNEL(THREADS, 4) add__##NAME(void* z, const void* x, const void* y, int64 ldz, int64 ldx, int64 ldy, int rows, \
                                 int chunks, uint32 half) {                                                         \
    add<M>(z, x, y, ldz, ldx, ldy, rows, chunks, half);                                                             \
  }
FORMS(ADD)

// y = f(x)
template <class M> DEV void activations(void* y, const void* x, int64 ldy, int64 ldx, int rows, int chunks, uint32 half, int f) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    float a[M::V];
    fetch<M>(a, x, row * ldx + col, half & 2);
    activate(f, a);
    M::store(y, row * ldy + col, half & 1, a);
  });
}
#define ACTIVATE(NAME, M)                                                                                          \
  KERNEL(THREADS, 4) activate__##NAME(void* y, const void* x, int64 ldy, int64 ldx, int rows, int chunks, uint32 half, \
                                      int f) {                                                                     \
    activations<M>(y, x, ldy, ldx, rows, chunks, half, f);                                                            \
  }
FORMS(ACTIVATE)

// dx = dy f'(x)
template <class M>
DEV void activate_grad(void* dx, const void* dy, const void* x, int64 lddx, int64 lddy, int64 ldx, int rows, int chunks, uint32 half, int f) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    auto p = M::load(dy, row * lddy + col, half & 2), q = M::load(x, row * ldx + col, half & 4);
    float d[M::V], a[M::V];
    M::widen(d, p, half & 2);
    M::widen(a, q, half & 4);
    activation_gradient(f, d, a);
    M::store(dx, row * lddx + col, half & 1, d);
  });
}
#define ACTIVATE_GRAD(NAME, M)                                                                                        \
  KERNEL(THREADS, 4) activate_grad__##NAME(void* dx, const void* dy, const void* x, int64 lddx, int64 lddy, int64 ldx, \
                                           int rows, int chunks, uint32 half, int f) {                                \
    activate_grad<M>(dx, dy, x, lddx, lddy, ldx, rows, chunks, half, f);                                              \
  }
FORMS(ACTIVATE_GRAD)

// y = SiLU(gate) up
template <class M>
DEV void swiglu(void* y, const void* gate, const void* up, int64 ldy, int64 ldgate, int64 ldup, int rows, int chunks, uint32 half) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    auto p = M::load(gate, row * ldgate + col, half & 2), q = M::load(up, row * ldup + col, half & 4);
    float g[M::V], u[M::V];
    M::widen(g, p, half & 2);
    M::widen(u, q, half & 4);
    UNROLL for (int v = 0; v < M::V; v++) u[v] *= silu(g[v]);
    M::store(y, row * ldy + col, half & 1, u);
  });
}
#define SWIGLU(NAME, M)                                                                                                    \
  KERNEL(THREADS, 4) swiglu__##NAME(void* y, const void* gate, const void* up, int64 ldy, int64 ldgate, int64 ldup, int rows, \
                                    int chunks, uint32 half) {                                                             \
    swiglu<M>(y, gate, up, ldy, ldgate, ldup, rows, chunks, half);                                                         \
  }
FORMS(SWIGLU)

// dgate = dy up SiLU'(gate), dup = dy SiLU(gate)
template <class M>
DEV void swiglu_grad(void* dgate, void* dup, const void* dy, const void* gate, const void* up, int64 lddgate, int64 lddup, int64 lddy,
                     int64 ldgate, int64 ldup, int rows, int chunks, uint32 half) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    auto p = M::load(dy, row * lddy + col, half & 4), q = M::load(gate, row * ldgate + col, half & 8), r = M::load(up, row * ldup + col, half & 16);
    float d[M::V], g[M::V], u[M::V];
    M::widen(d, p, half & 4);
    M::widen(g, q, half & 8);
    M::widen(u, r, half & 16);
    UNROLL for (int v = 0; v < M::V; v++) {
      float value, slope;
      silu_both(g[v], value, slope);
      g[v] = d[v] * u[v] * slope;
      u[v] = d[v] * value;
    }
    M::store(dgate, row * lddgate + col, half & 1, g);
    M::store(dup, row * lddup + col, half & 2, u);
  });
}
#define SWIGLU_GRAD(NAME, M)                                                                                               \
  KERNEL(THREADS, 4) swiglu_grad__##NAME(void* dgate, void* dup, const void* dy, const void* gate, const void* up, int64 lddgate, \
                                         int64 lddup, int64 lddy, int64 ldgate, int64 ldup, int rows, int chunks, uint32 half) { \
    swiglu_grad<M>(dgate, dup, dy, gate, up, lddgate, lddup, lddy, ldgate, ldup, rows, chunks, half);                      \
  }
FORMS(SWIGLU_GRAD)
