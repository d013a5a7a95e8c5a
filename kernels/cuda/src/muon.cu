// muon.cu: what Muon does element by element; the rest is matrix products.
//
// mix reads g and the momentum and writes the momentum and u (16 bytes an element), normalise reads and writes u (8), update
// reads u and w and writes w (12, or 14 with a BF16 copy): memory is the bound, and small beside the 15 products.
#include "vector.h"

enum { LR, C1, C2, NORM, SCALE, BOUND, SKIP };   // of the control block

constexpr int PIECE = 2048;   // elements of one step of a block; a row has per_row of them

// mom = μ·mom + g, u = g + μ·mom with g scaled by the control block; partial[b] is Σ u² of block b. u is dense. Of a step
// that is skipped u is zero, and mom stays.
KERNEL(256, 4) muon_mix__f32(float* u, float* mom, const float* g, const float* control, float* partial, int cols, int64 ldmom,
                             int64 ldg, int pieces, int per_row, int wide, float momentum) {
  STATIC_SHARED(float, red, 8);
  float scale = control[SCALE], sum = 0;
  bool skip = control[SKIP] != 0;
  for (int p = blockIdx.x; p < pieces; p += gridDim.x) {
    int64 row = p / per_row;
    int first = p % per_row * PIECE;
    UNROLL for (int h = 0; h < 2; h++) {
      int j = first + h * 1024 + threadIdx.x * 4, rest = cols - j;
      float gs[4], ms[4], us[4];
      load_four(gs, g + row * ldg + j, rest, wide);
      load_four(ms, mom + row * ldmom + j, rest, wide);
      UNROLL for (int k = 0; k < 4; k++) {
        float d = gs[k] * scale;
        ms[k] = fma(momentum, ms[k], d);
        us[k] = fma(momentum, ms[k], d);
        sum = fma(us[k], us[k], sum);
      }
      if (skip) us[0] = us[1] = us[2] = us[3] = sum = 0;
      else store_four(mom + row * ldmom + j, ms, rest, wide);
      store_four(u + row * cols + j, us, rest, wide);
    }
  }
  sum = block_sum<256>(sum, red);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// u(n) *= *factor.
KERNEL(256, 4) muon_normalise__f32(float* u, const float* factor, int64 n, int wide) {
  float f = *factor;
  int64 first = (int64)blockIdx.x * PIECE;
  UNROLL for (int h = 0; h < 2; h++) {
    int64 i = first + h * 1024 + threadIdx.x * 4;
    int rest = (int)min(n - i, (int64)4);
    float us[4];
    load_four(us, u + i, rest, wide);
    UNROLL for (int k = 0; k < 4; k++) us[k] *= f;
    store_four(u + i, us, rest, wide);
  }
}

// w = (1 - lr·λ)·w - lr·step·u. u is dense.
template <class W>
DEV void muon_update(W* w, float* master, const float* u, const float* control, int cols, int64 ldw, int64 ldmaster, int per_row,
                     int wide, float decay, float lr_scale, float step) {
  if (control[SKIP] != 0) return;
  float lr = control[LR] * lr_scale, keep = 1 - lr * decay, change = -lr * step;
  int64 row = blockIdx.x / per_row;
  int first = blockIdx.x % per_row * PIECE;
  UNROLL for (int h = 0; h < 2; h++) {
    int j = first + h * 1024 + threadIdx.x * 4, rest = cols - j;
    float ws[4], us[4];
    load_four(ws, master + row * ldmaster + j, rest, wide);
    load_four(us, u + row * cols + j, rest, wide);
    UNROLL for (int k = 0; k < 4; k++) ws[k] = fma(change, us[k], keep * ws[k]);
    store_four(master + row * ldmaster + j, ws, rest, wide);
    if (sizeof(W) == 2) store_four(w + row * ldw + j, ws, rest, wide);
  }
}

#define MUON_UPDATE(name, W) \
  KERNEL(256, 4) muon_update__##name(W* w, float* master, const float* u, const float* control, int cols, int64 ldw, \
                                     int64 ldmaster, int per_row, int wide, float decay, float lr_scale, float step) { \
    muon_update(w, master, u, control, cols, ldw, ldmaster, per_row, wide, decay, lr_scale, step); \
  }
MUON_UPDATE(f32, float)
MUON_UPDATE(bf16, bf16)
