// attention_tile.h: tiles of bf16 rows in shared memory, and products of them by mma.sync, for attention on sm_80.
#pragma once
#include "attention.h"
#include "ptx_sm80.h"

DEV void store_shared(uint32 p, uint32 v) { PTX("st.shared.b32 [%0], %1;" :: "r"(p), "r"(v) : "memory"); }
DEV uint32x4 load_shared16(uint32 p) {
  uint32x4 v; PTX("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(p) : "memory"); return v; }

// The address of 16-byte chunk c of row r of a tile with D columns. Eight rows of one chunk lie in different banks.
template <int D> DEV uint32 chunk_at(uint32 tile, int r, int c) {
  constexpr int CHUNKS = D / 8, SPREAD = CHUNKS < 8 ? CHUNKS : 8;
  return tile + (r * CHUNKS + (c ^ (r / (8 / SPREAD) & (SPREAD - 1)))) * 16;
}

// Starts the copy of ROWS rows of `depth` columns, of which `rows` exist: the rest of the tile becomes zero.
template <int ROWS, int D, int THREADS> DEV void copy_tile(uint32 tile, const bf16* from, int64 ld, int rows, int depth) {
  constexpr int CHUNKS = D / 8, STEP = THREADS / CHUNKS;
  static_assert(THREADS % CHUNKS == 0 && ROWS % STEP == 0, "threads must divide a tile");
  uint32 thread = here(threadIdx.x);
  int r = thread / CHUNKS, c = thread % CHUNKS;
  const bf16* p = from + r * ld + c * 8;
UNROLL
  for (int i = 0; i < ROWS / STEP; i++, r += STEP, p = here(p + STEP * ld)) {
    bool there = r < rows && c * 8 < depth;
    cp_async16(chunk_at<D>(tile, r, c), there ? p : from, there ? 16 : 0);
  }
}

// Where a lane finds its row of the first fragment of a tile: an operand whose k counts columns and that has rows a (16 of
// them) or columns b (twice 8), or an operand b whose k counts rows. Others are at the address that xor with 32 bytes for
// each 16 columns and a sum with the bytes of rows give.
template <int D> DEV uint32 lane_a(uint32 tile) { return chunk_at<D>(tile, lane() & 15, lane() >> 4); }
template <int D> DEV uint32 lane_b_rows(uint32 tile) { return chunk_at<D>(tile, (lane() & 7) + (lane() >> 4) * 8, lane() >> 3 & 1); }
template <int D> DEV uint32 lane_b_columns(uint32 tile) { return lane_a<D>(tile); }

// s(16 M, 8 N) = a·bᵀ over D columns. a is lane_a, b is lane_b_rows, of the first rows.
template <int D, int M, int N> DEV void multiply_rows(float (&s)[M][N][4], uint32 a, uint32 b) {
  a = here(a), b = here(b);
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int n = 0; n < N; n++)
UNROLL
      for (int i = 0; i < 4; i++) s[m][n][i] = 0;
UNROLL
  for (int k = 0; k < D / 16; k++) {
    uint32 fa[M][4];
UNROLL
    for (int m = 0; m < M; m++) ldmatrix4(fa[m], (a ^ k * 32) + m * 32 * D);
UNROLL
    for (int n = 0; n < N; n += 2) {
      uint32 fb[4];
      ldmatrix4(fb, (b ^ k * 32) + n * 16 * D);
UNROLL
      for (int m = 0; m < M; m++) {
        mma_bf16(s[m][n], fa[m], fb[0], fb[1]);
        mma_bf16(s[m][n + 1], fa[m], fb[2], fb[3]);
      }
    }
  }
}

// o(16 M, 8 N) += p·b, where p(16 M, 8 K) are accumulators rounded to bf16 and b is lane_b_columns of the first row and column.
template <int D, int M, int K, int N> DEV void multiply_columns(float (&o)[M][N][4], const float (&p)[M][K][4], uint32 b) {
  b = here(b);
UNROLL
  for (int k = 0; k < K / 2; k++) {
    uint32 fa[M][4];
UNROLL
    for (int m = 0; m < M; m++)
UNROLL
      for (int i = 0; i < 4; i++) fa[m][i] = pack_bf16(p[m][2 * k + i / 2][i % 2 * 2], p[m][2 * k + i / 2][i % 2 * 2 + 1]);
UNROLL
    for (int n = 0; n < N; n += 2) {
      uint32 fb[4];
      ldmatrix4_trans(fb, (b ^ n * 16) + k * 32 * D);
UNROLL
      for (int m = 0; m < M; m++) {
        mma_bf16(o[m][n], fa[m], fb[0], fb[1]);
        mma_bf16(o[m][n + 1], fa[m], fb[2], fb[3]);
      }
    }
  }
}

// Stores scaled accumulators as rows of bf16, through a warp's own rows of a tile of D columns that nobody else uses.
// rows and depth say what of the matrix exists. scale[m][0] is that of row lane/4 of sub-tile m, scale[m][1] of row lane/4 + 8.
template <int D, int M, int N>
DEV void store_rows(bf16* to, int64 ld, int rows, int depth, uint32 tile, int first, const float (&o)[M][N][4], const float (&scale)[M][2]) {
  uint32 at = chunk_at<D>(tile, first + lane() / 4, 0) + (lane() & 3) * 4;
  sync_warp();
UNROLL
  for (int m = 0; m < M; m++)
UNROLL
    for (int n = 0; n < N; n++)
UNROLL
      for (int h = 0; h < 2; h++)
        store_shared((at ^ n * 16) + (m * 32 + h * 16) * D, pack_bf16(o[m][n][2 * h] * scale[m][h], o[m][n][2 * h + 1] * scale[m][h]));
  sync_warp();
ROLL
  for (int i = lane(); i < M * 16 * N; i += 32) {
    int r = first + i / N, c = i % N;
    if (r < rows && c * 8 < depth) store16(to + r * ld + c * 8, load_shared16(chunk_at<D>(tile, r, c)));
  }
}
