// norm.cu: layer and root-mean-square normalisation of rows, after a residual addition.
//
// Moves 2s bytes an element of s bytes, 4s with the residual: where all operands have one type, a row is read once and stays
// in registers, of a warp up to 1024 columns, of a block of 256 threads up to 4096, of 512 threads up to 8192. Other rows
// are read three times, from the cache after the first unless they are very long. Weights come from the cache.
#include "rows.h"

constexpr int THREADS = 256;

struct Norm {
  void *y, *sum, *stats;
  const void *x, *r, *w, *b;
  int64 ldy, ldsum, ldx, ldr;
  int rows, cols;
  uint32 half;  // bits: y, sum, x, r, w, b
  float eps, scale;  // scale is 1/cols
};

// What a chunk of h = x + r is; it is also stored as sum.
template <class M> DEV void residual(float (&a)[M::V], const Norm& p, int64 row, int col) {
  float c[M::V];
  fetch<M>(c, p.r, row * p.ldr + col, p.half & 8);
  UNROLL for (int v = 0; v < M::V; v++) a[v] += c[v];
}

// Stores a chunk of y.
template <class M, bool RMS> DEV void normalised(const Norm& p, float (&a)[M::V], float mean, float rstd, int64 to, int col) {
  float w[M::V], b[M::V];
  fetch<M>(w, p.w, col, p.half & 16);
  if (!RMS) fetch<M>(b, p.b, col, p.half & 32);
  UNROLL for (int v = 0; v < M::V; v++) {
    a[v] = (RMS ? a[v] : a[v] - mean) * rstd;
    a[v] = RMS ? a[v] * w[v] : fma(a[v], w[v], b[v]);
  }
  M::store(p.y, to, p.half & 1, a);
}

template <bool RMS> DEV void store_stats(const Norm& p, int row, float mean, float rstd) {
  float* stats = (float*)p.stats;
  if (RMS) {
    stats[row] = rstd;
  } else {
    stats[2 * row] = mean;
    stats[2 * row + 1] = rstd;
  }
}

template <class M, bool RMS, int THREADS, int G, int HELD> DEV void norm(const Norm& p) {
  constexpr int K = HELD / M::V;
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, G> group(red);
  ROLL for (int row = group.row(); row < p.rows; row += group.step()) {
    int first = group.thread() * M::V;
    float a[K][M::V], mean = 0, square = 0;
    typename M::Raw raw[K];
    int64 from = row * p.ldx + first;
    columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) { raw[k] = M::load(p.x, from + at, p.half & 4); });
    columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) { M::widen(a[k], raw[k], p.half & 4); });
    if (opaque(p.r)) {
      from = row * p.ldr + first;
      columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) { raw[k] = M::load(p.r, from + at, p.half & 8); });
      int64 to = row * p.ldsum + first;
      columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) {
        float c[M::V];
        M::widen(c, raw[k], p.half & 8);
        UNROLL for (int v = 0; v < M::V; v++) a[k][v] += c[v];
        M::store(p.sum, to + at, p.half & 2, a[k]);
      });
    }
    if (!RMS) {
      columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) {
        UNROLL for (int v = 0; v < M::V; v++) mean += a[k][v];
      });
      mean = group.sum(mean) * p.scale;
    }
    columns<M, G, HELD>(group.thread(), p.cols, [&](int k, int at) {
      UNROLL for (int v = 0; v < M::V; v++) {
        float d = RMS ? a[k][v] : a[k][v] - mean;
        square = fma(d, d, square);
      }
    });
    float rstd = rsqrt(fma(group.sum(square), p.scale, p.eps));
    int64 to = row * p.ldy + first;
    columns<M, G, HELD>(group.thread(), p.cols,
                        [&](int k, int at) { normalised<M, RMS>(p, a[k], mean, rstd, to + at, first + at); });
    if (group.thread() == 0) store_stats<RMS>(p, row, mean, rstd);
  }
}

// Rows of any length.
template <class M, bool RMS> DEV void norm_long(const Norm& p) {
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, THREADS> group(red);
  ROLL for (int row = group.row(); row < p.rows; row += group.step()) {
    auto load = [&](float (&a)[M::V], int col) {
      fetch<M>(a, p.x, row * p.ldx + col, p.half & 4);
      if (opaque(p.r)) residual<M>(a, p, row, col);
    };
    float mean = 0, square = 0;
    if (!RMS) {
      passing<M, THREADS>(group.thread(), p.cols, [&](int col) {
        float a[M::V];
        load(a, col);
        UNROLL for (int v = 0; v < M::V; v++) mean += a[v];
      });
      mean = group.sum(mean) * p.scale;
    }
    passing<M, THREADS>(group.thread(), p.cols, [&](int col) {
      float a[M::V];
      load(a, col);
      UNROLL for (int v = 0; v < M::V; v++) {
        float d = RMS ? a[v] : a[v] - mean;
        square = fma(d, d, square);
      }
    });
    float rstd = rsqrt(fma(group.sum(square), p.scale, p.eps));
    passing<M, THREADS>(group.thread(), p.cols, [&](int col) {
      float a[M::V];
      load(a, col);
      if (opaque(p.r)) M::store(p.sum, row * p.ldsum + col, p.half & 2, a);
      normalised<M, RMS>(p, a, mean, rstd, row * p.ldy + col, col);
    });
    if (group.thread() == 0) store_stats<RMS>(p, row, mean, rstd);
  }
}

#define NORM(NAME, THREADS, BLOCKS, BODY)                                                                                     \
  KERNEL(THREADS, BLOCKS) norm__##NAME(void* y, void* sum, void* stats, const void* x, const void* r, const void* w, const void* b, \
                                       int64 ldy, int64 ldsum, int64 ldx, int64 ldr, int rows, int cols, uint32 half, float eps, \
                                       float scale) {                                                                         \
    BODY(Norm{y, sum, stats, x, r, w, b, ldy, ldsum, ldx, ldr, rows, cols, half, eps, scale});                                \
  }
#define HELD(KIND, RMS, NAME, M)                                      \
  NORM(KIND##_##NAME##_1024, 256, 2, (norm<M, RMS, 256, 32, 32>))     \
  NORM(KIND##_##NAME##_4096, 256, 3, (norm<M, RMS, 256, 256, 16>))    \
  NORM(KIND##_##NAME##_8192, 512, 1, (norm<M, RMS, 512, 512, 16>))
HELD(layer, false, f32, F32)
HELD(layer, false, bf16, BF16)
HELD(rms, true, f32, F32)
HELD(rms, true, bf16, BF16)
#define LONG(NAME, M)                                                  \
  NORM(layer_##NAME##_long, THREADS, 2, (norm_long<M, false>))         \
  NORM(rms_##NAME##_long, THREADS, 2, (norm_long<M, true>))
FORMS(LONG)
