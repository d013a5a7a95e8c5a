// decode.cu: the paged cache of keys and values, and attention of single queries against it.
//
// Attention reads every visible key and value once for a whole group of query heads: 4·D bytes a position and group in BF16, for
// 4·D·heads floating-point operations. For groups of up to four memory is the bound; a group of eight keeps an H100 as busy with
// instructions as with memory, one with 64 columns by a fifth more. Nothing is staged in shared memory but the queries and 32
// scores a head: keys and values go from memory to registers, 16 bytes a lane, four accesses of each lane under way, 24 KiB in a
// multiprocessor, 16 for groups of eight, whose sums take the registers. Where there are few queries a sequence is split
// among blocks (Dao et al. 2023, flash decoding), which leave partial sums; a second kernel adds them up in their order.
//
// Warps are independent: each takes 32 positions at a time, with maxima and sums of its own. Four lanes share a key, and
// a row of values is shared by as many lanes as hold 8 of its columns each. At the end of a sequence, and of a row, the
// last visible position and the first columns are read again and count for nothing: loads without branches can wait together.
#include "vector.h"

constexpr int WARPS = 4, TILE = 32;        // a block, and the positions of a warp's step
constexpr int CHUNK = 256;                 // columns of values that a block sums
constexpr uint32 Q_BF16 = 1, O_BF16 = 2, K_BF16 = 4, V_BF16 = 8;
constexpr float LOWEST = -1e30f;           // below every score, and finite

// Rows of k and v go where slot says; a negative one is skipped. blockIdx.y picks the pair: y of them are of these types.
template <class D, class S>
DEV void append(D* kcache, D* vcache, const S* k, const S* v, const int* slot, int cols, int64 ldkcache, int64 ldvcache,
                int64 ldk, int64 ldv, int wide) {
  int i = blockIdx.x, to = slot[i];
  if (to < 0) return;
  D* out = blockIdx.y ? vcache + to * ldvcache : kcache + to * ldkcache;
  const S* in = blockIdx.y ? v + i * ldv : k + i * ldk;
  for (int j = threadIdx.x * 8; j < cols; j += 128 * 8) {
    float x[8];
    load_eight(x, in + j, cols - j, wide);
    store_eight(out + j, x, cols - j, wide);
  }
}
#define KV_APPEND(name, D, S) \
  KERNEL(128, 8) kv_append__##name(D* kcache, D* vcache, const S* k, const S* v, const int* slot, int cols, int64 ldkcache, \
                                   int64 ldvcache, int64 ldk, int64 ldv, int wide) { \
    append(kcache, vcache, k, v, slot, cols, ldkcache, ldvcache, ldk, ldv, wide); \
  }
KV_APPEND(f32_f32, float, float)
KV_APPEND(f32_bf16, float, bf16)
KV_APPEND(bf16_f32, bf16, float)
KV_APPEND(bf16_bf16, bf16, bf16)

DEV float load_one(const void* p, int64 i, bool half) { return half ? to_float(((const bf16*)p)[i]) : ((const float*)p)[i]; }
DEV void store_one(void* p, int64 i, bool half, float x) {
  if (half) ((bf16*)p)[i] = to_bf16(x);
  else ((float*)p)[i] = x;
}

// How eight columns of a row of keys or values are read. Rows of the first two forms begin at multiples of 16 bytes and have a
// multiple of 8 columns; of the third n columns exist.
struct BF16Rows {
  typedef uint32x4 Raw;
  static DEVICE Raw load(const void* p, int64 i, int, uint32) { return load16_stream((const bf16*)p + i); }
  static DEVICE void widen(float (&x)[8], const Raw& r) {
    UNROLL for (int k = 0; k < 4; k++) x[2 * k] = low_bf16(r[k]), x[2 * k + 1] = high_bf16(r[k]);
  }
};
struct F32Rows {
  struct Raw { uint32x4 a, b; };
  static DEVICE Raw load(const void* p, int64 i, int, uint32) {
    const float* at = (const float*)p + i;
    return {load16_stream(at), load16_stream(at + 4)};
  }
  static DEVICE void widen(float (&x)[8], const Raw& r) {
    UNROLL for (int k = 0; k < 4; k++) x[k] = as_float(r.a[k]), x[k + 4] = as_float(r.b[k]);
  }
};
struct AnyRows {
  struct Raw { float x[8]; };
  static DEVICE Raw load(const void* p, int64 i, int n, uint32 half) {
    Raw r;
    UNROLL for (int k = 0; k < 8; k++) r.x[k] = k < n ? load_one(p, i + k, half) : 0;
    return r;
  }
  static DEVICE void widen(float (&x)[8], const Raw& r) {
    UNROLL for (int k = 0; k < 8; k++) x[k] = r.x[k];
  }
};

