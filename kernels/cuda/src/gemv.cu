// gemv.cu: products with few rows, as in generation: out(m,n) = a(m,k)·b(n,k)ᵀ and what Epilogue says.
//
// Each weight is read once, 2 or 4 bytes for 2·m operations: memory is the bound. A block has 16 columns of the result, that
// is, rows of b, and its 8 warps read 16 bytes a lane with eight accesses under way: 32 KiB a block in BF16. In BF16 the tensor
// cores multiply, and as the sum over k may go in any order, a lane's 16 bytes are operands as they are: the k of
// its fragments are permuted, alike in a and b. In F32 each warp has two columns, and m is a constant.
//
// k is a multiple of 8 and rows begin at multiples of 16 bytes: for others there is gemm.
#include "ptx_sm80.h"
#include "gemv.h"

constexpr int WARPS = 8;

#define GEMV_PARAMETERS(T) void* out, const T* a, const T* b, const void* bias, void* pre, const void* residual, int m, int n, \
  int k, int64 lda, int64 ldb, int ldo, int ldp, int ldr, int act, float scale, uint32 flags

// ROWS is 8, 16 or 32. Warp w sums steps w, w + 8, ... of 32 k.
template <int ROWS> DEV void gemv_bf16(const Epilogue& e, const bf16* a, const bf16* b, int m, int k, int64 lda, int64 ldb) {
  STATIC_SHARED(float, part, WARPS * ROWS * PITCH);
  constexpr int TILES = ROWS / 8, UNROLLED = ROWS > 8 ? 2 : 4;
  int g = lane() / 4, q = lane() % 4, column = blockIdx.x * COLUMNS;
  bool low = column + g < e.n, high = column + g + 8 < e.n;
  const bf16 *bl = b + (column + g) * ldb + q * 8, *bh = bl + 8 * ldb, *at = a + g * lda + q * 8;
  float d[TILES][4] = {};
  for (int start = warp() * 32; start < k; start += WARPS * 32 * UNROLLED) {
    uint32x4 l[UNROLLED], h[UNROLLED], x[UNROLLED][TILES];
    UNROLL for (int u = 0; u < UNROLLED; u++) {
      int i = start + u * WARPS * 32;
      bool there = i + q * 8 < k;
      l[u] = there && low ? load16_stream(bl + i) : uint32x4{};
      h[u] = there && high ? load16_stream(bh + i) : uint32x4{};
      UNROLL for (int r = 0; r < TILES; r++) x[u][r] = there && g + r * 8 < m ? load16(at + r * 8 * lda + i) : uint32x4{};
    }
    UNROLL for (int u = 0; u < UNROLLED; u++)
      UNROLL for (int c = 0; c < 4; c += 2) {
        uint32 w[4] = {l[u][c], h[u][c], l[u][c + 1], h[u][c + 1]};
        UNROLL for (int r = 0; r < TILES; r++) mma_bf16(d[r], w, x[u][r][c], x[u][r][c + 1]);
      }
  }
  UNROLL for (int r = 0; r < TILES; r++)
    UNROLL for (int i = 0; i < 4; i++) part[(warp() * ROWS + r * 8 + q * 2 + i % 2) * PITCH + g + i / 2 * 8] = d[r][i];
  sync_block();
  finish_columns<WARPS, ROWS>(e, part, m);
}

// Up to ROWS rows; a warp has two columns.
template <int ROWS> DEV void gemv_f32(const Epilogue& e, const float* a, const float* b, int m, int k, int64 lda, int64 ldb) {
  STATIC_SHARED(float, part, ROWS * PITCH);
  constexpr int UNROLLED = ROWS > 4 ? 2 : 4;
  int column = blockIdx.x * COLUMNS, own = column + warp() * 2;
  const float* at = b + own * ldb;
  float s[2][ROWS] = {};
  for (int start = lane() * 4; start < k; start += 128 * UNROLLED) {
    floatx4 w[UNROLLED][2], x[UNROLLED][ROWS];
    UNROLL for (int u = 0; u < UNROLLED; u++) {
      int i = start + u * 128;
      UNROLL for (int c = 0; c < 2; c++) w[u][c] = i < k && own + c < e.n ? *(const floatx4*)(at + c * ldb + i) : floatx4{};
      UNROLL for (int r = 0; r < ROWS; r++) x[u][r] = i < k && r < m ? *(const floatx4*)(a + r * lda + i) : floatx4{};
    }
    UNROLL for (int u = 0; u < UNROLLED; u++)
      UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < 2; c++)
          UNROLL for (int j = 0; j < 4; j++) s[c][r] = fma(w[u][c][j], x[u][r][j], s[c][r]);
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int c = 0; c < 2; c++) {
      float v = warp_sum(s[c][r]);
      if (lane() == 0) part[r * PITCH + warp() * 2 + c] = v;
    }
  sync_block();
  finish_columns<1, ROWS>(e, part, m);
}

#define GEMV(T, ROWS) \
  KERNEL(256, 2) gemv__##T##_##ROWS(GEMV_PARAMETERS(GEMV_##T)) { \
    gemv_##T<ROWS>({out, bias, pre, residual, n, ldo, ldp, ldr, act, scale, flags}, a, b, m, k, lda, ldb); \
  }
#define GEMV_bf16 bf16
#define GEMV_f32 float
GEMV(bf16, 8)
GEMV(bf16, 16)
GEMV(bf16, 32)
GEMV(f32, 1)
GEMV(f32, 4)
GEMV(f32, 8)
