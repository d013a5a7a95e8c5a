// embed.cu: table look-up and its gradient.
//
// embed moves s bytes of the table and s of y an element. The gradient has no atomics on floats: indices are sorted with their
// positions, by a stable radix sort of 8 bits a pass (count, scan, scatter; some 24 bytes an index and pass, little beside the
// rows); then a warp for each run of equal indices and 32 chunks of columns adds the rows up in order of position. It
// moves s bytes an element of dy and 4 of each row of dtable that occurs (8 if it accumulates).
#include "forms.h"

constexpr int THREADS = 256;

// y[i] = table[idx[i]], plus y if accumulate; a negative index gives zeros.
template <class M>
DEV void embed(void* y, const void* table, const int* idx, int64 ldy, int64 ldtable, int rows, int chunks, uint32 half, int accumulate) {
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    int r = idx[row];
    if (r < 0 && accumulate) return;
    float a[M::V] = {}, b[M::V];
    if (r >= 0) fetch<M>(a, table, r * ldtable + col, half & 2);
    if (accumulate) {
      fetch<M>(b, y, row * ldy + col, half & 1);
      UNROLL for (int v = 0; v < M::V; v++) a[v] += b[v];
    }
    M::store(y, row * ldy + col, half & 1, a);
  });
}
#define EMBED(NAME, M)                                                                                                       \
  KERNEL(THREADS, 4) embed__##NAME(void* y, const void* table, const int* idx, int64 ldy, int64 ldtable, int rows, int chunks, \
                                   uint32 half, int accumulate) {                                                            \
    embed<M>(y, table, idx, ldy, ldtable, rows, chunks, half, accumulate);                                                   \
  }
FORMS(EMBED)

// ---- the sort: a block has a tile of indices, a warp 8 times 32 that lie side by side ----
constexpr int ITEMS = 8, TILE = THREADS * ITEMS;

// The key of an index; those out of range come last.
DEV uint32 sort_key(const int* idx, int i, int limit) {
  uint32 k = (uint32)idx[i];
  return k < (uint32)limit ? k : (uint32)limit;
}
DEV int sort_item(int j) { return blockIdx.x * TILE + warp() * 32 * ITEMS + j * 32 + lane(); }

// counts[digit, block]: how many keys of a tile have a digit. The grid has one block for each tile.
KERNEL(THREADS, 4) sort_count__i32(uint32* counts, const int* keys, int n, int shift, int limit) {
  STATIC_SHARED(uint32, bins, 256);
  bins[threadIdx.x] = 0;
  sync_block();
  for (int j = 0; j < ITEMS; j++) {
    int i = sort_item(j);
    if (i < n) shared_add(&bins[sort_key(keys, i, limit) >> shift & 255], 1);
  }
  sync_block();
  counts[threadIdx.x * gridDim.x + blockIdx.x] = bins[threadIdx.x];
}

// Each count becomes the sum of those before it. One block.
KERNEL(1024, 1) sort_scan__u32(uint32* counts, int n) {
  STATIC_SHARED(uint32, sums, 32);
  uint32 carry = 0;
  for (int base = 0; base < n; base += 1024) {
    int i = base + threadIdx.x;
    uint32 own = i < n ? counts[i] : 0, s = own;
    UNROLL for (int o = 1; o < 32; o *= 2) {
      uint32 before = shuffle_up(s, o);
      if (lane() >= o) s += before;
    }
    if (lane() == 31) sums[warp()] = s;
    sync_block();
    uint32 total = sums[lane()], before = redux_add(lane() < warp() ? total : 0u);
    total = redux_add(total);
    if (i < n) counts[i] = carry + before + s - own;
    carry += total;
    sync_block();
  }
}

