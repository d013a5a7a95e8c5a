// forms.h: how kernels that move memory read and write it.
//
// A thread handles V elements that lie side by side. The host chooses one of four forms of a kernel:
//
//	F32     all operands are f32:   4 elements, 16 bytes each way
//	BF16    all operands are bf16:  8 elements, 16 bytes
//	MIXED   either, by a bit each:  4 elements, 16 or 8 bytes
//	SINGLE  either, any alignment:  1 element
//
// In the first three, addresses and row strides are multiples of the access and columns a multiple of V. A warp's access is
// contiguous in all of them. load leaves bits as they are, so that a thread can have several loads under way.
#pragma once
#include "ptx.h"

struct F32 {
  static constexpr int V = 4;
  typedef uint32x4 Raw;
  static DEVICE Raw load(const void* p, int64 i, uint32) { return load16((const float*)p + i); }
  static DEVICE void widen(float (&x)[V], Raw r, uint32) {
    UNROLL for (int v = 0; v < V; v++) x[v] = as_float(r[v]);
  }
  static DEVICE void store(void* p, int64 i, uint32, const float (&x)[V]) {
    store16((float*)p + i, uint32x4{as_uint(x[0]), as_uint(x[1]), as_uint(x[2]), as_uint(x[3])});
  }
};

struct BF16 {
  static constexpr int V = 8;
  typedef uint32x4 Raw;
  static DEVICE Raw load(const void* p, int64 i, uint32) { return load16((const bf16*)p + i); }
  static DEVICE void widen(float (&x)[V], Raw r, uint32) {
    UNROLL for (int v = 0; v < 4; v++) { x[2 * v] = low_bf16(r[v]); x[2 * v + 1] = high_bf16(r[v]); }
  }
  static DEVICE void store(void* p, int64 i, uint32, const float (&x)[V]) {
    store16((bf16*)p + i, uint32x4{pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7])});
  }
};

// In MIXED and SINGLE, half says that an operand is bf16. It is the same for all threads.
struct MIXED {
  static constexpr int V = 4;
  typedef uint32x4 Raw;
  static DEVICE Raw load(const void* p, int64 i, uint32 half) {
    if (!half) return load16((const float*)p + i);
    uint32x2 r = load8((const bf16*)p + i);
    return uint32x4{r.x, r.y, 0, 0};
  }
  static DEVICE void widen(float (&x)[V], Raw r, uint32 half) {
    x[0] = half ? low_bf16(r.x) : as_float(r.x);
    x[1] = half ? high_bf16(r.x) : as_float(r.y);
    x[2] = half ? low_bf16(r.y) : as_float(r.z);
    x[3] = half ? high_bf16(r.y) : as_float(r.w);
  }
  static DEVICE void store(void* p, int64 i, uint32 half, const float (&x)[V]) {
    if (half) store8((bf16*)p + i, uint32x2{pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3])});
    else F32::store(p, i, 0, x);
  }
};

struct SINGLE {
  static constexpr int V = 1;
  typedef uint32 Raw;
  static DEVICE Raw load(const void* p, int64 i, uint32 half) {
    return half ? (uint32)((const uint16*)p)[i] << 16 : ((const uint32*)p)[i];
  }
  static DEVICE void widen(float (&x)[V], Raw r, uint32) { x[0] = as_float(r); }
  static DEVICE void store(void* p, int64 i, uint32 half, const float (&x)[V]) {
    if (half) ((bf16*)p)[i] = to_bf16(x[0]);
    else ((float*)p)[i] = x[0];
  }
};

// V numbers of f32, whose address is a multiple of 16 unless V is 1.
template <int V> DEV void load_floats(float (&x)[V], const float* p) {
  if constexpr (V == 1) {
    x[0] = *p;
  } else {
    UNROLL for (int v = 0; v < V; v += 4) {
      uint32x4 r = load16(p + v);
      UNROLL for (int i = 0; i < 4; i++) x[v + i] = as_float(r[i]);
    }
  }
}
template <int V> DEV void store_floats(float* p, const float (&x)[V]) {
  if constexpr (V == 1) {
    *p = x[0];
  } else {
    UNROLL for (int v = 0; v < V; v += 4)
      store16(p + v, uint32x4{as_uint(x[v]), as_uint(x[v + 1]), as_uint(x[v + 2]), as_uint(x[v + 3])});
  }
}

// FORMS instantiates a kernel for all forms: DEFINE(name, form).
#define FORMS(DEFINE) DEFINE(f32, F32) DEFINE(bf16, BF16) DEFINE(mixed, MIXED) DEFINE(single, SINGLE)

// fetch is load and widen at once.
template <class M> DEV void fetch(float (&x)[M::V], const void* p, int64 i, uint32 half) { M::widen(x, M::load(p, i, half), half); }

// each_chunk calls f(row, first column) for all chunks of V elements of `rows` rows of `chunks`, spread over the grid.
// rows times chunks is below 2^31.
template <int V, int THREADS, class F> DEV void each_chunk(int rows, int chunks, F f) {
  uint32 all = (uint32)rows * chunks;
  ROLL for (uint32 c = blockIdx.x * THREADS + threadIdx.x; c < all; c += gridDim.x * THREADS) {
    uint32 row = rows == 1 ? 0 : c / chunks;
    f((int64)row, (int)(c - row * chunks) * V);
  }
}
