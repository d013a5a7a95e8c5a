// norm_grad.cu: the gradient of both normalisations at h, plus a residual.
//
// Moves 3s bytes an element of s bytes (dy, h, dx), s more for a residual, and 16 for each column and block. Where all operands
// have one type, a group of threads takes row after row; its weights and its share of dw and db stay in registers, and so does the
// row, as it is in memory. At the end each block stores one row of partial sums, which norm_columns adds up in order. Other rows
// are read twice for dx, the second time from the cache unless they are very long, and once more by columns for dw and db.
// The results depend on the number of blocks, that is on the card and the shape, and on nothing else.
#include "rows.h"

struct NormGrad {
  void* dx;         // may be absent
  float* partial;   // (blocks, 2, cols): dw, db; may be absent
  const void *dy, *h, *w, *residual;
  const float* stats;
  int64 lddx, lddy, ldh, ldresidual;
  int rows, cols;
  uint32 half;  // bits: dx, dy, h, w, residual
  float scale;  // 1/cols
};

template <bool RMS> DEV void load_stats(const NormGrad& p, int row, float& mean, float& rstd) {
  mean = RMS ? 0 : p.stats[2 * row];
  rstd = p.stats[RMS ? row : 2 * row + 1];
}

// normal = (h - mean) rstd
template <bool RMS> DEV float normal(float h, float mean, float rstd) { return (RMS ? h : h - mean) * rstd; }

// d = (gain - flat - normal along) rstd, with gain = dy w, and its means flat, plain and along the normal.
template <bool RMS> DEV float slope(float gain, float normal, float flat, float along, float rstd) {
  return (RMS ? fma(-normal, along, gain) : fma(-normal, along, gain - flat)) * rstd;
}

template <class M, bool RMS, int THREADS, int G, int HELD> DEV void norm_grad(const NormGrad& p) {
  constexpr int K = HELD / M::V, V = M::V;
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, G> group(red);
  int thread = group.thread(), first = thread * V;
  typename M::Raw w[K];
  float dw[K][V] = {}, db[K][V] = {};
  columns<M, G, HELD>(thread, p.cols, [&](int k, int at) { w[k] = M::load(p.w, first + at, p.half & 8); });
  // Where registers suffice, a row is loaded while the one before is worked on, and its residual with it.
  constexpr bool HALF = V == 8, EARLY = HALF && HELD <= 8;
  typename M::Raw dy[K], h[K], r[K], next_dy[K], next_h[K], next_r[K];
  auto load = [&](int row, typename M::Raw(&dy)[K], typename M::Raw(&h)[K], typename M::Raw(&r)[K]) {
    int64 fromd = row * p.lddy + first, fromh = row * p.ldh + first, fromr = row * p.ldresidual + first;
    columns<M, G, HELD>(thread, p.cols, [&](int k, int at) {
      dy[k] = M::load(p.dy, fromd + at, p.half & 2);
      h[k] = M::load(p.h, fromh + at, p.half & 4);
      if (HALF && opaque(p.residual)) r[k] = M::load(p.residual, fromr + at, p.half & 16);
    });
  };
  if (EARLY && group.row() < p.rows) load(group.row(), next_dy, next_h, next_r);
  ROLL for (int row = group.row(); row < p.rows; row += group.step()) {
    if (EARLY) {
      UNROLL for (int k = 0; k < K; k++) { dy[k] = next_dy[k]; h[k] = next_h[k]; r[k] = next_r[k]; }
      if (row + group.step() < p.rows) load(row + group.step(), next_dy, next_h, next_r);
    } else {
      load(row, dy, h, r);
    }
    float flat = 0, along = 0, mean, rstd;
    load_stats<RMS>(p, row, mean, rstd);
    columns<M, G, HELD>(thread, p.cols, [&](int k, int at) {
      float d[V], n[V], g[V];
      M::widen(d, dy[k], p.half & 2);
      M::widen(n, h[k], p.half & 4);
      M::widen(g, w[k], p.half & 8);
      UNROLL for (int v = 0; v < V; v++) {
        n[v] = normal<RMS>(n[v], mean, rstd);
        dw[k][v] = fma(d[v], n[v], dw[k][v]);
        if (!RMS) db[k][v] += d[v];
        d[v] *= g[v];
        flat += d[v];
        along = fma(d[v], n[v], along);
      }
    });
    if (!opaque(p.dx)) continue;
    if (RMS) along = group.sum(along);
    else group.sum(flat, along);
    flat *= p.scale;
    along *= p.scale;
    int64 to = row * p.lddx + first;
    columns<M, G, HELD>(thread, p.cols, [&](int k, int at) {
      float d[V], n[V], g[V];
      M::widen(d, dy[k], p.half & 2);
      M::widen(n, h[k], p.half & 4);
      M::widen(g, w[k], p.half & 8);
      UNROLL for (int v = 0; v < V; v++) d[v] = slope<RMS>(d[v] * g[v], normal<RMS>(n[v], mean, rstd), flat, along, rstd);
      if (opaque(p.residual)) {
        if (HALF) M::widen(n, r[k], p.half & 16);
        else fetch<M>(n, p.residual, row * p.ldresidual + first + at, p.half & 16);
        UNROLL for (int v = 0; v < V; v++) d[v] += n[v];
      }
      M::store(p.dx, to + at, p.half & 1, d);
    });
  }
  if (!p.partial) return;
  float* out = p.partial + (int64)blockIdx.x * 2 * p.cols;
  if (G == THREADS) {
    columns<M, G, HELD>(thread, p.cols, [&](int k, int at) {
      store_floats(out + first + at, dw[k]);
      if (!RMS) store_floats(out + p.cols + first + at, db[k]);
    });
    return;
  }
  STATIC_SHARED(float, shares, G < THREADS ? (THREADS / G) * 2 * G * HELD : 1);  // of the block's groups
  columns<M, G, HELD>(thread, p.cols, [&](int k, int at) {
    float* mine = shares + warp() * 2 * G * HELD + first + at;
    store_floats(mine, dw[k]);
    if (!RMS) store_floats(mine + G * HELD, db[k]);
  });
  sync_block();
  ROLL for (int j = threadIdx.x; j < (RMS ? p.cols : 2 * p.cols); j += THREADS) {
    int at = j < p.cols ? j : G * HELD + j - p.cols;
    float s = 0;
    UNROLL for (int i = 0; i < THREADS / G; i++) s += shares[i * 2 * G * HELD + at];
    out[j] = s;
  }
}

