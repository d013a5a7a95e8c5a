// attention_grad_sm90.h: what the two kernels of the gradient for sm_90a share.
//
// Tiles are made of blocks of 64 rows, which is what TMA brings at a time and what a warpgroup multiplies.
#pragma once
#include "attention_sm90.h"

constexpr int ROWS = 64;

struct Shape {
  const int *lo, *hi;
  const float *lse, *delta;
  int batch, time, heads, group, section;
  float scale;
  uint32 flags;
};

struct Maps { const TensorMap *dq, *dk, *dv, *grad, *q, *k, *v; };

// A parity and a place in a ring of `stages` that is used again and again.
struct Ring {
  int stage, parity;
  DEVICE void next(int stages) { if (++stage == stages) stage = 0, parity ^= 1; }
};

// Fragments of a warp's 16 rows of a block with D columns.
template <int D> DEV void load_fragments(uint32 (&a)[D / 16][4], uint32 block) {
  int r = (threadIdx.x & 127) / 32 * 16 + (lane() & 15);
UNROLL
  for (int k = 0; k < D / 16; k++) {
    int c = k * 2 + (lane() >> 4);
    ldmatrix4(a[k], block + c / 8 * ROWS * PANEL_ROW + r * PANEL_ROW + (c % 8 ^ (r & 7)) * 16);
  }
}

// s(64, 64) = a·bᵀ over D columns, a in fragments.
template <int D> DEV void multiply_left(float (&s)[ROWS / 2], const uint32 (&a)[D / 16][4], uint32 b) {
  uint64 db = wg_desc(b);
UNROLL
  for (int k = 0; k < D / 16; k++) wgmma(s, a[k], wg_step(db, k / 4 * ROWS * PANEL_ROW + k % 4 * 32), k > 0);
}

// A query's log-sum-exp in powers of two, so that its probabilities are exp2(score - base): 0 where it sees nothing.
DEV float base_of(float lse) { return lse == -INFINITE ? INFINITE : lse * LOG2E; }
