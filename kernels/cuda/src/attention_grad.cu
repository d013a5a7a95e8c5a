// attention_grad.cu: the gradient of attention for sm_80 with bf16 operands, after FlashAttention-2 (Dao 2023).
//
// Two kernels. In _keys_ a block owns a tile of keys of one key-value head and walks over the queries that see it, in all
// query heads of the group, one after another: dk and dv are sums in registers, of one order, with no atomics and no
// copies for each head. In _queries_ a block owns a tile of queries and walks over their keys for dq. Probabilities and
// their gradients stay in registers in both: _keys_ computes them transposed, so that they are the left operand there too.
// Scores are computed twice for that, seven products in all instead of five.
#include "attention_tile.h"

struct Operands {
  bf16 *dq, *dk, *dv;
  const bf16 *grad, *q, *k, *v;   // grad is that of o
  const float *lse, *delta;
  int64 lddq, lddk, lddv, ldgrad, ldq, ldk, ldv;
  int heads, group, depth;
  float scale;
};

template <int M, int N> DEV void clear(float (&x)[M][N][4]) {
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int n = 0; n < N; n++)
UNROLL
      for (int i = 0; i < 4; i++) x[m][n][i] = 0;
}

template <int M> DEV void constant(float (&x)[M][2], float v) {
UNROLL
  for (int m = 0; m < M; m++) x[m][0] = x[m][1] = v;
}

// D columns, of which depth exist; the block computes SLAB of them. A warp has 16 M keys.
template <int D, int SLAB, int M, int WARPS, int QUERIES, int STAGES> DEV void keys_grad(const Operands& p, const Sight& see, const Task& w) {
  constexpr int KEYS = WARPS * M * 16, THREADS = WARPS * 32, N = QUERIES / 8, TILE = QUERIES * D * 2;
  SHARED(uint8, shared);
  uint32 tk = smem(shared), tv = tk + KEYS * D * 2, tq = tv + KEYS * D * 2, tg = tq + STAGES * TILE;
  float *lse = (float*)(shared + 2 * KEYS * D * 2 + 2 * STAGES * TILE), *delta = lse + STAGES * QUERIES;

  int time = see.time, k0 = w.tile * KEYS, mine = warp() * M * 16, slab = SLAB == D ? 0 : blockIdx.y * SLAB;
  int begin = first_query(see, k0) / QUERIES, end = ceil_div(end_query(see, min(k0 + KEYS, time)), QUERIES);
  int steps = max(end - begin, 0) * p.group;
  int64 row = (int64)w.sequence * time;
  copy_tile<KEYS, D, THREADS>(tk, p.k + (row + k0) * p.ldk + w.head * p.depth, p.ldk, time - k0, p.depth);
  copy_tile<KEYS, D, THREADS>(tv, p.v + (row + k0) * p.ldv + w.head * p.depth, p.ldv, time - k0, p.depth);

  int head = w.head * p.group, tile = begin, left = steps;   // where the walk is, and how much of it is left
  auto copy = [&]() DEVICE {
    int stage = left % STAGES, t0 = tile * QUERIES;
    copy_tile<QUERIES, D, THREADS>(tq + stage * TILE, p.q + (row + t0) * p.ldq + head * p.depth, p.ldq, time - t0, p.depth);
    copy_tile<QUERIES, D, THREADS>(tg + stage * TILE, p.grad + (row + t0) * p.ldgrad + head * p.depth, p.ldgrad, time - t0, p.depth);
    int i = threadIdx.x, t = t0 + i;
    int64 at = ((int64)w.sequence * p.heads + head) * time + (t < time ? t : 0);
    if (i < QUERIES) {
      cp_async4(smem(lse + stage * QUERIES + i), p.lse + at, t < time ? 4 : 0);
      cp_async4(smem(delta + stage * QUERIES + i), p.delta + at, t < time ? 4 : 0);
    }
  };
  if (STAGES > 1 && steps > 0) copy();
  cp_commit();

  float dk[M][SLAB / 8][4], dv[M][SLAB / 8][4], scale = p.scale * LOG2E;
  clear(dk), clear(dv);
  while (left > 0) {
    int stage = left % STAGES, t0 = tile * QUERIES, last = min(t0 + QUERIES, time) - 1, first = here(k0 + mine);
    if (STAGES == 1) {
      sync_block();                                   // nobody needs the step before any more
      copy();
      cp_commit();
    }
    cp_wait<0>();
    sync_block();                                     // the step is here, and the one before done with
    left--;
    if (++tile == end) tile = begin, head++;
    if (STAGES > 1 && left > 0) copy();
    cp_commit();
    if (first >= end_key(see, last) || first + M * 16 <= first_key(see, t0)) continue;
    float s[M][N][4], ds[M][N][4];
    multiply_rows<D>(s, lane_a<D>(tk) + mine * D * 2, lane_b_rows<D>(tq) + stage * TILE);
    multiply_rows<D>(ds, lane_a<D>(tv) + mine * D * 2, lane_b_rows<D>(tg) + stage * TILE);
UNROLL
    for (int n = 0; n < N; n++) {
      floatx2 base = *(const floatx2*)&lse[stage * QUERIES + n * 8 + (lane() & 3) * 2];
UNROLL
      for (int m = 0; m < M; m++)
UNROLL
        for (int i = 0; i < 4; i++) s[m][n][i] = exp2(fma(s[m][n][i], scale, base[i & 1] * -LOG2E));
    }
    if (first < first_key(see, last) || first + M * 16 > end_key(see, t0)) {   // not all of them see all of it
UNROLL
      for (int n = 0; n < N; n++)
UNROLL
        for (int i = 0; i < 2; i++) {
          int t = t0 + n * 8 + (lane() & 3) * 2 + i, key = first + lane() / 4;
          int low = first_key(see, t) - key, high = end_key(see, t) - key;
UNROLL
          for (int m = 0; m < M; m++)
UNROLL
            for (int h = 0; h < 2; h++) s[m][n][2 * h + i] = m * 16 + h * 8 >= low && m * 16 + h * 8 < high ? s[m][n][2 * h + i] : 0;
        }
    }
UNROLL
    for (int n = 0; n < N; n++) {
      floatx2 d = *(const floatx2*)&delta[stage * QUERIES + n * 8 + (lane() & 3) * 2];
UNROLL
      for (int m = 0; m < M; m++)
UNROLL
        for (int i = 0; i < 4; i++) ds[m][n][i] = s[m][n][i] * (ds[m][n][i] - d[i & 1]);
    }
    multiply_columns<D>(dv, s, (lane_b_columns<D>(tg) ^ slab * 2) + stage * TILE);
    multiply_columns<D>(dk, ds, (lane_b_columns<D>(tq) ^ slab * 2) + stage * TILE);
  }
  cp_wait<0>();
  sync_block();                                       // where nobody sees the keys they may still be on their way

  float factor[M][2];                                 // a warp's own keys and values make room for its results
  constant(factor, p.scale);
  store_rows<D>(p.dk + (row + k0) * p.lddk + w.head * p.depth + slab, p.lddk, time - k0, p.depth - slab, tk, mine, dk, factor);
  constant(factor, 1);
  store_rows<D>(p.dv + (row + k0) * p.lddv + w.head * p.depth + slab, p.lddv, time - k0, p.depth - slab, tv, mine, dv, factor);
}

