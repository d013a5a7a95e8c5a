// softmax.cu: softmax of rows and its gradient. softmax moves 2s bytes an element of s bytes and softmax_grad 3s: where all
// operands have one type, a row stays in registers, of a warp up to 1024 columns and of a block up to 4096. Other rows are read
// twice, the second time from the cache unless they are very long.
#include "rows.h"

constexpr int THREADS = 256;

template <class M, int G, int HELD> DEV void softmax(void* y, const void* x, int64 ldy, int64 ldx, int rows, int cols, uint32 half) {
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, G> group(red);
  ROLL for (int row = group.row(); row < rows; row += group.step()) {
    int64 from = row * ldx + group.thread() * M::V, to = row * ldy + group.thread() * M::V;
    typename M::Raw raw[HELD / M::V];
    float a[HELD / M::V][M::V], top = -INFINITE, sum = 0;
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) { raw[k] = M::load(x, from + at, half & 2); });
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      M::widen(a[k], raw[k], half & 2);
      UNROLL for (int v = 0; v < M::V; v++) top = max(top, a[k][v]);
    });
    top = group.most(top);
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      UNROLL for (int v = 0; v < M::V; v++) sum += a[k][v] = exp(a[k][v] - top);
    });
    float scale = rcp(group.sum(sum));
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      UNROLL for (int v = 0; v < M::V; v++) a[k][v] *= scale;
      M::store(y, to + at, half & 1, a[k]);
    });
  }
}

// For rows of any length: each thread sums relative to the maximum that it has seen so far.
template <class M> DEV void softmax_long(void* y, const void* x, int64 ldy, int64 ldx, int rows, int cols, uint32 half) {
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, THREADS> group(red);
  ROLL for (int row = group.row(); row < rows; row += group.step()) {
    float mine = -INFINITE, sum = 0;
    passing<M, THREADS>(group.thread(), cols, [&](int col) {
      float a[M::V], higher = mine;
      fetch<M>(a, x, row * ldx + col, half & 2);
      UNROLL for (int v = 0; v < M::V; v++) higher = max(higher, a[v]);
      if (higher > mine) {
        sum *= exp(mine - higher);
        mine = higher;
      }
      if (mine > -INFINITE) {
        UNROLL for (int v = 0; v < M::V; v++) sum += exp(a[v] - mine);
      }
    });
    float top = group.most(mine);
    float scale = rcp(group.sum(sum > 0 ? sum * exp(mine - top) : 0));
    passing<M, THREADS>(group.thread(), cols, [&](int col) {
      float a[M::V];
      fetch<M>(a, x, row * ldx + col, half & 2);
      UNROLL for (int v = 0; v < M::V; v++) a[v] = exp(a[v] - top) * scale;
      M::store(y, row * ldy + col, half & 1, a);
    });
  }
}

#define SOFTMAX_HELD(NAME, M) \
  KERNEL(THREADS, 2) softmax__##NAME##_warp(void* y, const void* x, int64 ldy, int64 ldx, int rows, int cols, uint32 half) { \
    softmax<M, 32, 32>(y, x, ldy, ldx, rows, cols, half); \
  } \
  KERNEL(THREADS, 2) softmax__##NAME##_block(void* y, const void* x, int64 ldy, int64 ldx, int rows, int cols, uint32 half) { \
    softmax<M, THREADS, 16>(y, x, ldy, ldx, rows, cols, half); \
  }
SOFTMAX_HELD(f32, F32)
SOFTMAX_HELD(bf16, BF16)
#define SOFTMAX_LONG(NAME, M) \
  KERNEL(THREADS, 2) softmax__##NAME##_long(void* y, const void* x, int64 ldy, int64 ldx, int rows, int cols, uint32 half) { \
    softmax_long<M>(y, x, ldy, ldx, rows, cols, half); \
  }
FORMS(SOFTMAX_LONG)

