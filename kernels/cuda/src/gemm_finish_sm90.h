// gemm_finish_sm90.h: the epilogue of gemm_sm90.cu: from the accumulators of wgmma to memory.
//
// A warp's 16 rows pass through 2 KB of shared memory, 128 bytes a row, and leave by TMA, which also cuts off what is outside out.
// Whatever else belongs to an epilogue is read straight from memory, pairs of columns as the accumulators have them, one step ahead of
// its use.
#pragma once
#include "ptx_sm90.h"
#include "gemm_epilogue.h"

// Four pairs of neighbours in a row, eight columns apart, as they lie in memory: bf16 pairs in the first word. Those at `left` columns
// and beyond do not exist and are 0.
struct Pairs {
  floatx2 v[4];
  DEVICE void fetch(const void* p, bool half, int64 i, int left) {
UNROLL
    for (int j = 0; j < 4; j++) v[j] = floatx2{0, 0};
    if (half) {
      const bf16* q = (const bf16*)p + i;
      UNROLL for (int j = 0; j < 4; j++) if (j * 8 < left) v[j].x = as_float(*(const uint32*)(q + j * 8));
    } else {
      const float* q = (const float*)p + i;
      UNROLL for (int j = 0; j < 4; j++) if (j * 8 < left) v[j] = *(const floatx2*)(q + j * 8);
    }
  }
  DEVICE floatx2 get(int j, bool half) const {
    uint32 u = as_uint(v[j].x);
    return half ? floatx2{low_bf16(u), high_bf16(u)} : v[j];
  }
};

// What a thread fetches for 32 columns of its two rows.
struct Fetched { Pairs bias, row[2]; };

// The epilogue, as in gemm_epilogue.h, with these limits: n is even; pre, where it is stored, has the type of out; GRADIENT excludes
// residual, so that one matrix at most is read.
struct Finish {
  const TensorMap *out, *pre_out;  // 3-d: column, row, slice of k
  const void *bias, *pre, *residual;
  int m, n, ldp, ldr, act;
  float scale;
  uint32 flags;

  DEVICE bool reads_pre() const { return flags & GRADIENT; }
  DEVICE bool plain() const { return !pre && act == NO_ACTIVATION; }
  DEVICE bool writes_pre() const { return pre && !(flags & GRADIENT); }
  // Fetches pairs of columns col, col+8, ... of rows row and row+8.
  DEVICE void fetch(Fetched& f, int row, int col) const {
    const void* p = reads_pre() ? pre : residual;
    bool half = flags & (reads_pre() ? PRE_BF16 : RESIDUAL_BF16);
    int64 ld = reads_pre() ? ldp : ldr;
    if (bias) f.bias.fetch(bias, flags & BIAS_BF16, col, n - col);
    if (p) { UNROLL for (int h = 0; h < 2; h++) f.row[h].fetch(p, half, (row + h * 8) * ld + col, row + h * 8 < m ? n - col : 0); }
  }
  // Scales 32 columns of two rows, as wgmma has them, and adds bias.
  DEVICE void start(float (&v)[16], const Fetched& f) const {
    if (bias) {
      bool half = flags & BIAS_BF16;
UNROLL
      for (int j = 0; j < 4; j++) {
        floatx2 b = f.bias.get(j, half);
        v[4 * j] = fma(v[4 * j], scale, b.x), v[4 * j + 1] = fma(v[4 * j + 1], scale, b.y);
        v[4 * j + 2] = fma(v[4 * j + 2], scale, b.x), v[4 * j + 3] = fma(v[4 * j + 3], scale, b.y);
      }
    } else {
      UNROLL for (int j = 0; j < 16; j++) v[j] = mul(v[j], scale);
    }
  }
  // What was fetched of the rows, in the order of v.
  DEVICE void rows_of(float (&x)[16], const Fetched& f) const {
    bool half = flags & (reads_pre() ? PRE_BF16 : RESIDUAL_BF16);
UNROLL
    for (int j = 0; j < 8; j++) {
      floatx2 w = f.row[j & 1].get(j >> 1, half);
      x[2 * j] = w.x, x[2 * j + 1] = w.y;
    }
  }
  // v = f(v), or v·f'(x) if GRADIENT. GELU, which the fused projections of GPT have, is unrolled; the others would be too long.
  DEVICE void function(float (&v)[16], const float (&x)[16]) const {
    if (act == GELU) {
      if (reads_pre()) { UNROLL for (int j = 0; j < 16; j++) v[j] *= gelu_slope(x[j]); }
      else { UNROLL for (int j = 0; j < 16; j++) v[j] = gelu(v[j]); }
    } else if (act != NO_ACTIVATION) {
ROLL
      for (int s = 0; s < 4; s++) {
        float y[4], z[4];
UNROLL
        for (int i = 0; i < 4; i++) {
          if (i == s) { UNROLL for (int j = 0; j < 4; j++) y[j] = v[i * 4 + j], z[j] = x[i * 4 + j]; }
        }
        if (reads_pre()) activation_gradient(act, y, z);
        else activate(act, y);
UNROLL
        for (int i = 0; i < 4; i++) {
          if (i == s) { UNROLL for (int j = 0; j < 4; j++) v[i * 4 + j] = y[j]; }
        }
      }
    }
  }
};

