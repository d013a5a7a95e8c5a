// dropout.cu: dropout by Philox4x32-10 (Salmon et al. 2011). Moves 2s bytes an element of s bytes. A generator call for each
// element, of which one word is used, is what the contract asks for, so that no batch or vector width shows in the numbers:
// some 80 instructions an element make arithmetic, not memory, the bound: an H100 takes 1.3 times as long as its memory for
// f32, 2.3 times for bf16.
#include "forms.h"

constexpr int THREADS = 256;

// The first word of the generator at counter (c0, c1, c2, c3) under a key.
DEV uint32 philox(uint32 c0, uint32 c1, uint32 c2, uint32 c3, uint32 k0, uint32 k1) {
  UNROLL for (int round = 0; round < 10; round++) {
    uint64 p0 = (uint64)0xd2511f53u * c0, p1 = (uint64)0xcd9e8d57u * c2;
    c0 = (uint32)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32)p1;
    c2 = (uint32)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32)p0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return c0;
}

// y = x·scale where the random word is at least threshold, 0 elsewhere. A sample has `per` rows of `cols`
// elements; the first row is number first_row.
template <class M>
DEV void dropout(void* y, const void* x, const uint32* rng, int64 ldy, int64 ldx, int rows, int chunks, int first_row, int per, int cols, uint32 half,
                 uint32 site, uint32 threshold, float scale) {
  uint32 k0 = rng[0], k1 = rng[1];
  uint64 first = (uint64)rng[3] << 32 | rng[2];
  each_chunk<M::V, THREADS>(rows, chunks, [&](int64 row, int col) {
    auto r = M::load(x, row * ldx + col, half & 2);
    uint32 i = first_row + (uint32)row, in = i / per;
    uint64 sample = first + in;
    uint32 element = (i - in * per) * cols + col;
    float a[M::V];
    M::widen(a, r, half & 2);
    UNROLL for (int v = 0; v < M::V; v++) {
      uint32 word = philox((uint32)sample, (uint32)(sample >> 32), site, element + v, k0, k1);
      a[v] = word >= threshold ? a[v] * scale : 0;
    }
    M::store(y, row * ldy + col, half & 1, a);
  });
}
#define DROPOUT(NAME, M)                                                                                                \
  KERNEL(THREADS, 4) dropout__##NAME(void* y, const void* x, const uint32* rng, int64 ldy, int64 ldx, int rows, int chunks, int first_row, \
                                     int per, int cols, uint32 half, uint32 site, uint32 threshold, float scale) {               \
    dropout<M>(y, x, rng, ldy, ldx, rows, chunks, first_row, per, cols, half, site, threshold, scale);                           \
  }
FORMS(DROPOUT)
