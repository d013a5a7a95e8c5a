// attention_any_grad.cu: the gradient of attention in f32 without tensor cores, for any dtypes, head size and strides.
#include "attention_any.h"

// What both gradients know.
struct Operands {
  Matrix q, k, v, grad;   // of the head and the sequence
  const float *lse, *delta;
  int depth;
  float scale;
};

// Probabilities and the gradients of scores of a tile to shared memory: [0] and [1] of weights, rows are queries or keys.
template <bool BY_QUERY> DEV void score_grads(const Operands& p, const Sight& see, int t0, int k0, Shared& sm) {
  int rows = min(TILE, see.time - t0), n = min(TILE, see.time - k0);
  Matrix q = matrix(p.q.at, p.q.ld, t0, 0, p.q.half), grad = matrix(p.grad.at, p.grad.ld, t0, 0, p.grad.half);
  float s[4][4], ds[4][4];
  dots(s, q, rows, matrix(p.k.at, p.k.ld, k0, 0, p.k.half), n, p.depth, sm);
  dots(ds, grad, rows, matrix(p.v.at, p.v.ld, k0, 0, p.v.half), n, p.depth, sm);
UNROLL
  for (int i = 0; i < 4; i++) {
    int r = y() * 4 + i, t = t0 + r, low = first_key(see, t) - k0, high = end_key(see, t) - k0;
    float lse = r < rows ? p.lse[t] : 0, delta = r < rows ? p.delta[t] : 0;
UNROLL
    for (int c = 0; c < 4; c++) {
      int key = x() + 16 * c;
      float prob = key >= low && key < high ? exp(s[i][c] * p.scale - lse) : 0;
      ds[i][c] = prob * (ds[i][c] - delta);
      if (BY_QUERY) sm.weights[0][r][key] = prob, sm.weights[1][r][key] = ds[i][c];
    }
  }
  if (!BY_QUERY) transpose(sm.weights[1], ds);
}

template <int W> DEV void keys_grad(void* dk, void* dv, int64 lddk, int64 lddv, Operands& p, const Sight& see, const Task& w, int heads, int group,
    int64 ldq, int64 ldgrad, const void* q, const void* grad, const float* lse, const float* delta, uint32 flags) {
  __shared__ Shared sm;
  int time = see.time, k0 = w.tile * TILE, n = min(TILE, time - k0), slab = blockIdx.y * W * TILE;
  int begin = first_query(see, k0) / TILE, end = ceil_div(end_query(see, k0 + n), TILE);
  int64 row = (int64)w.sequence * time, shared = (int64)w.head * p.depth;
  float ak[W][4][4], av[W][4][4];
  clear(ak), clear(av);
ROLL
  for (int head = w.head * group; head < (w.head + 1) * group; head++) {
    p.q = matrix(q, ldq, row, (int64)head * p.depth, flags & HALF_Q);
    p.grad = matrix(grad, ldgrad, row, (int64)head * p.depth, flags & HALF_GRAD);
    int64 stats = ((int64)w.sequence * heads + head) * time;
    p.lse = lse + stats, p.delta = delta + stats;
ROLL
    for (int j = begin; j < end; j++) {
      int t0 = j * TILE, rows = min(TILE, time - t0);
      score_grads<true>(p, see, t0, k0, sm);
      weigh(av, n, sm.weights[0], matrix(p.grad.at, ldgrad, t0, slab, p.grad.half), rows, p.depth - slab, sm);
      weigh(ak, n, sm.weights[1], matrix(p.q.at, ldq, t0, slab, p.q.half), rows, p.depth - slab, sm);
    }
  }
  float factor[4];
UNROLL
  for (int i = 0; i < 4; i++) factor[i] = p.scale;
  store(matrix(dk, lddk, row + k0, shared + slab, flags & HALF_DK), n, p.depth - slab, ak, factor);
UNROLL
  for (int i = 0; i < 4; i++) factor[i] = 1;
  store(matrix(dv, lddv, row + k0, shared + slab, flags & HALF_DV), n, p.depth - slab, av, factor);
}

template <int W> DEV void queries_grad(void* dq, int64 lddq, Operands& p, const Sight& see, const Task& w, uint32 flags) {
  __shared__ Shared sm;
  int time = see.time, t0 = w.tile * TILE, rows = min(TILE, time - t0), slab = blockIdx.y * W * TILE;
  int begin = first_key(see, t0) / TILE, end = ceil_div(end_key(see, t0 + rows - 1), TILE);
  float acc[W][4][4], factor[4];
  clear(acc);
ROLL
  for (int j = begin; j < end; j++) {
    int k0 = j * TILE;
    score_grads<false>(p, see, t0, k0, sm);
    weigh(acc, rows, sm.weights[1], matrix(p.k.at, p.k.ld, k0, slab, p.k.half), min(TILE, time - k0), p.depth - slab, sm);
  }
UNROLL
  for (int i = 0; i < 4; i++) factor[i] = p.scale;
  store(matrix(dq, lddq, (int64)w.sequence * time + t0, (int64)w.head * p.depth + slab, flags & HALF_DQ), rows, p.depth - slab, acc, factor);
}

#define GRAD(NAME, BLOCKS, HEADS, GROUP, REVERSE, BODY) \
KERNEL(THREADS, BLOCKS) attention_any_grad__##NAME( \
    void* dq, void* dk, void* dv, const float* delta, const void* grad, const float* lse, const void* q, const void* k, \
    const void* v, const int* lo, const int* hi, int64 lddq, int64 lddk, int64 lddv, int64 ldgrad, int64 ldq, int64 ldk, \
    int64 ldv, int batch, int time, int heads, int group, int depth, int section, float scale, uint32 flags) { \
  Task w = task(blockIdx.x, ceil_div(time, TILE), HEADS, batch, section, REVERSE && flags & CAUSAL); \
  Sight see = sight(lo, hi, w.sequence, time, flags); \
  int64 row = (int64)w.sequence * time, head = (int64)w.head * depth, shared = (int64)(w.head / GROUP) * depth; \
  int64 stats = ((int64)w.sequence * heads + w.head) * time; \
  Operands p = {matrix(q, ldq, row, head, flags & HALF_Q), matrix(k, ldk, row, shared, flags & HALF_K), \
                matrix(v, ldv, row, shared, flags & HALF_V), matrix(grad, ldgrad, row, head, flags & HALF_GRAD), \
                lse + stats, delta + stats, depth, scale}; \
  BODY; }
#define KEYS_GRAD(W) GRAD(keys_##W, 1, heads / group, 1, false, \
  keys_grad<W>(dk, dv, lddk, lddv, p, see, w, heads, group, ldq, ldgrad, q, grad, lse, delta, flags))
#define QUERIES_GRAD(W) GRAD(queries_##W, 3 - W, heads, group, true, queries_grad<W>(dq, lddq, p, see, w, flags))

KEYS_GRAD(1)
KEYS_GRAD(2)
QUERIES_GRAD(1)
QUERIES_GRAD(2)
