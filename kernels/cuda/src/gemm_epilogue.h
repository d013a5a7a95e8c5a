// gemm_epilogue.h: what a product does to its result on the way to memory; the same for every gemm kernel.
//
// Results arrive four to a thread, neighbours in a row, so that whatever belongs to them moves in accesses of 16 bytes (f32) or
// 8 (bf16). Everything that varies is uniform in the launch: a few branches for four elements cost less than a kernel
// for each of the hundreds of combinations.
#pragma once
#include "ptx.h"
#include "activation.h"

// Flags of a product. VECTOR: out, bias, pre and residual lie so that four elements are one access.
constexpr uint32 OUT_BF16 = 1, BIAS_BF16 = 2, PRE_BF16 = 4, RESIDUAL_BF16 = 8, GRADIENT = 16, VECTOR = 32;

// out(·,n) = f(scale·product + bias) + residual, with the argument of f stored in pre; or, if GRADIENT,
// scale·product·f'(pre) + residual. Pointers may be null, except out. pre (if GRADIENT) and residual may be out.
struct Epilogue {
  void* out; const void* bias; void* pre; const void* residual;
  int n, ldo, ldp, ldr, act;
  float scale;
  uint32 flags;
};

// v = elements i .. i+3, of which only the first `count` exist unless whole.
DEV void load_four(float (&v)[4], const void* p, bool half, int64 i, bool whole, int count) {
  if (half) {
    const bf16* q = (const bf16*)p + i;
    if (whole) {
      uint32x2 w = load8(q);
      v[0] = low_bf16(w.x); v[1] = high_bf16(w.x); v[2] = low_bf16(w.y); v[3] = high_bf16(w.y);
    } else {
      UNROLL for (int j = 0; j < 4; j++) v[j] = j < count ? to_float(q[j]) : 0.f;
    }
  } else {
    const float* q = (const float*)p + i;
    if (whole) {
      floatx4 w = *(const floatx4*)q;
      v[0] = w.x; v[1] = w.y; v[2] = w.z; v[3] = w.w;
    } else {
      UNROLL for (int j = 0; j < 4; j++) v[j] = j < count ? q[j] : 0.f;
    }
  }
}

DEV void store_four(void* p, bool half, int64 i, bool whole, int count, const float (&v)[4]) {
  if (half) {
    bf16* q = (bf16*)p + i;
    if (whole) {
      store8(q, uint32x2{pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3])});
    } else {
      UNROLL for (int j = 0; j < 4; j++) if (j < count) q[j] = to_bf16(v[j]);
    }
  } else {
    float* q = (float*)p + i;
    if (whole) {
      *(floatx4*)q = floatx4{v[0], v[1], v[2], v[3]};
    } else {
      UNROLL for (int j = 0; j < 4; j++) if (j < count) q[j] = v[j];
    }
  }
}

// Finishes and stores columns col .. col+3 (< n, col a multiple of 4) of a row that exists.
DEV void finish(const Epilogue& e, int row, int col, float (&v)[4]) {
  int count = e.n - col;
  bool whole = (e.flags & VECTOR) && count >= 4;
  UNROLL for (int j = 0; j < 4; j++) v[j] = mul(v[j], e.scale);
  if (e.bias) {
    float b[4];
    load_four(b, e.bias, e.flags & BIAS_BF16, col, whole, count);
    UNROLL for (int j = 0; j < 4; j++) v[j] += b[j];
  }
  if (e.flags & GRADIENT) {
    float x[4];
    load_four(x, e.pre, e.flags & PRE_BF16, (int64)row * e.ldp + col, whole, count);
    activation_gradient(e.act, v, x);
  } else {
    if (e.pre) store_four(e.pre, e.flags & PRE_BF16, (int64)row * e.ldp + col, whole, count, v);
    activate(e.act, v);
  }
  if (e.residual) {
    float r[4];
    load_four(r, e.residual, e.flags & RESIDUAL_BF16, (int64)row * e.ldr + col, whole, count);
    UNROLL for (int j = 0; j < 4; j++) v[j] += r[j];
  }
  store_four(e.out, e.flags & OUT_BF16, (int64)row * e.ldo + col, whole, count, v);
}

// The tile of a block: tiles are visited in groups of eight rows of tiles, column by column, so that the blocks that run
// at the same time share operands in the second-level cache.
DEV void tile_of(int id, int tiles_m, int tiles_n, int& tm, int& tn) {
  constexpr int GROUP = 8;
  int group = id / (GROUP * tiles_n), first = group * GROUP, rows = min(GROUP, tiles_m - first);
  int local = id - group * GROUP * tiles_n;
  tm = first + local % rows;
  tn = local / rows;
}

// All gemm kernels of compute capability 8.0 have these parameters: out(m,n) = a·bᵀ and what Epilogue says. Rows of out beyond
// the first m belong to the partial sums of slice blockIdx.y, each over `slice` elements of the k that are summed.
#define GEMM_PARAMETERS(T) void* out, const T* a, const T* b, const void* bias, void* pre, const void* residual, \
  int m, int n, int k, int lda, int ldb, int ldo, int ldp, int ldr, int slice, int act, float scale, uint32 flags
