// gemm_f32.cu: products where an operand is f32, in true f32: one fused multiplication and addition for each term.
//
// out(m,n) = a·bᵀ; layout names as in gemm.cu. Operands may be f32 or bf16, aligned or not. A block owns a tile, a thread owns
// rows and columns of it in groups of four neighbours. Slices of 8 or 16 of k pass through registers, where they become f32, into
// one of two buffers of shared memory, laid out with k along columns whatever the operand's layout is.
#include "gemm_epilogue.h"

// Flags of the operands: stored as bf16, and aligned so that four elements are one access.
constexpr uint32 A_BF16 = 256, B_BF16 = 512, A_VECTOR = 1024, B_VECTOR = 2048;

constexpr int THREADS = 256;

// The position of element (k, i) of a buffer of BK by ROWS: groups of 128/BK are exchanged so that the threads that turn a K-major
// operand around write to different banks.
template <int ROWS, int BK> DEV int at(int k, int i) { return k * ROWS + (i ^ k / 4 % (BK / 4) * (128 / BK)); }

// A Loader is one thread's share of the copies of an operand's slices, which it makes in order of k.
template <int ROWS, int BK, bool KMAJOR> struct Loader {
  static constexpr int GROUPS = (KMAJOR ? BK : ROWS) / 4, STEP = THREADS / GROUPS, COUNT = ROWS * BK / 4 / THREADS;
  int64 next;         // the first element of the next slice
  int rows, columns;  // of memory that exist from there on
  int r, c;
  float v[COUNT][4];

  DEVICE Loader(int ld, int first, int extent, int k0, int k_end) {
    r = threadIdx.x / GROUPS, c = threadIdx.x % GROUPS * 4;
    int row = (KMAJOR ? first : k0) + r, column = (KMAJOR ? k0 : first) + c;
    rows = (KMAJOR ? extent : k_end) - row;
    columns = (KMAJOR ? k_end : extent) - column;
    next = (int64)row * ld + column;
  }
  // Starts the loads of the next slice; what does not exist is zero.
  DEVICE void load(const void* p, int ld, bool half, bool vector) {
UNROLL
    for (int i = 0; i < COUNT; i++)
      load_four(v[i], p, half, next + (int64)(i * STEP) * ld, vector && i * STEP < rows && columns >= 4, i * STEP < rows ? columns : 0);
    next += KMAJOR ? BK : (int64)BK * ld;
    (KMAJOR ? columns : rows) -= BK;
  }
  DEVICE void store(float* buffer) const {
UNROLL
    for (int i = 0; i < COUNT; i++) {
      if (KMAJOR) {
        UNROLL for (int j = 0; j < 4; j++) buffer[at<ROWS, BK>(c + j, r + i * STEP)] = v[i][j];
      } else {
        *(floatx4*)(buffer + at<ROWS, BK>(r + i * STEP, c)) = floatx4{v[i][0], v[i][1], v[i][2], v[i][3]};
      }
    }
  }
};