// dx of rows of any length.
template <class M, bool RMS, int THREADS> DEV void norm_grad_long(const NormGrad& p) {
  constexpr int V = M::V;
  STATIC_SHARED(float, red, THREADS / 8);
  Group<THREADS, THREADS> group(red);
  ROLL for (int row = group.row(); row < p.rows; row += group.step()) {
    float flat = 0, along = 0, mean, rstd;
    load_stats<RMS>(p, row, mean, rstd);
    auto load = [&](float (&d)[V], float (&n)[V], int col) {
      float w[V];
      fetch<M>(d, p.dy, row * p.lddy + col, p.half & 2);
      fetch<M>(n, p.h, row * p.ldh + col, p.half & 4);
      fetch<M>(w, p.w, col, p.half & 8);
      UNROLL for (int v = 0; v < V; v++) {
        n[v] = normal<RMS>(n[v], mean, rstd);
        d[v] *= w[v];
      }
    };
    passing<M, THREADS>(group.thread(), p.cols, [&](int col) {
      float d[V], n[V];
      load(d, n, col);
      UNROLL for (int v = 0; v < V; v++) {
        flat += d[v];
        along = fma(d[v], n[v], along);
      }
    });
    group.sum(flat, along);
    flat *= p.scale;
    along *= p.scale;
    passing<M, THREADS>(group.thread(), p.cols, [&](int col) {
      float d[V], n[V];
      load(d, n, col);
      UNROLL for (int v = 0; v < V; v++) d[v] = slope<RMS>(d[v], n[v], flat, along, rstd);
      if (opaque(p.residual)) {
        fetch<M>(n, p.residual, row * p.ldresidual + col, p.half & 16);
        UNROLL for (int v = 0; v < V; v++) d[v] += n[v];
      }
      M::store(p.dx, row * p.lddx + col, p.half & 1, d);
    });
  }
}