// A warp has 16 M queries.
template <int D, int M, int WARPS, int KEYS, int STAGES> DEV void queries_grad(const Operands& p, const Sight& see, const Task& w) {
  constexpr int QUERIES = WARPS * M * 16, THREADS = WARPS * 32, N = KEYS / 8, TILE = KEYS * D * 2;
  SHARED(uint8, shared);
  uint32 tq = smem(shared), tg = tq + QUERIES * D * 2, tk = tg + QUERIES * D * 2, tv = tk + STAGES * TILE;

  int time = see.time, t0 = w.tile * QUERIES, last = min(t0 + QUERIES, time) - 1, mine = warp() * M * 16;
  int begin = first_key(see, t0) / KEYS, end = ceil_div(end_key(see, last), KEYS);
  int64 row = (int64)w.sequence * time, stats = ((int64)w.sequence * p.heads + w.head) * time;
  const bf16 *k = p.k + row * p.ldk + w.head / p.group * p.depth, *v = p.v + row * p.ldv + w.head / p.group * p.depth;
  copy_tile<QUERIES, D, THREADS>(tq, p.q + (row + t0) * p.ldq + w.head * p.depth, p.ldq, time - t0, p.depth);
  copy_tile<QUERIES, D, THREADS>(tg, p.grad + (row + t0) * p.ldgrad + w.head * p.depth, p.ldgrad, time - t0, p.depth);
  auto copy = [&](int j) DEVICE {
    int stage = j % STAGES, k0 = j * KEYS;
    copy_tile<KEYS, D, THREADS>(tk + stage * TILE, k + k0 * p.ldk, p.ldk, time - k0, p.depth);
    copy_tile<KEYS, D, THREADS>(tv + stage * TILE, v + k0 * p.ldv, p.ldv, time - k0, p.depth);
  };
  if (STAGES > 1 && begin < end) copy(begin);
  cp_commit();

  float dq[M][D / 8][4], lse[M][2], delta[M][2], scale = p.scale * LOG2E;
  clear(dq);
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int h = 0; h < 2; h++) {
      int t = t0 + mine + m * 16 + lane() / 4 + h * 8;
      lse[m][h] = t < time ? p.lse[stats + t] * LOG2E : 0;
      delta[m][h] = t < time ? p.delta[stats + t] : 0;
    }
  int a = min(t0 + mine, last), b = min(t0 + mine + M * 16 - 1, last);
  int any_from = first_key(see, a), any_to = end_key(see, b), all_from = first_key(see, b), all_to = end_key(see, a);

  for (int j = begin; j < end; j++) {
    int stage = j % STAGES, k0 = j * KEYS;
    if (STAGES == 1) {
      sync_block();
      copy(j);
      cp_commit();
    }
    cp_wait<0>();
    sync_block();
    if (STAGES > 1 && j + 1 < end) copy(j + 1);
    cp_commit();
    if (k0 >= any_to || k0 + KEYS <= any_from) continue;
    float s[M][N][4], ds[M][N][4];
    multiply_rows<D>(s, lane_a<D>(tq) + mine * D * 2, lane_b_rows<D>(tk) + stage * TILE);
    multiply_rows<D>(ds, lane_a<D>(tg) + mine * D * 2, lane_b_rows<D>(tv) + stage * TILE);
UNROLL
    for (int m = 0; m < M; m++)
UNROLL
      for (int n = 0; n < N; n++)
UNROLL
        for (int i = 0; i < 4; i++) s[m][n][i] = exp2(fma(s[m][n][i], scale, -lse[m][i / 2]));
    if (k0 < all_from || k0 + KEYS > all_to) {
UNROLL
      for (int m = 0; m < M; m++)
UNROLL
        for (int h = 0; h < 2; h++) {
          int t = here(t0 + mine) + m * 16 + lane() / 4 + h * 8, left = k0 + (lane() & 3) * 2;
          int low = first_key(see, t) - left, high = end_key(see, t) - left;
UNROLL
          for (int n = 0; n < N; n++)
UNROLL
            for (int i = 0; i < 2; i++) s[m][n][2 * h + i] = n * 8 + i >= low && n * 8 + i < high ? s[m][n][2 * h + i] : 0;
        }
    }
UNROLL
    for (int m = 0; m < M; m++)
UNROLL
      for (int n = 0; n < N; n++)
UNROLL
        for (int i = 0; i < 4; i++) ds[m][n][i] = s[m][n][i] * (ds[m][n][i] - delta[m][i / 2]);
    multiply_columns<D>(dq, ds, lane_b_columns<D>(tk) + stage * TILE);
  }
  cp_wait<0>();
  sync_block();

  float factor[M][2];
  constant(factor, p.scale);
  store_rows<D>(p.dq + (row + t0) * p.lddq + w.head * p.depth, p.lddq, time - t0, p.depth, tq, mine, dq, factor);
}

