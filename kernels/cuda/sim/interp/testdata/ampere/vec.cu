// Element-wise kernels: one value per thread, and 16-byte vectors.
#include "device.h"

KERNEL(256) axpy(float* y, const float* x, float a, int n) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}

struct alignas(16) vec8 { u32 w[4]; };

DEV float gelu1(float x) { return 0.5f * x * (1 + tanh(0.7978845608f * (x + 0.044715f * x * x * x))); }

// gelu of n bfloat16, n a multiple of 8
KERNEL(256) gelu(vec8* y, const vec8* x, int n) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i >= n / 8) return;
  vec8 v = x[i];
  UNROLL
  for (int j = 0; j < 4; j++) v.w[j] = pack(gelu1(bf(v.w[j])), gelu1(bf(v.w[j] >> 16)));
  y[i] = v;
}

// sum over all blocks; the last block to finish adds the partial sums and leaves the counter at zero
KERNEL(128) total(float* out, float* partial, u32* done, const float* x, int n) {
  SHARED static float warp[4];
  SHARED static u32 last;
  float s = 0;
  for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) s += x[i];
  UNROLL
  for (int o = 16; o; o >>= 1) s += shfl_xor(s, o);
  if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = s;
  sync();
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = warp[0] + warp[1] + warp[2] + warp[3];
    PTX("fence.acq_rel.gpu;" ::: "memory");
    u32 n;
    PTX("atom.global.add.u32 %0, [%1], 1;" : "=r"(n) : "l"(done) : "memory");
    last = n == gridDim.x - 1;
    PTX("fence.acq_rel.gpu;" ::: "memory");
  }
  sync();
  if (last && threadIdx.x == 0) {
    float t = 0;
    for (int i = 0; i < (int)gridDim.x; i++) t += partial[i];
    *out = t;
    *done = 0;
  }
}

// counts of 64 buckets, gathered in shared memory
KERNEL(128) histogram(u32* counts, const int* x, int n) {
  SHARED static u32 bins[64];
  if (threadIdx.x < 64) bins[threadIdx.x] = 0;
  sync();
  for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128)
    PTX("red.shared.add.u32 [%0], 1;" ::"r"(shared_address(&bins[x[i] & 63])) : "memory");
  sync();
  if (threadIdx.x < 64) PTX("red.global.add.u32 [%0], %1;" ::"l"(&counts[threadIdx.x]), "r"(bins[threadIdx.x]) : "memory");
}
