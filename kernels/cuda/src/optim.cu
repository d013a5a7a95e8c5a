// optim.cu: the norm of the gradient, and AdamW.
//
// The norm reads 4 bytes an element, 64 KiB a piece, and writes one number for each of at most 4096 blocks; AdamW moves 30
// bytes a parameter with BF16 weights (reads g, m, v, master; writes m, v, master, w), 28 with F32 weights (reads g, m, v, w;
// writes m, v, w). All accesses are 16 bytes a lane (8 for BF16), each thread has eight of them under way, and the 80 machine
// instructions of a parameter are a third of what an H100 issues while its memory moves 30 bytes: memory is the bound.
#include "vector.h"

enum { LR, C1, C2, NORM, SCALE, BOUND, SKIP };   // of the control block

constexpr int SQUARES = 16384, UPDATES = 2048;   // elements of a piece

// partial[b] = Σ x² over pieces b, b + blocks, ...; a row has per_row pieces.
KERNEL(256, 4) square_sums__f32(float* partial, const float* x, int64 cols, int64 ld, int pieces, int per_row, int wide) {
  STATIC_SHARED(float, red, 8);
  float s[4] = {};
  for (int p = blockIdx.x; p < pieces; p += gridDim.x) {
    int64 row = p / per_row, first = (int64)(p - (int)row * per_row) * SQUARES;
    int n = (int)min(cols - first, (int64)SQUARES);
    const float* at = x + row * ld + first;
    int i = threadIdx.x * 4;
    for (; wide && i + 3 * 1024 + 4 <= n; i += 4 * 1024) {
      floatx4 v[4];
      UNROLL for (int u = 0; u < 4; u++) v[u] = *(const floatx4*)(at + i + u * 1024);
      UNROLL for (int u = 0; u < 4; u++)
        UNROLL for (int k = 0; k < 4; k++) s[k] = fma(v[u][k], v[u][k], s[k]);
    }
    for (; i < n; i += 1024) {
      float v[4];
      load_four(v, at + i, n - i, wide);
      UNROLL for (int k = 0; k < 4; k++) s[k] = fma(v[k], v[k], s[k]);
    }
  }
  float sum = block_sum<256>((s[0] + s[1]) + (s[2] + s[3]), red);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// norm is √Σ partial.
DEV float norm(const float* partial, int n, float* red) {
  float s = 0;
  for (int i = threadIdx.x; i < n; i += 1024) s += partial[i];
  return sqrt(block_sum<1024>(s, red));
}

// The norm and the factor that clips to limit, in the control block.
KERNEL(1024, 1) finish_norm__clip(float* out, const float* partial, int n, float limit) {
  STATIC_SHARED(float, red, 32);
  float r = norm(partial, n, red);
  if (threadIdx.x) return;
  float scale = div(limit, r + 1e-6f);
  out[NORM] = r;
  out[SCALE] = limit > 0 && !(scale > 1) ? scale : 1;
  out[SKIP] = !(r <= 3.402823466e38f) || (out[BOUND] > 0 && r > out[BOUND]);
}
// The factor that makes the norm 1.
KERNEL(1024, 1) finish_norm__inverse(float* out, const float* partial, int n, float limit) {
  STATIC_SHARED(float, red, 32);
  float r = norm(partial, n, red);
  if (threadIdx.x == 0) *out = div(limit, r + 1e-7f);
}

// One piece of AdamW. rest1 and rest2 are 1 - β, rounded once.
template <class W>
DEV void adamw(W* w, float* master, float* m, float* v, const float* g, const float* control, int64 cols, int64 ldw,
               int64 ldmaster, int64 ldm, int64 ldv, int64 ldg, int per_row, int wide, float beta1, float rest1, float beta2,
               float rest2, float eps, float decay, float lr_scale) {
  int64 row = blockIdx.x / per_row, first = (int64)(blockIdx.x % per_row) * UPDATES;
  int n = (int)min(cols - first, (int64)UPDATES);
  w += row * ldw + first, master += row * ldmaster + first, m += row * ldm + first, v += row * ldv + first, g += row * ldg + first;
  if (control[SKIP] != 0) return;
  float lr = control[LR] * lr_scale, clip = control[SCALE];
  float keep = 1 - lr * decay, step = div(lr, control[C1]), root = div(1, sqrt(control[C2]));
  float gs[2][4], ms[2][4], vs[2][4], ws[2][4];
  UNROLL for (int h = 0; h < 2; h++) {
    int i = h * 1024 + threadIdx.x * 4, rest = n - i;
    load_four(gs[h], g + i, rest, wide);
    load_four(ms[h], m + i, rest, wide);
    load_four(vs[h], v + i, rest, wide);
    load_four(ws[h], master + i, rest, wide);
  }
  UNROLL for (int h = 0; h < 2; h++) {
    int i = h * 1024 + threadIdx.x * 4, rest = n - i;
    UNROLL for (int k = 0; k < 4; k++) {
      float d = gs[h][k] * clip;
      ms[h][k] = fma(beta1, ms[h][k], rest1 * d);
      vs[h][k] = fma(beta2, vs[h][k], rest2 * (d * d));
      float rms = fma(sqrt(vs[h][k]), root, eps);
      ws[h][k] = fma(keep, ws[h][k], -step * div(ms[h][k], rms));
    }
    store_four(m + i, ms[h], rest, wide);
    store_four(v + i, vs[h], rest, wide);
    store_four(master + i, ws[h], rest, wide);
    if (sizeof(W) == 2) store_four(w + i, ws[h], rest, wide);
  }
}

#define ADAMW(name, W) \
  KERNEL(256, 4) adamw__##name(W* w, float* master, float* m, float* v, const float* g, const float* control, int64 cols, \
                               int64 ldw, int64 ldmaster, int64 ldm, int64 ldv, int64 ldg, int per_row, int wide, float beta1, \
                               float rest1, float beta2, float rest2, float eps, float decay, float lr_scale) { \
    adamw(w, master, m, v, g, control, cols, ldw, ldmaster, ldm, ldv, ldg, per_row, wide, beta1, rest1, beta2, rest2, eps, \
          decay, lr_scale); \
  }
ADAMW(f32, float)
ADAMW(bf16, bf16)
