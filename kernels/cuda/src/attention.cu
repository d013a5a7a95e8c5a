// attention.cu: attention for sm_80 with bf16 operands, after FlashAttention-2 (Dao 2023).
//
// A block computes a tile of queries of one head. Tiles of keys and values pass by, the next on its way while one is in
// use. Scores stay in registers: their accumulators become operands of the product with the values. The queries that a
// warp holds share their running maximum and sum among the four lanes of a row.
#include "attention_tile.h"

// One warp's state: maxima (of scores in powers of two), sums of this lane's probabilities, and outputs not yet divided.
template <int M, int OUT> struct Running {
  float top[M][2], sum[M][2], o[M][OUT][4];
};

// Turns scores to probabilities and rescales what came before.
template <int M, int N, int OUT> DEV void soften(float (&s)[M][N][4], Running<M, OUT>& run, float scale) {
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int h = 0; h < 2; h++) {
      float top = s[m][0][2 * h];
UNROLL
      for (int n = 0; n < N; n++) top = max(top, max(s[m][n][2 * h], s[m][n][2 * h + 1]));
      top = max(top, shuffle_xor(top, 1));
      top = max(top, shuffle_xor(top, 2)) * scale;
      top = max(top, run.top[m][h]);
      float base = top == -INFINITE ? 0 : top;          // nothing seen so far: all probabilities are 0
      float shrink = exp2(run.top[m][h] - base), sum = 0;
      run.top[m][h] = top;
UNROLL
      for (int n = 0; n < N; n++)
UNROLL
        for (int i = 2 * h; i < 2 * h + 2; i++) {
          s[m][n][i] = exp2(fma(s[m][n][i], scale, -base));
          sum += s[m][n][i];
        }
      run.sum[m][h] = fma(run.sum[m][h], shrink, sum);
UNROLL
      for (int n = 0; n < OUT; n++) { run.o[m][n][2 * h] *= shrink; run.o[m][n][2 * h + 1] *= shrink; }
    }
}