// Puts 32 columns of 16 rows into a buffer of 128-byte rows; half: they are columns 32 part .. of 64.
DEV void put(uint32 buffer, bool half, int part, const float (&v)[16]) {
  int l = lane();
  if (half) {
    int row = l & 15;
UNROLL
    for (int j = 0; j < 4; j += 2) {
      int chunk = part * 4 + j + (l >> 4);
      stmatrix4(buffer + row * 128 + ((chunk ^ (row & 7)) << 4), pack_bf16(v[4 * j], v[4 * j + 1]), pack_bf16(v[4 * j + 2], v[4 * j + 3]),
        pack_bf16(v[4 * j + 4], v[4 * j + 5]), pack_bf16(v[4 * j + 6], v[4 * j + 7]));
    }
  } else {
UNROLL
    for (int h = 0; h < 2; h++) {
      int row = (l >> 2) + h * 8;
UNROLL
      for (int j = 0; j < 4; j++) {
        int chunk = j * 2 + (l >> 1 & 1);
        PTX("st.shared.v2.f32 [%0], {%1,%2};" :: "r"(buffer + row * 128 + ((chunk ^ (row & 7)) << 4) + (l & 1) * 8),
            "f"(v[4 * j + h * 2]), "f"(v[4 * j + h * 2 + 1]) : "memory");
      }
    }
  }
}

// Buffers is a warp's two buffers, 1024-byte aligned, which leave in the order of send. One lane has all business with TMA.
struct Buffers {
  uint32 base;
  bool both;  // may be filled at the same time, so that neither may be on its way when it is taken
  int turn = 0;
  // The next buffer, once TMA has read what it held. All lanes.
  DEVICE uint32 take() {
    uint32 b = base + turn * 2048;
    turn ^= 1;
    if (elect()) {
      if (both) bulk_wait_read<0>();
      else bulk_wait_read<1>();
    }
    sync_warp();
    return b;
  }
  DEVICE void send(uint32 buffer, const TensorMap* map, int col, int row, int slice) {
    fence_async();
    sync_warp();
    if (elect()) tma_store(map, buffer, col, row, slice), bulk_commit();
  }
};

// Finishes and stores a warp's accumulators of MI wgmmas, which are 64 rows apart: 16 rows from `row`, N*2 columns from `col`.
// What belongs to them is fetched one step AHEAD, which hides its latency, or not where the other consumer hides it.
template <bool AHEAD, int MI, int N> DEV void finish_rows(const Finish& e, Buffers& buffers, Fetched& f, const float (&acc)[MI][N], int row, int col, int slice) {
  constexpr int GROUPS = N / 16;
  int g = lane() >> 2, q = (lane() & 3) * 2;
  bool half = e.flags & OUT_BF16;
  uint32 to = 0, to_pre = 0;
ROLL
  for (int s = 0; s < MI * GROUPS; s++) {
    float v[16];
UNROLL
    for (int i = 0; i < MI * GROUPS; i++) {  // registers have no index: s is one of these
      if (i == s) { UNROLL for (int j = 0; j < 16; j++) v[j] = acc[i / GROUPS][i % GROUPS * 16 + j]; }
    }
    int c = col + s % GROUPS * 32, part = half ? s & 1 : 0;
    if (!AHEAD) e.fetch(f, row + g, c + q);
    e.start(v, f);
    float x[16];
    if (e.reads_pre() || e.residual) e.rows_of(x, f);
    if (AHEAD && s + 1 < MI * GROUPS) e.fetch(f, row + g + ((s + 1) % GROUPS ? 0 : 64), col + (s + 1) % GROUPS * 32 + q);
    if (e.writes_pre()) {
      if (part == 0) to_pre = buffers.take();
      put(to_pre, half, part, v);
      if (part == half) buffers.send(to_pre, e.pre_out, c - part * 32, row, slice);
    }
    e.function(v, x);
    if (e.residual) { UNROLL for (int j = 0; j < 16; j++) v[j] += x[j]; }
    if (part == 0) to = buffers.take();
    put(to, half, part, v);
    if (part == half) buffers.send(to, e.out, c - part * 32, row, slice);
    if ((s + 1) % GROUPS == 0) row += 64;
  }
}

// finish_rows where there are scale, bias and residual alone, and nothing that hides the work: unrolled, with a few instructions for
// an element.
template <int MI, int N> DEV void store_rows(const Finish& e, Buffers& buffers, Fetched& f, const float (&acc)[MI][N], int row, int col, int slice) {
  constexpr int GROUPS = N / 16;
  int g = lane() >> 2, q = (lane() & 3) * 2;
  bool half = e.flags & OUT_BF16;
  uint32 to = 0;
UNROLL
  for (int s = 0; s < MI * GROUPS; s++) {
    int c = col + s % GROUPS * 32, r = row + s / GROUPS * 64;
    float v[16], x[16];
    UNROLL for (int j = 0; j < 16; j++) v[j] = acc[s / GROUPS][s % GROUPS * 16 + j];
    e.start(v, f);
    if (e.residual) {
      e.rows_of(x, f);
      UNROLL for (int j = 0; j < 16; j++) v[j] += x[j];
    }
    if (s + 1 < MI * GROUPS) e.fetch(f, row + (s + 1) / GROUPS * 64 + g, col + (s + 1) % GROUPS * 32 + q);
    if (s % 2 == 0 || !half) to = buffers.take();
    put(to, half, half ? s % 2 : 0, v);
    if (s % 2 == 1 || !half) buffers.send(to, e.out, half ? c - 32 : c, r, slice);
  }
}