// dx = y (dy - Σ dy y)
template <class M, int G, int HELD>
DEV void softmax_grad(void* dx, const void* dy, const void* y, int64 lddx, int64 lddy, int64 ldy, int rows, int cols, uint32 half) {
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, G> group(red);
  ROLL for (int row = group.row(); row < rows; row += group.step()) {
    int64 first = group.thread() * M::V, from = row * lddy + first, of = row * ldy + first, to = row * lddx + first;
    typename M::Raw rawd[HELD / M::V], rawy[HELD / M::V];
    float sum = 0;
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      rawd[k] = M::load(dy, from + at, half & 2);
      rawy[k] = M::load(y, of + at, half & 4);
    });
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      float d[M::V], p[M::V];
      M::widen(d, rawd[k], half & 2);
      M::widen(p, rawy[k], half & 4);
      UNROLL for (int v = 0; v < M::V; v++) sum = fma(d[v], p[v], sum);
    });
    sum = group.sum(sum);
    columns<M, G, HELD>(group.thread(), cols, [&](int k, int at) {
      float d[M::V], p[M::V];
      M::widen(d, rawd[k], half & 2);
      M::widen(p, rawy[k], half & 4);
      UNROLL for (int v = 0; v < M::V; v++) d[v] = p[v] * (d[v] - sum);
      M::store(dx, to + at, half & 1, d);
    });
  }
}

template <class M>
DEV void softmax_grad_long(void* dx, const void* dy, const void* y, int64 lddx, int64 lddy, int64 ldy, int rows, int cols, uint32 half) {
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, THREADS> group(red);
  ROLL for (int row = group.row(); row < rows; row += group.step()) {
    float sum = 0;
    passing<M, THREADS>(group.thread(), cols, [&](int col) {
      float d[M::V], p[M::V];
      fetch<M>(d, dy, row * lddy + col, half & 2);
      fetch<M>(p, y, row * ldy + col, half & 4);
      UNROLL for (int v = 0; v < M::V; v++) sum = fma(d[v], p[v], sum);
    });
    sum = group.sum(sum);
    passing<M, THREADS>(group.thread(), cols, [&](int col) {
      float d[M::V], p[M::V];
      fetch<M>(d, dy, row * lddy + col, half & 2);
      fetch<M>(p, y, row * ldy + col, half & 4);
      UNROLL for (int v = 0; v < M::V; v++) d[v] = p[v] * (d[v] - sum);
      M::store(dx, row * lddx + col, half & 1, d);
    });
  }
}

#define SOFTMAX_GRAD_HELD(NAME, M) \
  KERNEL(THREADS, 2) softmax_grad__##NAME##_warp(void* dx, const void* dy, const void* y, int64 lddx, int64 lddy, int64 ldy, \
                                                 int rows, int cols, uint32 half) { \
    softmax_grad<M, 32, 32>(dx, dy, y, lddx, lddy, ldy, rows, cols, half); \
  } \
  KERNEL(THREADS, 2) softmax_grad__##NAME##_block(void* dx, const void* dy, const void* y, int64 lddx, int64 lddy, int64 ldy, \
                                                  int rows, int cols, uint32 half) { \
    softmax_grad<M, THREADS, 16>(dx, dy, y, lddx, lddy, ldy, rows, cols, half); \
  }
SOFTMAX_GRAD_HELD(f32, F32)
SOFTMAX_GRAD_HELD(bf16, BF16)
#define SOFTMAX_GRAD_LONG(NAME, M) \
  KERNEL(THREADS, 2) softmax_grad__##NAME##_long(void* dx, const void* dy, const void* y, int64 lddx, int64 lddy, int64 ldy, \
                                                 int rows, int cols, uint32 half) { \
    softmax_grad_long<M>(dx, dy, y, lddx, lddy, ldy, rows, cols, half); \
  }
FORMS(SOFTMAX_GRAD_LONG)