// A thread owns GM by GN groups of 4 by 4, BM/GM rows and BN/GN columns apart. A warp's threads are 4 by 8.
template <int BM, int BN, int BK, bool A_KMAJOR, bool B_KMAJOR> DEV void product(GEMM_PARAMETERS(void)) {
  constexpr int GM = BM / 64, GN = BN / 64;
  STATIC_SHARED(float, buffers, 2 * BK * (BM + BN));
  int tm, tn;
  tile_of(blockIdx.x, ceil_div(m, BM), ceil_div(n, BN), tm, tn);
  int k0 = blockIdx.y * slice, k_end = min(k, k0 + slice), tiles = max(0, ceil_div(k_end - k0, BK));
  Loader<BM, BK, A_KMAJOR> load_a(lda, tm * BM, m, k0, k_end);
  Loader<BN, BK, B_KMAJOR> load_b(ldb, tn * BN, n, k0, k_end);
  auto load = [&]() DEVICE {
    load_a.load(a, lda, flags & A_BF16, flags & A_VECTOR);
    load_b.load(b, ldb, flags & B_BF16, flags & B_VECTOR);
  };
  int row = (warp() / 2 * 4 + lane() / 8) * 4, col = (warp() % 2 * 8 + lane() % 8) * 4;
  float acc[GM * 4][GN][4] = {};

  if (tiles > 0) {
    load();
    load_a.store(buffers), load_b.store(buffers + BK * BM);
  }
  sync_block();
  ROLL for (int t = 0; t < tiles; t++) {
    float* as = buffers + t % 2 * BK * (BM + BN);
    float* bs = as + BK * BM;
    bool more = t + 1 < tiles;
    if (more) load();
#pragma unroll 4
    for (int kk = 0; kk < BK; kk++) {
      floatx4 x[GM], y[GN];
      UNROLL for (int i = 0; i < GM; i++) x[i] = *(const floatx4*)(as + at<BM, BK>(kk, i * 64 + row));
      UNROLL for (int j = 0; j < GN; j++) y[j] = *(const floatx4*)(bs + at<BN, BK>(kk, j * 64 + col));
UNROLL
      for (int i = 0; i < GM * 4; i++)
UNROLL
        for (int j = 0; j < GN * 4; j++) acc[i][j / 4][j % 4] = fma(x[i / 4][i % 4], y[j / 4][j % 4], acc[i][j / 4][j % 4]);
    }
    if (more) {  // the other buffer was read before the last barrier
      as = buffers + (t + 1) % 2 * BK * (BM + BN);
      load_a.store(as), load_b.store(as + BK * BM);
    }
    sync_block();
  }

  if (gridDim.y > 1) out = (float*)out + (int64)blockIdx.y * m * ldo, n = ldo;  // partial sums, rows padded with zeros
  Epilogue e{out, bias, pre, residual, n, ldo, ldp, ldr, act, scale, flags};
ROLL
  for (int s = 0; s < GM * 4 * GN; s++) {
    float v[4];
UNROLL
    for (int i = 0; i < GM * 4 * GN; i++) {  // registers have no index: s is one of these
      if (i == s) { UNROLL for (int j = 0; j < 4; j++) v[j] = acc[i / GN][i % GN][j]; }
    }
    int r = tm * BM + s / GN / 4 * 64 + row + s / GN % 4, c = tn * BN + s % GN * 64 + col;
    if (r < m && c < n) finish(e, r, c, v);
  }
}

#define GEMM_KERNEL(NAME, BM, BN, BK, BLOCKS, A_KMAJOR, B_KMAJOR) \
  KERNEL(THREADS, BLOCKS) NAME(GEMM_PARAMETERS(void)) { \
    product<BM, BN, BK, A_KMAJOR, B_KMAJOR>(out, a, b, bias, pre, residual, m, n, k, lda, ldb, ldo, ldp, ldr, slice, act, scale, flags); }
#define GEMM_LAYOUTS(TILE, ...) \
  GEMM_KERNEL(gemmf32__nt_##TILE, __VA_ARGS__, true, true) \
  GEMM_KERNEL(gemmf32__nn_##TILE, __VA_ARGS__, true, false) \
  GEMM_KERNEL(gemmf32__tn_##TILE, __VA_ARGS__, false, false)
GEMM_LAYOUTS(128x128, 128, 128, 8, 2)
GEMM_LAYOUTS(64x64, 64, 64, 16, 3)

// Adds the slices of a product in order and finishes it. slices is f32 (count, m, ld), ld a multiple of 4.
KERNEL(256, 4) gemmreduce__f32(void* out, const float* slices, const void* bias, void* pre, const void* residual,
    int m, int n, int ld, int ldo, int ldp, int ldr, int count, int act, float scale, uint32 flags) {
  Epilogue e{out, bias, pre, residual, n, ldo, ldp, ldr, act, scale, flags};
  int groups = ceil_div(n, 4);
  int64 total = (int64)m * groups, size = (int64)m * ld;
  for (int64 i = blockIdx.x * 256ll + threadIdx.x; i < total; i += gridDim.x * 256ll) {
    int row = i / groups, col = i % groups * 4;
    const float* p = slices + (int64)row * ld + col;
    floatx4 sum = *(const floatx4*)p;
    for (int s = 1; s < count; s++) sum += *(const floatx4*)(p + s * size);
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
    finish(e, row, col, v);
  }
}