#define GRAD(NAME, THREADS, BLOCKS, TILE, HEADS, REVERSE, BODY) \
KERNEL(THREADS, BLOCKS) attention_grad__##NAME( \
    bf16* dq, bf16* dk, bf16* dv, const float* delta, const bf16* grad, const float* lse, const bf16* q, const bf16* k, \
    const bf16* v, const int* lo, const int* hi, int64 lddq, int64 lddk, int64 lddv, int64 ldgrad, int64 ldq, int64 ldk, \
    int64 ldv, int batch, int time, int heads, int group, int depth, int section, float scale, uint32 flags) { \
  Operands p = {dq, dk, dv, grad, q, k, v, lse, delta, lddq, lddk, lddv, ldgrad, ldq, ldk, ldv, heads, group, depth, scale}; \
  Task w = task(blockIdx.x, ceil_div(time, TILE), HEADS, batch, section, REVERSE && flags & CAUSAL); \
  BODY(p, sight(lo, hi, w.sequence, time, flags), w); }
#define COMMA ,
#define KEYS_GRAD(NAME, D, SLAB, M, WARPS, QUERIES, STAGES, BLOCKS) GRAD(NAME, WARPS * 32, BLOCKS, WARPS * M * 16, heads / group, \
  false, keys_grad<D COMMA SLAB COMMA M COMMA WARPS COMMA QUERIES COMMA STAGES>)
#define QUERIES_GRAD(NAME, D, M, WARPS, KEYS, STAGES, BLOCKS) GRAD(NAME, WARPS * 32, BLOCKS, WARPS * M * 16, heads, \
  true, queries_grad<D COMMA M COMMA WARPS COMMA KEYS COMMA STAGES>)

KEYS_GRAD(keys_d32, 32, 32, 2, 4, 32, 2, 2)
KEYS_GRAD(keys_d64, 64, 64, 2, 4, 32, 2, 2)
KEYS_GRAD(keys_d128, 128, 128, 1, 8, 32, 2, 1)
KEYS_GRAD(keys_d256, 256, 128, 1, 4, 32, 1, 1)
QUERIES_GRAD(queries_d32, 32, 2, 4, 32, 2, 2)
QUERIES_GRAD(queries_d64, 64, 2, 4, 32, 2, 2)
QUERIES_GRAD(queries_d128, 128, 1, 8, 32, 2, 1)
QUERIES_GRAD(queries_d256, 256, 1, 4, 32, 1, 1)
