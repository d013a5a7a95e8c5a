// attention_any.cu: attention and its gradient in f32 without tensor cores, for any dtypes, head size and strides.
//
// Blocks, tiles and order are those of the bf16 kernels: 64 queries by 64 keys, of which a thread of 256 has 4 by 4. Head
// sizes beyond a slab of columns go to several blocks, which compute the same scores.
#include "attention.h"

constexpr int TILE = 64, THREADS = 256, CHUNK = 16, PITCH = TILE + 4;   // a pitch of 17 times 16 bytes avoids bank conflicts
constexpr uint32 HALF_Q = 2, HALF_K = 4, HALF_V = 8, HALF_O = 16, HALF_GRAD = 32, HALF_DQ = 64, HALF_DK = 128, HALF_DV = 256;

// Rows of f32 or bf16.
struct Matrix {
  const void* at;
  int64 ld;
  bool half;
};

DEV Matrix matrix(const void* p, int64 ld, int64 row, int64 column, bool half) {
  int64 i = row * ld + column;
  return {half ? (const void*)((const bf16*)p + i) : (const float*)p + i, ld, half};
}
DEV float get(const Matrix& m, int r, int c) {
  int64 i = r * m.ld + c;
  return m.half ? to_float(((const bf16*)m.at)[i]) : ((const float*)m.at)[i];
}
DEV void put(const Matrix& m, int r, int c, float v) {
  int64 i = r * m.ld + c;
  if (m.half) ((bf16*)m.at)[i] = to_bf16(v); else ((float*)m.at)[i] = v;
}

// A thread has rows 4 y .. 4 y + 3 of a tile, and columns x, x + 16, x + 32, x + 48.
DEV int x() { return threadIdx.x % 16; }
DEV int y() { return threadIdx.x / 16; }

struct alignas(16) Shared {
  float weights[2][TILE][PITCH];
  union {
    struct { float a[CHUNK][TILE], b[CHUNK][TILE]; };   // columns of two operands, transposed
    float rows[CHUNK][2 * TILE];                        // rows of one
  };
};

// One chunk of columns of 64 rows, transposed; what does not exist is 0.
DEV void load_columns(float (&to)[CHUNK][TILE], const Matrix& m, int rows, int column, int columns) {
  int thread = here((int)threadIdx.x), r = thread % TILE, c = thread / TILE * 4;   // addresses are not kept in registers
  const float* p = (const float*)m.at + (r * m.ld + column + c);
  if (r < rows && !m.half && column + c + 4 <= columns && ((uint64)p & 15) == 0) {
    floatx4 v = *(const floatx4*)p;
UNROLL
    for (int i = 0; i < 4; i++) to[c + i][r] = v[i];
  } else {
ROLL
    for (int i = 0; i < 4; i++) to[c + i][r] = r < rows && column + c + i < columns ? get(m, r, column + c + i) : 0;
  }
}

// s = a·bᵀ: dot products of a_rows rows and b_rows rows.
DEV void dots(float (&s)[4][4], const Matrix& a, int a_rows, const Matrix& b, int b_rows, int depth, Shared& sm) {
UNROLL
  for (int i = 0; i < 4; i++)
UNROLL
    for (int j = 0; j < 4; j++) s[i][j] = 0;
ROLL
  for (int c = 0; c < depth; c += CHUNK) {
    sync_block();
    load_columns(sm.a, a, a_rows, c, depth);
    load_columns(sm.b, b, b_rows, c, depth);
    sync_block();
    int n = y() * 4 < a_rows ? min(CHUNK, depth - c) : 0;
    for (int k = 0; k < n; k++) {
      floatx4 fa = *(const floatx4*)&sm.a[k][y() * 4];
UNROLL
      for (int j = 0; j < 4; j++) {
        float fb = sm.b[k][x() + 16 * j];
UNROLL
        for (int i = 0; i < 4; i++) s[i][j] = fma(fa[i], fb, s[i][j]);
      }
    }
  }
}

// A tile, with rows and columns exchanged.
DEV void transpose(float (&to)[TILE][PITCH], const float (&s)[4][4]) {
UNROLL
  for (int c = 0; c < 4; c++) *(floatx4*)&to[x() + 16 * c][y() * 4] = {s[0][c], s[1][c], s[2][c], s[3][c]};
}

// acc(rows, 64 W) += weightsᵀ·m, over the first n rows of both. A thread has rows 4 y .. and, of each 64 columns, 4 x ..
template <int W> DEV void weigh(float (&acc)[W][4][4], int rows, const float (&weights)[TILE][PITCH], const Matrix& m, int n, int columns, Shared& sm) {
ROLL
  for (int r = 0; r < n; r += CHUNK) {
    sync_block();                                     // weights are there, rows free
    for (int i = here((int)threadIdx.x); i < CHUNK * W * TILE; i += THREADS) {
      int k = i / (W * TILE), c = i % (W * TILE);
      sm.rows[k][c] = r + k < n && c < columns ? get(m, r + k, c) : 0;
    }
    sync_block();
    int count = y() * 4 < rows ? min(CHUNK, n - r) : 0;
    for (int k = 0; k < count; k++) {
      floatx4 fa = *(const floatx4*)&weights[r + k][y() * 4];
UNROLL
      for (int w = 0; w < W; w++) {
        floatx4 fb = *(const floatx4*)&sm.rows[k][w * TILE + x() * 4];
UNROLL
        for (int i = 0; i < 4; i++)
UNROLL
          for (int j = 0; j < 4; j++) acc[w][i][j] = fma(fa[i], fb[j], acc[w][i][j]);
      }
    }
  }
}

template <int W> DEV void clear(float (&acc)[W][4][4]) {
UNROLL
  for (int w = 0; w < W; w++)
UNROLL
    for (int i = 0; i < 4; i++)
UNROLL
      for (int j = 0; j < 4; j++) acc[w][i][j] = 0;
}

// Row i of the thread times factor[i].
template <int W> DEV void store(const Matrix& m, int rows, int columns, const float (&acc)[W][4][4], const float (&factor)[4]) {
UNROLL
  for (int w = 0; w < W; w++)
UNROLL
    for (int i = 0; i < 4; i++)
UNROLL
      for (int j = 0; j < 4; j++) {
        int r = y() * 4 + i, c = w * TILE + x() * 4 + j;
        if (r < rows && c < columns) put(m, r, c, acc[w][i][j] * factor[i]);
      }
}

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