// The partial sums of dw and db where rows are long: a thread has a chunk of columns, a block every gridDim.y-th row.
template <class M, bool RMS, int THREADS> DEV void norm_grad_shares(const NormGrad& p) {
  constexpr int V = M::V;
  int col = (blockIdx.x * THREADS + threadIdx.x) * V;
  if (col >= p.cols) return;
  float dw[V] = {}, db[V] = {};
  ROLL for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
    float d[V], h[V], mean, rstd;
    load_stats<RMS>(p, row, mean, rstd);
    fetch<M>(d, p.dy, row * p.lddy + col, p.half & 2);
    fetch<M>(h, p.h, row * p.ldh + col, p.half & 4);
    UNROLL for (int v = 0; v < V; v++) {
      dw[v] = fma(d[v], normal<RMS>(h[v], mean, rstd), dw[v]);
      db[v] += d[v];
    }
  }
  float* out = p.partial + (int64)blockIdx.y * 2 * p.cols + col;
  store_floats(out, dw);
  if (!RMS) store_floats(out + p.cols, db);
}

#define NORM_GRAD(NAME, THREADS, BLOCKS, BODY)                                                                               \
  KERNEL(THREADS, BLOCKS) norm_grad__##NAME(void* dx, float* partial, const void* dy, const void* h, const void* w, \
                                            const void* residual, const float* stats, int64 lddx, int64 lddy, int64 ldh,     \
                                            int64 ldresidual, int rows, int cols, uint32 half, float scale) {                \
    BODY(NormGrad{dx, partial, dy, h, w, residual, stats, lddx, lddy, ldh, ldresidual, rows, cols, half, scale});            \
  }
#define HELD(KIND, RMS, NAME, M)                                            \
  NORM_GRAD(KIND##_##NAME##_256, 128, 5, (norm_grad<M, RMS, 128, 32, 8>))   \
  NORM_GRAD(KIND##_##NAME##_1024, 128, 5, (norm_grad<M, RMS, 128, 128, 8>)) \
  NORM_GRAD(KIND##_##NAME##_2048, 128, 4, (norm_grad<M, RMS, 128, 128, 16>)) \
  NORM_GRAD(KIND##_##NAME##_4096, 256, 2, (norm_grad<M, RMS, 256, 256, 16>)) \
  NORM_GRAD(KIND##_##NAME##_8192, 512, 1, (norm_grad<M, RMS, 512, 512, 16>))
HELD(layer, false, f32, F32)
HELD(layer, false, bf16, BF16)
HELD(rms, true, f32, F32)
HELD(rms, true, bf16, BF16)
#define LONG(KIND, RMS, NAME, M)                                         \
  NORM_GRAD(KIND##_##NAME##_long, 256, 2, (norm_grad_long<M, RMS, 256>)) \
  NORM_GRAD(KIND##_##NAME##_shares, 128, 4, (norm_grad_shares<M, RMS, 128>))
#define BOTH(NAME, M) LONG(layer, false, NAME, M) LONG(rms, true, NAME, M)
FORMS(BOTH)

// dw, db = their partial sums, plus what they hold. A warp has 32 columns of every 32nd row; the second half of the grid is db.
KERNEL(1024, 1) norm_columns__f32(float* dw, float* db, const float* partial, int cols, int parts, int accumulate) {
  STATIC_SHARED(float, shares, 1024);
  int tiles = (cols + 31) / 32, second = blockIdx.x >= tiles;
  float* out = second ? db : dw;
  if (!out) return;
  int col = (blockIdx.x - second * tiles) * 32 + lane();
  float s = 0;
  if (col < cols) {
    const float* p = partial + second * cols + col;
    for (int i = warp(); i < parts; i += 32) s += p[(int64)i * 2 * cols];
  }
  shares[threadIdx.x] = s;
  sync_block();
  if (warp() != 0 || col >= cols) return;
  s = accumulate ? out[col] : 0;
  UNROLL for (int i = 0; i < 32; i++) s += shares[i * 32 + lane()];
  out[col] = s;
}
