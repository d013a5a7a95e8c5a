// attention_any.h: tiles and products in f32 without tensor cores, for attention with any dtypes, head size and strides.
#pragma once
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
