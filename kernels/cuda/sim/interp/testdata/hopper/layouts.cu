// layouts.cu: D(64,128) = A(64,K) B(K,128) in every combination of major order and swizzle, one block: TMA brings tiles of
// 64 values of k in three stages, one warpgroup multiplies. A and B lie K-major (rows are m or n) or MN-major (rows are k).
#include "ptx_sm90.h"

// Tile describes rows of 64 bf16 along k (K-major) or rows of EXTENT along m or n (MN-major), cut into boxes of W bytes.
template <int EXTENT, int MN, int W> struct Tile {
  static constexpr int E = W / 2;
  static constexpr int BOXES = MN ? EXTENT / E : 64 / E;
  static constexpr int BOX = (MN ? 64 : EXTENT) * W;
  static constexpr int BYTES = EXTENT * 128;

  static DEVICE void load(uint32 dst, const TensorMap* map, uint32 bar, int k) {
    for (int i = 0; i < BOXES; i++) {
      if (MN) tma_load(dst + i * BOX, map, bar, i * E, k);
      else tma_load(dst + i * BOX, map, bar, k + i * E, 0);
    }
  }
  // The descriptor of the 16 values of k from 16*s.
  static DEVICE uint64 desc(uint32 p, int s) {
    uint32 at, leading = 16, stride;
    if (MN) {
      at = p + 16 * s * W;
      leading = W == 16 ? 128 : BOX;
      stride = W == 16 ? BOX : 8 * W;
    } else {
      at = p + 16 * s / E * BOX + 16 * s % E * 2;
      if (W == 16) leading = BOX;
      stride = 8 * W;
    }
    constexpr uint64 mode = W == 128 ? 1 : W == 64 ? 2 : W == 32 ? 3 : 0;
    return (uint64)((at & 0x3ffff) >> 4) | (uint64)(leading >> 4) << 16 | (uint64)(stride >> 4) << 32 | mode << 62;
  }
};

constexpr int STAGES = 3;

template <int TA, int TB, int W> DEV void multiply(const TensorMap* ma, const TensorMap* mb, float* d, int k) {
  SHARED(uint8, buffer);
  STATIC_SHARED(uint64, bars, 2 * STAGES);
  using A = Tile<64, TA, W>;
  using B = Tile<128, TB, W>;
  constexpr int STAGE = A::BYTES + B::BYTES;
  uint32 full = smem(bars), empty = full + 8 * STAGES, tiles = smem(buffer);
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      mbar_init(full + 8 * i, 1);
      mbar_init(empty + 8 * i, 128);
    }
    mbar_init_fence();
  }
  sync_block();
  int n = k / 64;
  if (warp() >= 4) {
    if (warp() == 4 && elect())
      for (int i = 0; i < n; i++) {
        int s = i % STAGES, parity = i / STAGES & 1;
        mbar_wait(empty + 8 * s, parity ^ 1);
        mbar_expect(full + 8 * s, STAGE);
        A::load(tiles + s * STAGE, ma, full + 8 * s, i * 64);
        B::load(tiles + s * STAGE + A::BYTES, mb, full + 8 * s, i * 64);
      }
    return;
  }
  float acc[64] = {};
  for (int i = 0; i < n; i++) {
    int s = i % STAGES, parity = i / STAGES & 1;
    mbar_wait(full + 8 * s, parity);
    wg_hold(acc);
    wg_fence();
    UNROLL for (int j = 0; j < 4; j++)
      wgmma<TA, TB>(acc, A::desc(tiles + s * STAGE, j), B::desc(tiles + s * STAGE + A::BYTES, j), 1);
    wg_commit();
    wg_wait<0>();
    wg_hold(acc);
    mbar_arrive(empty + 8 * s);
  }
  int row = warp() * 16 + lane() / 4, col = lane() % 4 * 2;
  UNROLL for (int j = 0; j < 16; j++)
    UNROLL for (int h = 0; h < 2; h++)
      UNROLL for (int e = 0; e < 2; e++) d[(row + 8 * h) * 128 + j * 8 + col + e] = acc[4 * j + 2 * h + e];
}

#define VARIANT(TA, TB, W, name) \
  KERNEL(256, 1) layout__##name(PARAM(TensorMap) a, PARAM(TensorMap) b, float* d, int k) { multiply<TA, TB, W>(&a, &b, d, k); }
#define SWIZZLES(TA, TB, name) \
  VARIANT(TA, TB, 16, name##_0) VARIANT(TA, TB, 32, name##_32) VARIANT(TA, TB, 64, name##_64) VARIANT(TA, TB, 128, name##_128)
SWIZZLES(0, 0, kk)
SWIZZLES(0, 1, kn)
SWIZZLES(1, 0, mk)
SWIZZLES(1, 1, mn)
