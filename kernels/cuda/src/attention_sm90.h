// attention_sm90.h: what attention and its gradient for sm_90a share: tiles as TMA leaves them, and products by wgmma.
//
// A tile of rows is stored as panels of 64 columns with 128-byte swizzle, one behind the other. Tensor maps of operands have
// four axes, (column, head, time, sequence), so that rows behind the end of a sequence are read as zeros and not written.
#pragma once
#include "attention.h"
#include "ptx_sm90.h"

constexpr int PANEL_ROW = 128;   // bytes

// Brings rows from t of one head to a tile: ROWS rows, D columns. The box of the map is 64 columns by ROWS rows.
template <int ROWS, int D> DEV void load_tile(uint32 tile, const TensorMap* m, uint32 bar, int head, int t, int sequence) {
UNROLL
  for (int p = 0; p < D / 64; p++) tma_load(tile + p * ROWS * PANEL_ROW, m, bar, p * 64, head, t, sequence);
}

// s(64, N) = a·bᵀ over D columns: a is 64 rows of a tile of A_ROWS, b a tile of B_ROWS = N rows.
template <int D, int A_ROWS, int B_ROWS, int R> DEV void multiply_tiles(float (&s)[R], uint32 a, uint32 b) {
  static_assert(R * 2 == B_ROWS, "accumulators are half the rows of b");
  uint64 da = wg_desc(a), db = wg_desc(b);
UNROLL
  for (int k = 0; k < D / 16; k++)
    wgmma(s, wg_step(da, k / 4 * A_ROWS * PANEL_ROW + k % 4 * 32), wg_step(db, k / 4 * B_ROWS * PANEL_ROW + k % 4 * 32), k > 0);
}

// o(64, D) += p·b, where p are fragments of K rows of b and b is a tile of B_ROWS rows and D columns.
template <int B_ROWS, int K, int R> DEV void multiply_fragments(float (&o)[R], const uint32 (&p)[K][4], uint32 b) {
  uint64 db = wg_desc(b, B_ROWS * PANEL_ROW);
UNROLL
  for (int k = 0; k < K; k++) wgmma<1>(o, p[k], wg_step(db, k * 16 * PANEL_ROW), 1);
}

// Accumulators as fragments of the next product.
template <int K> DEV void round_fragments(uint32 (&p)[K][4], const float (&s)[K * 8]) {
UNROLL
  for (int k = 0; k < K; k++)
UNROLL
    for (int i = 0; i < 4; i++) p[k][i] = pack_bf16(s[k * 8 + i * 2], s[k * 8 + i * 2 + 1]);
}

// As wg_hold.
template <int K> DEV void wg_hold(uint32 (&p)[K][4]) {
UNROLL
  for (int k = 0; k < K; k++)
UNROLL
    for (int i = 0; i < 4; i++) PTX("" : "+r"(p[k][i]) :: "memory"); }

template <int R> DEV void clear(float (&x)[R]) {
UNROLL
  for (int i = 0; i < R; i++) x[i] = 0;
}

// Writes a warp's 16 rows of accumulators to a tile of ROWS rows as bf16; row h of the two that a lane has times scale[h].
template <int ROWS, int R> DEV void store_fragments(uint32 tile, int row, const float (&o)[R], const float (&scale)[2]) {
  int r = row + (lane() & 15);
UNROLL
  for (int j = 0; j < R / 8; j++) {
    int c = j * 2 + (lane() >> 4);
    stmatrix4(tile + c / 8 * ROWS * PANEL_ROW + r * PANEL_ROW + (c % 8 ^ (r & 7)) * 16,
              pack_bf16(o[j * 8] * scale[0], o[j * 8 + 1] * scale[0]), pack_bf16(o[j * 8 + 2] * scale[1], o[j * 8 + 3] * scale[1]),
              pack_bf16(o[j * 8 + 4] * scale[0], o[j * 8 + 5] * scale[0]), pack_bf16(o[j * 8 + 6] * scale[1], o[j * 8 + 7] * scale[1]));
  }
}

// One lane of each warp arrives for it: each has finished its own part of a product, whatever the others do.
DEV void release(uint32 bar) {
  sync_warp();
  if (lane() == 0) mbar_arrive(bar);
}

// Blocks that stay on their multiprocessor take tasks in rounds, each second one backwards: neighbours are alike, but where
// they are not, who had the longer one has the shorter one next.
DEV int task_in(int round) { return round * gridDim.x + (round & 1 ? gridDim.x - 1 - blockIdx.x : blockIdx.x); }