// WARPS warps of 16 M queries each against tiles of KEYS keys; D columns, of which `depth` exist.
template <int D, int M, int WARPS, int KEYS>
DEV void attend(bf16* o, float* lse, const bf16* q, const bf16* k, const bf16* v, const int* lo, const int* hi,
                int64 ldo, int64 ldq, int64 ldk, int64 ldv, int batch, int time, int heads, int group, int depth,
                int section, float scale, uint32 flags) {
  constexpr int QUERIES = WARPS * M * 16, THREADS = WARPS * 32, N = KEYS / 8, TILE = KEYS * D * 2;
  SHARED(uint8, shared);
  uint32 tq = smem(shared), tk = tq + QUERIES * D * 2, tv = tk + 2 * TILE;   // two stages of keys, two of values

  Task w = task(blockIdx.x, ceil_div(time, QUERIES), heads, batch, section, flags & CAUSAL);
  Sight see = sight(lo, hi, w.sequence, time, flags);
  int t0 = w.tile * QUERIES, last = min(t0 + QUERIES, time) - 1;
  int mine = warp() * M * 16;   // first row of this warp
  int begin = first_key(see, t0) / KEYS, end = ceil_div(end_key(see, last), KEYS);
  int64 row = (int64)w.sequence * time;
  q += (row + t0) * ldq + w.head * depth;
  k += row * ldk + w.head / group * depth;
  v += row * ldv + w.head / group * depth;

  int *from = (int*)(shared + QUERIES * D * 2 + 4 * TILE), *to = from + QUERIES;   // the keys that each query sees
  for (int i = threadIdx.x; i < QUERIES; i += THREADS) from[i] = first_key(see, t0 + i), to[i] = end_key(see, t0 + i);

  auto copy = [&](int j) DEVICE {
    copy_tile<KEYS, D, THREADS>(tk + (j & 1) * TILE, k + (int64)j * KEYS * ldk, ldk, time - j * KEYS, depth);
    copy_tile<KEYS, D, THREADS>(tv + (j & 1) * TILE, v + (int64)j * KEYS * ldv, ldv, time - j * KEYS, depth);
  };
  copy_tile<QUERIES, D, THREADS>(tq, q, ldq, time - t0, depth);
  if (begin < end) copy(begin);
  cp_commit();

  Running<M, D / 8> run;
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int h = 0; h < 2; h++) {
      run.top[m][h] = -INFINITE;
      run.sum[m][h] = 0;
UNROLL
      for (int n = 0; n < D / 8; n++) run.o[m][n][2 * h] = run.o[m][n][2 * h + 1] = 0;
    }
  scale *= LOG2E;
  // What the warp's queries see together.
  int any_from = first_key(see, min(t0 + mine, last)), any_to = end_key(see, min(t0 + mine + M * 16 - 1, last));

  for (int j = begin; j < end; j++) {
    cp_wait<0>();
    sync_block();                                  // tile j is here, and tile j - 1 is free
    if (j + 1 < end) copy(j + 1);
    cp_commit();
    int k0 = j * KEYS;
    if (k0 >= any_to || k0 + KEYS <= any_from) continue;
    float s[M][N][4];
    multiply_rows<D>(s, lane_a<D>(tq) + mine * D * 2, lane_b_rows<D>(tk) + (j & 1) * TILE);
    if (k0 < from[mine + M * 16 - 1] || k0 + KEYS > to[mine]) {   // not all of them see all of it
UNROLL
      for (int m = 0; m < M; m++)
UNROLL
        for (int h = 0; h < 2; h++) {
          int r = here(mine) + m * 16 + lane() / 4 + h * 8, left = k0 + (lane() & 3) * 2;
          int low = from[r] - left, high = to[r] - left;
UNROLL
          for (int n = 0; n < N; n++)
UNROLL
            for (int i = 0; i < 2; i++)
              if (n * 8 + i < low || n * 8 + i >= high) s[m][n][2 * h + i] = -INFINITE;
        }
    }
    soften(s, run, scale);
    multiply_columns<D>(run.o, s, lane_b_columns<D>(tv) + (j & 1) * TILE);
  }
  if (begin >= end) {                                 // nobody sees anything; the queries are still on their way
    cp_wait<0>();
    sync_block();
  }

  w = task(here(blockIdx.x), ceil_div(time, QUERIES), heads, batch, section, flags & CAUSAL);   // not kept in registers
  t0 = w.tile * QUERIES, row = (int64)w.sequence * time, mine = here(threadIdx.x) / 32 * M * 16;
  float inverse[M][2];
  lse += ((int64)w.sequence * heads + w.head) * time;
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int h = 0; h < 2; h++) {
      float sum = run.sum[m][h];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      inverse[m][h] = sum > 0 ? 1 / sum : 0;
      int t = t0 + mine + m * 16 + lane() / 4 + h * 8;
      if ((lane() & 3) == 0 && t < time) lse[t] = (run.top[m][h] + log2(sum)) * LN2;
    }
  o += (row + t0) * ldo + w.head * depth;
  store_rows<D>(o, ldo, time - t0, depth, tq, mine, run.o, inverse);   // over the warp's own queries
}

#define ATTENTION(NAME, D, M, WARPS, KEYS, BLOCKS) \
KERNEL(WARPS * 32, BLOCKS) attention__##NAME( \
    bf16* o, float* lse, const bf16* q, const bf16* k, const bf16* v, const int* lo, const int* hi, \
    int64 ldo, int64 ldq, int64 ldk, int64 ldv, int batch, int time, int heads, int group, int depth, \
    int section, float scale, uint32 flags) { \
  attend<D, M, WARPS, KEYS>(o, lse, q, k, v, lo, hi, ldo, ldq, ldk, ldv, batch, time, heads, group, depth, section, scale, flags); }

ATTENTION(d32, 32, 2, 4, 64, 2)
ATTENTION(d64, 64, 2, 4, 64, 2)
ATTENTION(d128, 128, 2, 4, 32, 2)
ATTENTION(d256, 256, 1, 4, 32, 1)