// The geometry of a launch.
struct Paged {
  int64 ldo, ldq, ldk, ldv, ldtable;
  int queries, heads, kvheads, depth, page;
  float scale;
  uint32 flags;
};

// One query, G of the query heads that share a key-value head, one of several stretches of the sequence, and up to CHUNK
// columns of the values. blockIdx.x counts queries, key-value heads and sets of G heads, the last fastest.
// partial holds, for each query, head and stretch, `depth` sums that refer to the stretch's maximum; behind all of them,
// the maxima and the sums of weights. It is not used if there is one stretch.
template <class Rows, int G, int C>
DEV void attend(void* o, float* partial, const void* q, const void* keys, const void* values, const int* table, const int* seq,
                const int* pos, const Paged& a) {
  SHARED(float, shared);
  constexpr int K = 4 / C;              // rows of 8 keys under way, with C pieces of 32 columns each
  constexpr int QUERIES = 8 * G + 4;   // eight columns of the queries, [G][8], in other banks than their neighbours
  int padded = ceil_div(a.depth, 32 * C) * 32 * C, stretch = blockIdx.y, stretches = gridDim.y;
  int first_column = blockIdx.z * CHUNK, columns = min(a.depth - first_column, CHUNK), pitch = (columns + 7) & ~7;
  float* qs = shared;                                        // [padded / 8][QUERIES], scaled
  float* scores = qs + padded / 8 * QUERIES + warp() * (G * TILE);   // [G][TILE]
  float* tops = qs + padded / 8 * QUERIES + WARPS * G * TILE;        // [WARPS][G]
  float* top = tops + warp() * G;                            // the largest score of each head so far
  float* sums = tops + WARPS * G;                            // [WARPS][G]
  float* outs = sums + WARPS * G;                            // [WARPS][G][pitch]

  int group = a.heads / a.kvheads, sets = ceil_div(group, G);
  int set = blockIdx.x % sets, kv = blockIdx.x / sets % a.kvheads, query = blockIdx.x / (sets * a.kvheads);
  int first_head = kv * group + set * G, count = min(G, group - set * G);
  int64 q_at = query * a.ldq + (int64)first_head * a.depth, o_at = query * a.ldo + (int64)first_head * a.depth + first_column;

  int sequence = seq[query], n = sequence < 0 ? 0 : pos[query] + 1;
  int length = ceil_div(ceil_div(n, TILE), stretches) * TILE;
  int lo = stretch * length, hi = min(n, lo + length);
  const int* pages = table + (sequence < 0 ? 0 : sequence * a.ldtable);

  for (int i = threadIdx.x; i < G * padded; i += WARPS * 32) {
    int g = i / 8 % G, d = i / (8 * G) * 8 + i % 8;
    bool there = g < count && d < a.depth;
    qs[i / (8 * G) * QUERIES + i % (8 * G)] = there ? load_one(q, q_at + g * a.depth + d, a.flags & Q_BF16) * a.scale : 0;
  }
  if (lane() < G) top[lane()] = LOWEST;
  sync_block();

  int lanes = columns > 128 ? 32 : columns > 64 ? 16 : columns > 32 ? 8 : 4;   // that share a row of values
  int part = lane() / lanes, column = lane() % lanes * 8;
  float sum[G] = {}, acc[G][8] = {};
  ROLL for (int start = lo + warp() * TILE; any(start < hi); start += WARPS * TILE) {
    int own = start + lane(), rest = hi - start;   // positions of the step that exist
    int row = own < hi ? pages[own / a.page] * a.page + own % a.page : 0;

    ROLL for (int step = 0; step < 4; step += K) {
      int64 at[K];
      float s[K][G] = {};
      UNROLL for (int k = 0; k < K; k++)
        at[k] = shuffle(row, min((step + k) * 8 + lane() / 4, rest - 1)) * a.ldk + (int64)kv * a.depth;
      ROLL for (int base = 0; base < padded; base += 32 * C) {
        typename Rows::Raw raw[K][C];
        int from = base + lane() % 4 * 8;
        UNROLL for (int k = 0; k < K; k++)
          UNROLL for (int u = 0; u < C; u++) {
            int c = from + u * 32 < a.depth ? from + u * 32 : 0;
            raw[k][u] = Rows::load(keys, at[k] + c, a.depth - c, a.flags & K_BF16);
          }
        sync_warp();   // keeps the assembler from putting loads behind the use of earlier ones
        UNROLL for (int u = 0; u < C; u++) {
          float x[K][8];
          UNROLL for (int k = 0; k < K; k++) Rows::widen(x[k], raw[k][u]);
          UNROLL for (int g = 0; g < G; g++) {
            const floatx4* y = (const floatx4*)(qs + (from / 8 + u * 4) * QUERIES + g * 8);
            floatx4 l = y[0], h = y[1];
            UNROLL for (int k = 0; k < K; k++)
              UNROLL for (int e = 0; e < 4; e++) s[k][g] = fma(x[k][e], l[e], fma(x[k][e + 4], h[e], s[k][g]));
          }
        }
      }
      UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int g = 0; g < G; g++) {
          s[k][g] += shuffle_xor(s[k][g], 1);
          s[k][g] += shuffle_xor(s[k][g], 2);
          if (lane() % 4 == g % 4) scores[g * TILE + (step + k) * 8 + lane() / 4] = s[k][g];
        }
    }
    sync_warp();

    float now[G];
    UNROLL for (int g = 0; g < G; g++) {
      float s = lane() < rest ? scores[g * TILE + lane()] : LOWEST, old = top[g];
      now[g] = max(old, warp_max(s));
      float p = exp(s - now[g]), back = exp(old - now[g]);
      sum[g] = fma(sum[g], back, p);
      UNROLL for (int e = 0; e < 8; e++) acc[g][e] *= back;
      scores[g * TILE + lane()] = p;
    }
    sync_warp();
    UNROLL for (int g = 0; g < G; g++)
      if (lane() == 0) top[g] = now[g];

    ROLL for (int step = 0; step < lanes; step += 4) {
      typename Rows::Raw raw[4];
      UNROLL for (int u = 0; u < 4; u++) {
        int key = (step + u) * (32 / lanes) + part, c = column < columns ? column : 0;
        int64 at = shuffle(row, min(key, rest - 1)) * a.ldv + (int64)kv * a.depth + first_column + c;
        raw[u] = Rows::load(values, at, columns - c, a.flags & V_BF16);
      }
      sync_warp();
      UNROLL for (int u = 0; u < 4; u++) {
        const float* p = scores + (step + u) * (32 / lanes) + part;
        float x[8];
        Rows::widen(x, raw[u]);
        UNROLL for (int g = 0; g < G; g++) {
          float w = p[g * TILE];
          UNROLL for (int e = 0; e < 8; e++) acc[g][e] = fma(w, x[e], acc[g][e]);
        }
      }
    }
    sync_warp();   // the scores are written again
  }

  UNROLL for (int g = 0; g < G; g++) {
    for (int o = lanes; o < 32; o <<= 1)
      UNROLL for (int e = 0; e < 8; e++) acc[g][e] += shuffle_xor(acc[g][e], o);
    float all = warp_sum(sum[g]);
    if (lane() == 0) sums[warp() * G + g] = all;
    if (part == 0 && column < columns) {
      floatx4* out = (floatx4*)(outs + (warp() * G + g) * pitch + column);
      out[0] = floatx4{acc[g][0], acc[g][1], acc[g][2], acc[g][3]};
      out[1] = floatx4{acc[g][4], acc[g][5], acc[g][6], acc[g][7]};
    }
  }
  sync_block();
  ROLL for (int i = threadIdx.x; i < count * columns; i += WARPS * 32) {
    int g = i / columns, d = i - g * columns;
    float most = tops[g], total = 0, x = 0;
    UNROLL for (int w = 1; w < WARPS; w++) most = max(most, tops[w * G + g]);
    UNROLL for (int w = 0; w < WARPS; w++) {
      float back = exp(tops[w * G + g] - most);
      total = fma(sums[w * G + g], back, total);
      x = fma(outs[(w * G + g) * pitch + d], back, x);
    }
    if (stretches == 1) {
      store_one(o, o_at + g * a.depth + d, a.flags & O_BF16, total == 0 ? 0 : div(x, total));
      continue;
    }
    int64 all = (int64)a.queries * a.heads * stretches;
    int64 at = ((int64)query * a.heads + first_head + g) * stretches + stretch;
    partial[at * a.depth + first_column + d] = x;
    if (d == 0 && first_column == 0) partial[all * a.depth + at * 2] = most, partial[all * a.depth + at * 2 + 1] = total;
  }
}
#define PAGED_ATTENTION(name, blocks, Rows, G, C) \
  KERNEL(128, blocks) paged_attention__##name(void* o, float* partial, const void* q, const void* keys, const void* values, \
      const int* table, const int* seq, const int* pos, int64 ldo, int64 ldq, int64 ldk, int64 ldv, int64 ldtable, int queries, \
      int heads, int kvheads, int depth, int page, float scale, uint32 flags) { \
    attend<Rows, G, C>(o, partial, q, keys, values, table, seq, pos, \
                       {ldo, ldq, ldk, ldv, ldtable, queries, heads, kvheads, depth, page, scale, flags}); \
  }
