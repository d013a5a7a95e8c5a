// gemv.h: what products with few rows have in common.
#pragma once
#include "gemm_epilogue.h"

constexpr int COLUMNS = 16, PITCH = 20;   // columns of a block; a row of results takes PITCH numbers, in other banks than the next

// Adds up what PARTS warps have of row i of the result and four of this block's columns, in their order, and stores it.
template <int PARTS, int ROWS> DEV void finish_columns(const Epilogue& e, const float* part, int m) {
  int i = threadIdx.x / 4, j = threadIdx.x % 4 * 4, column = blockIdx.x * COLUMNS + j;
  if (i >= min(m, ROWS) || column >= e.n) return;
  float v[4] = {};
  UNROLL for (int w = 0; w < PARTS; w++)
    UNROLL for (int c = 0; c < 4; c++) v[c] += part[(w * ROWS + i) * PITCH + j + c];
  finish(e, i, column, v);
}