// Moves keys and positions to where the scan says. Without positions they are those of the keys.
KERNEL(THREADS, 4) sort_scatter__i32(int* out, int* positions_out, const uint32* counts, const int* keys, const int* positions, int n, int shift, int limit) {
  STATIC_SHARED(uint32, bins, 8 * 256);
  uint32* mine = bins + warp() * 256;
  for (int d = lane(); d < 256; d += 32) mine[d] = 0;
  sync_warp();
  uint32 key[ITEMS], rank[ITEMS];
  UNROLL for (int j = 0; j < ITEMS; j++) {
    int i = sort_item(j);
    key[j] = i < n ? sort_key(keys, i, limit) : 0;
    uint32 digit = key[j] >> shift & 255, peers = ballot(i < n);
    UNROLL for (int b = 0; b < 8; b++) {
      uint32 set = ballot(digit >> b & 1);
      peers &= digit >> b & 1 ? set : ~set;
    }
    uint32 start = mine[digit];
    sync_warp();
    rank[j] = start + popcount(peers & below());
    if (i < n && (peers & below()) == 0) mine[digit] = start + popcount(peers);
    sync_warp();
  }
  sync_block();
  uint32 at = counts[threadIdx.x * gridDim.x + blockIdx.x];
  UNROLL for (int w = 0; w < 8; w++) {
    uint32 here = bins[w * 256 + threadIdx.x];
    bins[w * 256 + threadIdx.x] = at;
    at += here;
  }
  sync_block();
  UNROLL for (int j = 0; j < ITEMS; j++) {
    int i = sort_item(j);
    if (i < n) {
      uint32 to = mine[key[j] >> shift & 255] + rank[j];
      out[to] = (int)key[j];
      positions_out[to] = positions ? positions[i] : i;
    }
  }
}

// dtable[key] = Σ dy[position] over each run of equal keys, plus dtable if accumulate. A warp has a position, which does
// nothing unless a run begins there, and a slice of 32 chunks of columns.
template <class M>
DEV void embed_sum(float* dtable, const void* dy, const int* keys, const int* positions, int64 lddtable, int64 lddy, int n, int slices,
                   int cols, int limit, uint32 half, int accumulate) {
  constexpr int V = M::V, AHEAD = 4;
  uint32 units = (uint32)n * slices;
  ROLL for (uint32 u = blockIdx.x * (THREADS / 32) + warp(); u < units; u += gridDim.x * (THREADS / 32)) {
    int s = u / slices, col = ((u - s * slices) * 32 + lane()) * V, key = keys[s];
    if (key >= limit || (s > 0 && keys[s - 1] == key)) continue;
    bool has = col < cols;
    float sum[V] = {};
    float* out = dtable + key * lddtable + col;
    if (accumulate && has) load_floats(sum, out);
    int count = 32;
    ROLL for (int i = s; count == 32; i += 32) {
      int k = i + lane() < n ? keys[i + lane()] : limit, p = i + lane() < n ? positions[i + lane()] : 0;
      count = popcount(ballot(k == key));
      ROLL for (int j = 0; j < count; j += AHEAD) {
        typename M::Raw raw[AHEAD];
        UNROLL for (int a = 0; a < AHEAD; a++) {
          int64 row = shuffle(p, min(j + a, 31));
          if (has && j + a < count) raw[a] = M::load(dy, row * lddy + col, half & 1);
        }
        UNROLL for (int a = 0; a < AHEAD; a++) {
          float d[V];
          if (has && j + a < count) {
            M::widen(d, raw[a], half & 1);
            UNROLL for (int v = 0; v < V; v++) sum[v] += d[v];
          }
        }
      }
    }
    if (has) store_floats(out, sum);
  }
}
#define EMBED_SUM(NAME, M)                                                                                                     \
  KERNEL(THREADS, 4) embed_sum__##NAME(float* dtable, const void* dy, const int* keys, const int* positions, int64 lddtable, int64 lddy, \
                                       int n, int slices, int cols, int limit, uint32 half, int accumulate) {                  \
    embed_sum<M>(dtable, dy, keys, positions, lddtable, lddy, n, slices, cols, limit, half, accumulate);                       \
  }
EMBED_SUM(f32, F32)
EMBED_SUM(bf16, BF16)
EMBED_SUM(single, SINGLE)
