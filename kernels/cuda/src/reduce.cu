// reduce.cu: sums over the rows of a matrix, for the gradient of a bias.
//
// An element is read once: 2 or 4 bytes, and nothing is written but 1/chunk of it. Lanes read 16 bytes each, 512 in a row,
// and four rows are under way in each of 8 warps, which keeps 16 KiB of a block in flight: memory is the bound. A second
// launch of the same kernel adds the chunks' sums; the order depends on the shape alone.
#include "ptx.h"

DEV void add_to(float (&s)[4], uint32x4 v) {
  UNROLL for (int k = 0; k < 4; k++) s[k] += as_float(v[k]);
}
DEV void add_to(float (&s)[8], uint32x4 v) {
  UNROLL for (int k = 0; k < 4; k++) s[2 * k] += low_bf16(v[k]), s[2 * k + 1] += high_bf16(v[k]);
}

// A block sums rows [y·chunk, (y + 1)·chunk), the next row of eight for each warp, into row y of out(·,cols).
template <class T>
DEV void sum_rows(float* out, const T* in, int rows, int cols, int64 ld, int chunk, int wide, int accumulate) {
  constexpr int E = 16 / sizeof(T), WIDTH = 32 * E;   // elements of a lane and of a block
  STATIC_SHARED(float, part, 8 * WIDTH);
  int first = blockIdx.y * chunk, last = min(first + chunk, rows), column = blockIdx.x * WIDTH;
  bool whole = wide && column + WIDTH <= cols;
  float s[E] = {};
  if (whole) {
    const T* p = in + column + lane() * E;
    int i = first + warp();
    for (; i + 24 < last; i += 32) {
      uint32x4 v[4];
      UNROLL for (int u = 0; u < 4; u++) v[u] = load16(p + (i + 8 * u) * ld);
      UNROLL for (int u = 0; u < 4; u++) add_to(s, v[u]);
    }
    for (; i < last; i += 8) add_to(s, load16(p + i * ld));
  } else {
    for (int i = first + warp(); i < last; i += 8)
      UNROLL for (int k = 0; k < E; k++) {
        int j = column + k * 32 + lane();
        if (j < cols) s[k] += to_float(in[i * ld + j]);
      }
  }
  float* own = part + warp() * WIDTH;
  UNROLL for (int k = 0; k < E; k += 4)
    if (whole) *(floatx4*)(own + lane() * E + k) = floatx4{s[k], s[k + 1], s[k + 2], s[k + 3]};
    else
      UNROLL for (int c = k; c < k + 4; c++) own[c * 32 + lane()] = s[c];
  sync_block();
  int t = threadIdx.x, j = column + t;
  if (t >= WIDTH || j >= cols) return;
  float sum = 0;
  UNROLL for (int w = 0; w < 8; w++) sum += part[w * WIDTH + t];
  float* p = out + (int64)blockIdx.y * cols + j;
  *p = accumulate ? *p + sum : sum;
}

KERNEL(256, 4) sum_rows__f32(float* out, const float* in, int rows, int cols, int64 ld, int chunk, int wide, int accumulate) {
  sum_rows(out, in, rows, cols, ld, chunk, wide, accumulate);
}
KERNEL(256, 4) sum_rows__bf16(float* out, const bf16* in, int rows, int cols, int64 ld, int chunk, int wide, int accumulate) {
  sum_rows(out, in, rows, cols, ld, chunk, wide, accumulate);
}
