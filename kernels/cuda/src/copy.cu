// copy.cu: copies, conversions and fills. A copy moves every byte once each way, 16 bytes a lane where both sides are
// aligned; a conversion reads and writes 4 elements a lane: 12 bytes an element pair of f32 and bf16, 4 an f16 to bf16.
#include "ptx.h"

constexpr int THREADS = 256;

// Copies `units` elements of type T a row. Strides count elements of T.
template <class T> DEV void copy(T* dst, const T* src, int64 lddst, int64 ldsrc, int rows, int units) {
  uint32 all = (uint32)rows * units;
  ROLL for (uint32 c = blockIdx.x * THREADS + threadIdx.x; c < all; c += gridDim.x * THREADS) {
    int64 row = rows == 1 ? 0 : c / units;
    int col = c - (int)row * units;
    dst[row * lddst + col] = src[row * ldsrc + col];
  }
}
#define COPY(NAME, T)                                                                                                  \
  KERNEL(THREADS, 4) copy__##NAME(void* dst, const void* src, int64 lddst, int64 ldsrc, int rows, int units) { \
    copy((T*)dst, (const T*)src, lddst, ldsrc, rows, units);                                                           \
  }
COPY(x128, uint32x4)
COPY(x32, uint32)
COPY(x16, uint16)
COPY(x8, uint8)

DEV void load_four(float (&x)[4], const float* p) {
  uint32x4 r = load16(p);
  UNROLL for (int v = 0; v < 4; v++) x[v] = as_float(r[v]);
}
DEV void load_four(float (&x)[4], const bf16* p) {
  uint32x2 r = load8(p);
  UNROLL for (int v = 0; v < 2; v++) { x[2 * v] = low_bf16(r[v]); x[2 * v + 1] = high_bf16(r[v]); }
}
DEV void load_four(float (&x)[4], const f16* p) {
  uint32x2 r = load8(p);
  UNROLL for (int v = 0; v < 2; v++) { x[2 * v] = to_float(f16{(uint16)r[v]}); x[2 * v + 1] = to_float(f16{(uint16)(r[v] >> 16)}); }
}
DEV void store_four(float* p, const float (&x)[4]) { store16(p, uint32x4{as_uint(x[0]), as_uint(x[1]), as_uint(x[2]), as_uint(x[3])}); }
DEV void store_four(bf16* p, const float (&x)[4]) { store8(p, uint32x2{pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3])}); }

// Converts `units` times V elements a row.
template <int V, class D, class S> DEV void convert(D* dst, const S* src, int64 lddst, int64 ldsrc, int rows, int units) {
  uint32 all = (uint32)rows * units;
  ROLL for (uint32 c = blockIdx.x * THREADS + threadIdx.x; c < all; c += gridDim.x * THREADS) {
    int64 row = rows == 1 ? 0 : c / units;
    int col = (c - (int)row * units) * V;
    D* to = dst + row * lddst + col;
    const S* from = src + row * ldsrc + col;
    if constexpr (V == 4) {
      float x[4];
      load_four(x, from);
      store_four(to, x);
    } else {
      convert(*to, to_float(*from));
    }
  }
}
#define CONVERT(NAME, D, S)                                                                                           \
  KERNEL(THREADS, 4) convert__##NAME(void* dst, const void* src, int64 lddst, int64 ldsrc, int rows, int units) {       \
    convert<4>((D*)dst, (const S*)src, lddst, ldsrc, rows, units);                                                    \
  }                                                                                                                   \
  KERNEL(THREADS, 4) convert__##NAME##_single(void* dst, const void* src, int64 lddst, int64 ldsrc, int rows, int units) { \
    convert<1>((D*)dst, (const S*)src, lddst, ldsrc, rows, units);                                                    \
  }
CONVERT(bf16_f32, bf16, float)
CONVERT(f32_bf16, float, bf16)
CONVERT(f32_f16, float, f16)
CONVERT(bf16_f16, bf16, f16)

// Stores `units` times a pattern of bits a row.
template <class T> DEV void fill(T* dst, T v, int64 ld, int rows, int units) {
  uint32 all = (uint32)rows * units;
  ROLL for (uint32 c = blockIdx.x * THREADS + threadIdx.x; c < all; c += gridDim.x * THREADS) {
    int64 row = rows == 1 ? 0 : c / units;
    dst[row * ld + (c - (int)row * units)] = v;
  }
}
KERNEL(THREADS, 4) fill__x128(void* dst, uint32 v, int64 ld, int rows, int units) { fill((uint32x4*)dst, uint32x4{v, v, v, v}, ld, rows, units); }
KERNEL(THREADS, 4) fill__x32(void* dst, uint32 v, int64 ld, int rows, int units) { fill((uint32*)dst, v, ld, rows, units); }
KERNEL(THREADS, 4) fill__x16(void* dst, uint32 v, int64 ld, int rows, int units) { fill((uint16*)dst, (uint16)v, ld, rows, units); }
