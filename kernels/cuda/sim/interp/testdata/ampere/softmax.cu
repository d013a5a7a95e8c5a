// Softmax of a row per block, the row kept in shared memory.
#include "device.h"

extern SHARED float row[];

KERNEL(256) softmax(float* y, const float* x, int cols) {
  float* red = row + cols;
  int t = threadIdx.x, warp = t / 32;
  y += (u64)blockIdx.x * cols;
  x += (u64)blockIdx.x * cols;
  float m = -1e30f, s = 0;
  for (int i = t; i < cols; i += 256) {
    float v = x[i] * 1.44269504f;
    row[i] = v;
    m = v > m ? v : m;
  }
  UNROLL
  for (int o = 16; o; o >>= 1) { float v = shfl_xor(m, o); m = v > m ? v : m; }
  if (t % 32 == 0) red[warp] = m;
  sync();
  m = red[0];
  for (int i = 1; i < 8; i++) m = red[i] > m ? red[i] : m;
  sync();
  for (int i = t; i < cols; i += 256) s += row[i] = ex2(row[i] - m);
  UNROLL
  for (int o = 16; o; o >>= 1) s += shfl_xor(s, o);
  if (t % 32 == 0) red[warp] = s;
  sync();
  s = 0;
  for (int i = 0; i < 8; i++) s += red[i];
  for (int i = t; i < cols; i += 256) y[i] = row[i] / s;
}
