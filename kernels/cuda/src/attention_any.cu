// attention_any.cu: attention in f32 without tensor cores, for any dtypes, head size and strides.
//
// Blocks, tiles and order are those of the bf16 kernels: 64 queries by 64 keys, of which a thread of 256 has 4 by 4. Head
// sizes beyond a slab of columns go to several blocks, which compute the same scores.
#include "attention_any.h"

// Over the 16 threads of a row.
DEV float row_max(float v) {
UNROLL
  for (int o = 8; o; o >>= 1) v = max(v, shuffle_xor(v, o));
  return v;
}
DEV float row_sum(float v) {
UNROLL
  for (int o = 8; o; o >>= 1) v += shuffle_xor(v, o);
  return v;
}

template <int W> DEV void attend(void* o, float* lse, const void* q, const void* k, const void* v, const int* lo, const int* hi,
    int64 ldo, int64 ldq, int64 ldk, int64 ldv, int batch, int time, int heads, int group, int depth, int section, float scale, uint32 flags) {
  __shared__ Shared sm;
  Task w = task(blockIdx.x, ceil_div(time, TILE), heads, batch, section, flags & CAUSAL);
  Sight see = sight(lo, hi, w.sequence, time, flags);
  int t0 = w.tile * TILE, rows = min(TILE, time - t0), slab = blockIdx.y * W * TILE;
  int begin = first_key(see, t0) / TILE, end = ceil_div(end_key(see, t0 + rows - 1), TILE);
  int64 row = (int64)w.sequence * time, head = (int64)w.head * depth, shared = (int64)(w.head / group) * depth;
  Matrix query = matrix(q, ldq, row + t0, head, flags & HALF_Q);

  float acc[W][4][4], top[4], sum[4];
  clear(acc);
UNROLL
  for (int i = 0; i < 4; i++) top[i] = -INFINITE, sum[i] = 0;
ROLL
  for (int j = begin; j < end; j++) {
    int k0 = j * TILE, n = min(TILE, time - k0);
    float s[4][4];
    dots(s, query, rows, matrix(k, ldk, row + k0, shared, flags & HALF_K), n, depth, sm);
    // Threads without rows go on: they share warps with others that reduce.
UNROLL
    for (int i = 0; i < 4; i++) {
      int t = t0 + y() * 4 + i, low = first_key(see, t) - k0, high = end_key(see, t) - k0;
      float most = -INFINITE;
UNROLL
      for (int c = 0; c < 4; c++) {
        int key = x() + 16 * c;
        s[i][c] = key >= low && key < high ? s[i][c] * scale : -INFINITE;
        most = max(most, s[i][c]);
      }
      most = max(row_max(most), top[i]);
      float base = most == -INFINITE ? 0 : most, shrink = exp(top[i] - base), total = 0;
      top[i] = most;
UNROLL
      for (int c = 0; c < 4; c++) {
        s[i][c] = exp(s[i][c] - base);
        total += s[i][c];
      }
      sum[i] = fma(sum[i], shrink, total);
UNROLL
      for (int u = 0; u < W; u++)
UNROLL
        for (int c = 0; c < 4; c++) acc[u][i][c] *= shrink;
    }
    transpose(sm.weights[0], s);
    weigh(acc, rows, sm.weights[0], matrix(v, ldv, row + k0, shared + slab, flags & HALF_V), n, depth - slab, sm);
  }

  float inverse[4];
UNROLL
  for (int i = 0; i < 4; i++) {
    float total = row_sum(sum[i]);
    inverse[i] = total > 0 ? div(1, total) : 0;
    int r = y() * 4 + i;
    if (x() == 0 && r < rows && slab == 0) lse[((int64)w.sequence * heads + w.head) * time + t0 + r] = top[i] + log(total);
  }
  store(matrix(o, ldo, row + t0, head + slab, flags & HALF_O), rows, depth - slab, acc, inverse);
}

#define ATTENTION(W) \
KERNEL(THREADS, 2) attention_any__##W( \
    void* o, float* lse, const void* q, const void* k, const void* v, const int* lo, const int* hi, \
    int64 ldo, int64 ldq, int64 ldk, int64 ldv, int batch, int time, int heads, int group, int depth, \
    int section, float scale, uint32 flags) { \
  attend<W>(o, lse, q, k, v, lo, hi, ldo, ldq, ldk, ldv, batch, time, heads, group, depth, section, scale, flags); }

ATTENTION(1)
ATTENTION(2)

// delta[query] is the sum of grad·o over the columns of a head, a warp for each query and head.
KERNEL(256, 4) attention_delta__any(float* delta, const void* grad, const void* o, int64 ldgrad, int64 ldo, int batch, int time, int heads,
                                    int depth, uint32 flags) {
  int64 i = (int64)blockIdx.x * 8 + warp(), row = i / heads;
  int head = i % heads;
  if (row >= (int64)batch * time) return;
  Matrix a = matrix(grad, ldgrad, row, (int64)head * depth, flags & HALF_GRAD), b = matrix(o, ldo, row, (int64)head * depth, flags & HALF_O);
  float sum = 0;
  for (int c = lane(); c < depth; c += 32) sum = fma(get(a, 0, c), get(b, 0, c), sum);
  sum = warp_sum(sum);
  if (lane() == 0) delta[(row / time * heads + head) * time + row % time] = sum;
}

// The same for bf16 in pieces of 16 bytes, depth at most 256 and fewer than 2^31 queries and heads: as many lanes as a head has pieces, next to one another, take
// a head, and each has several rows under way.
KERNEL(256, 4) attention_delta__bf16(float* delta, const void* grad, const void* o, int64 ldgrad, int64 ldo, int batch, int time, int heads,
                                     int depth, uint32 flags) {
  constexpr int ROWS = 4;
  int pieces = depth / 8, lanes = 1;
  while (lanes < pieces) lanes *= 2;
  uint32 each = THREADS / lanes, piece = threadIdx.x % lanes;
  uint32 all = batch * time * heads, first = blockIdx.x * ROWS * each + threadIdx.x / lanes;
  uint32x4 a[ROWS], b[ROWS];
UNROLL
  for (int r = 0; r < ROWS; r++) {
    uint32 i = first + r * each, row = i / heads, column = i % heads * depth + piece * 8;
    if (i < all && (int)piece < pieces) {
      a[r] = load16_stream((const bf16*)grad + row * ldgrad + column);
      b[r] = load16_stream((const bf16*)o + row * ldo + column);
    } else {
      a[r] = b[r] = 0;
    }
  }
UNROLL
  for (int r = 0; r < ROWS; r++) {
    float sum = 0;
UNROLL
    for (int c = 0; c < 4; c++) sum = fma(high_bf16(a[r][c]), high_bf16(b[r][c]), fma(low_bf16(a[r][c]), low_bf16(b[r][c]), sum));
    for (int n = lanes / 2; n; n /= 2) sum += shuffle_xor(sum, n);
    uint32 i = first + r * each, row = i / heads;
    if (i < all && piece == 0) delta[(row / time * heads + i % heads) * time + row % time] = sum;
  }
}
