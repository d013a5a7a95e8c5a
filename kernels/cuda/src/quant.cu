// quant.cu: quantised weights, unpacked for a product with many rows, or multiplied as they are with few.
//
// NF4 has two weights in a byte, the first in its high half, and a scale for 64; Q8 one in a byte and a scale for 32. A weight is
// code·scale in f32, rounded to the type that is multiplied.
//
// Unpacking moves 0.56 (NF4) or 1.13 (Q8) bytes in and 2 (BF16) or 4 out for a weight. A product with few rows reads each weight
// once, packed: memory is its bound for one row, a quarter or half of what BF16 weights take. NF4 codes come from a table in
// shared memory.
#include "vector.h"
#include "gemv.h"

// kernels.NF4Codes.
DEV float nf4_code(int i) {
  constexpr float CODES[16] = {-1.f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
    0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.f};
  float v = CODES[0];
  UNROLL for (int k = 1; k < 16; k++) v = i == k ? CODES[k] : v;
  return v;
}

constexpr int UNIT = 8;   // weights that are unpacked together

// Puts the codes where eight_weights looks for them. All threads.
template <bool NF4> DEV void table_of_codes(float* codes) {
  if (!NF4) return;
  if (threadIdx.x < 16) codes[threadIdx.x] = nf4_code(threadIdx.x);
  sync_block();
}

// The weights i .. i+7 of a row, i a multiple of 8; aligned: rows of w begin at multiples of 8 bytes.
template <bool NF4> DEV void eight_weights(float (&v)[UNIT], const uint8* w, const float* scales, int i, bool aligned, const float* codes) {
  float s = scales[i / (NF4 ? 64 : 32)];
  uint32 b[2] = {};
  const uint8* p = w + (NF4 ? i / 2 : i);
  constexpr int WORDS = NF4 ? 1 : 2;
UNROLL
  for (int k = 0; k < WORDS; k++) {
    if (aligned) b[k] = ((const uint32*)p)[k];
    else UNROLL for (int j = 0; j < 4; j++) b[k] |= (uint32)p[k * 4 + j] << (8 * j);
  }
UNROLL
  for (int j = 0; j < UNIT; j++) {
    if (NF4) v[j] = mul(codes[b[0] >> (j / 2 * 8 + (j % 2 ? 0 : 4)) & 15], s);
    else v[j] = mul((float)((int)(b[j / 4] << (24 - j % 4 * 8)) >> 24), s);
  }
}

// out(rows,cols), dense, from the columns first .. of w.
template <class T, bool NF4> DEV void unpack(T* out, const uint8* w, const float* scales, int rows, int cols, int first, int64 ldw,
                                             int64 lds, int aligned) {
  STATIC_SHARED(float, codes, 16);
  table_of_codes<NF4>(codes);
  int64 units = (int64)rows * (cols / UNIT);
  for (int64 u = (int64)blockIdx.x * 256 + threadIdx.x; u < units; u += (int64)gridDim.x * 256) {
    int64 row = u / (cols / UNIT);
    int i = (int)(u - row * (cols / UNIT)) * UNIT;
    float v[UNIT];
    eight_weights<NF4>(v, w + row * ldw, scales + row * lds, first + i, aligned, codes);
    store_eight(out + row * cols + i, v, UNIT, true);
  }
}

#define UNPACK(NAME, T, NF4) \
  KERNEL(256, 4) quant_unpack__##NAME(T* out, const uint8* w, const float* scales, int rows, int cols, int first, int64 ldw, int64 lds, \
                                      int aligned) { \
    unpack<T, NF4>(out, w, scales, rows, cols, first, ldw, lds, aligned); }
UNPACK(nf4_f32, float, true)
UNPACK(nf4_bf16, bf16, true)
UNPACK(q8_f32, float, false)
UNPACK(q8_bf16, bf16, false)

DEV float rounded(float v, const float*) { return v; }
DEV float rounded(float v, const bf16*) { return to_float(to_bf16(v)); }

// Up to ROWS rows of a; a warp has two columns of the result, a lane eight weights of each at a time.
template <class T, bool NF4, int ROWS> DEV void few(const Epilogue& e, const T* a, const uint8* w, const float* scales, int m, int k,
                                                    int64 lda, int64 ldw, int64 lds, int aligned, int wide) {
  STATIC_SHARED(float, part, ROWS * PITCH);
  STATIC_SHARED(float, codes, 16);
  table_of_codes<NF4>(codes);
  int own = blockIdx.x * COLUMNS + warp() * 2;
  float s[2][ROWS] = {};
  for (int i = lane() * UNIT; i < k; i += 32 * UNIT) {
    float v[2][UNIT] = {};
UNROLL
    for (int c = 0; c < 2; c++)
      if (own + c < e.n) {
        eight_weights<NF4>(v[c], w + (own + c) * ldw, scales + (own + c) * lds, i, aligned, codes);
        UNROLL for (int j = 0; j < UNIT; j++) v[c][j] = rounded(v[c][j], a);
      }
UNROLL
    for (int r = 0; r < ROWS; r++) {
      if (r >= m) break;
      float x[UNIT];
      load_eight(x, a + r * lda + i, UNIT, wide);
      UNROLL for (int c = 0; c < 2; c++)
        UNROLL for (int j = 0; j < UNIT; j++) s[c][r] = fma(v[c][j], x[j], s[c][r]);
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int c = 0; c < 2; c++) {
      float v = warp_sum(s[c][r]);
      if (lane() == 0) part[r * PITCH + warp() * 2 + c] = v;
    }
  sync_block();
  finish_columns<1, ROWS>(e, part, m);
}

#define FEW(NAME, T, NF4, ROWS) \
  KERNEL(256, 2) quant_few__##NAME##_##ROWS(void* out, const T* a, const uint8* w, const float* scales, const void* bias, void* pre, \
      const void* residual, int m, int n, int k, int64 lda, int64 ldw, int64 lds, int ldo, int ldp, int ldr, int act, float scale, uint32 flags, \
      int aligned, int wide) { \
    few<T, NF4, ROWS>({out, bias, pre, residual, n, ldo, ldp, ldr, act, scale, flags}, a, w, scales, m, k, lda, ldw, lds, aligned, wide); }
FEW(nf4_f32, float, true, 1)
FEW(nf4_bf16, bf16, true, 1)
FEW(q8_f32, float, false, 1)
FEW(q8_bf16, bf16, false, 1)
FEW(nf4_f32, float, true, 8)
FEW(nf4_bf16, bf16, true, 8)
FEW(q8_f32, float, false, 8)
FEW(q8_bf16, bf16, false, 8)