PAGED_ATTENTION(f32_h1, 4, F32Rows, 1, 4)
PAGED_ATTENTION(f32_h4, 2, F32Rows, 4, 4)
PAGED_ATTENTION(d64_h1, 4, BF16Rows, 1, 2)
PAGED_ATTENTION(d64_h4, 3, BF16Rows, 4, 2)
PAGED_ATTENTION(d64_h8, 2, BF16Rows, 8, 2)
PAGED_ATTENTION(d128_h1, 4, BF16Rows, 1, 4)
PAGED_ATTENTION(d128_h4, 3, BF16Rows, 4, 4)
PAGED_ATTENTION(d128_h8, 2, BF16Rows, 8, 4)
PAGED_ATTENTION(any, 4, AnyRows, 1, 4)

// Adds up the stretches of one query and head.
KERNEL(128, 8) join_attention__f32(void* o, const float* partial, int64 ldo, int queries, int heads, int depth, int stretches,
                                   uint32 flags) {
  int query = blockIdx.x / heads, head = blockIdx.x % heads;
  int64 at = (int64)blockIdx.x * stretches;
  const float* stats = partial + (int64)queries * heads * stretches * depth + at * 2;
  float most = LOWEST, total = 0;
  for (int s = 0; s < stretches; s++) most = max(most, stats[2 * s]);
  for (int s = 0; s < stretches; s++) total = fma(stats[2 * s + 1], exp(stats[2 * s] - most), total);
  for (int d = threadIdx.x; d < depth; d += 128) {
    float x = 0;
    for (int s = 0; s < stretches; s++) x = fma(partial[(at + s) * depth + d], exp(stats[2 * s] - most), x);
    store_one(o, query * ldo + (int64)head * depth + d, flags & O_BF16, total == 0 ? 0 : div(x, total));
  }
}
