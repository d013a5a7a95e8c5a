// gemm.cu: C(M,N) = A(M,K) B(N,K)' as a Hopper kernel does it: two blocks of a cluster share the columns of B by multicast;
// one producer warp, two consumer warpgroups of 64 rows, three stages, registers moved between warpgroups, an epilogue through
// shared memory and a TMA store. Blocks compute 128 by 64.
#include "scopes.h"

constexpr int STAGES = 3, A_BYTES = 128 * 128, B_BYTES = 64 * 128, STAGE = A_BYTES + B_BYTES;

CLUSTER(2) KERNEL(384, 1) gemm(PARAM(TensorMap) ma, PARAM(TensorMap) mb, PARAM(TensorMap) mc, int k) {
  SHARED(uint8, buffer);
  STATIC_SHARED(uint64, bars, 2 * STAGES);
  uint32 full = smem(bars), empty = full + 8 * STAGES, tiles = smem(buffer), out = tiles + STAGES * STAGE;
  uint32 rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      mbar_init(full + 8 * i, 1);
      mbar_init(empty + 8 * i, 4);  // two consumers of each block
    }
    mbar_init_fence();
  }
  cluster_sync();
  int n = k / 64, row = blockIdx.x * 128, col = blockIdx.y * 64;
  int group = warp() / 4;
  if (group == 0) {
    regs_dec<24>();
    if (warp() == 0 && elect()) {
      for (int i = 0; i < n; i++) {
        int s = i % STAGES, parity = i / STAGES & 1;
        uint32 a = tiles + s * STAGE, b = a + A_BYTES + rank * (B_BYTES / 2);
        wait_cluster(empty + 8 * s, parity ^ 1);
        mbar_expect(full + 8 * s, STAGE);
        tma_load(a, &ma, full + 8 * s, i * 64, row);
        tma_load_multicast(b, &mb, full + 8 * s, 3, i * 64, col + rank * 32);
      }
      for (int i = n; i < n + STAGES; i++)  // the other block may still signal: do not end before
        wait_cluster(empty + 8 * (i % STAGES), (i / STAGES & 1) ^ 1);
    }
    return;
  }
  regs_inc<240>();
  float acc[32] = {};
  for (int i = 0; i < n; i++) {
    int s = i % STAGES, parity = i / STAGES & 1;
    uint32 a = tiles + s * STAGE + (group - 1) * (A_BYTES / 2), b = tiles + s * STAGE + A_BYTES;
    wait_cluster(full + 8 * s, parity);
    wg_hold(acc);
    wg_fence();
    UNROLL for (int j = 0; j < 4; j++) wgmma(acc, wg_step(wg_desc(a), 32 * j), wg_step(wg_desc(b), 32 * j), 1);
    wg_commit();
    if (i > 0) {
      wg_wait<1>();
      if (threadIdx.x % 128 < 2) arrive_remote(empty + 8 * ((i - 1) % STAGES), threadIdx.x % 128);
    }
  }
  wg_wait<0>();
  wg_hold(acc);
  if (threadIdx.x % 128 < 2) arrive_remote(empty + 8 * ((n - 1) % STAGES), threadIdx.x % 128);
  // 64 rows of 128 bytes per warpgroup, swizzled as the tensor map says.
  uint32 tile = out + (group - 1) * 64 * 128;
  int r = warp() % 4 * 16 + lane() % 16;
  UNROLL for (int j = 0; j < 4; j++) {
    int chunk = 2 * j + lane() / 16;
    stmatrix4(tile + r * 128 + (chunk ^ r % 8) * 16, pack_bf16(acc[8 * j], acc[8 * j + 1]), pack_bf16(acc[8 * j + 2], acc[8 * j + 3]),
              pack_bf16(acc[8 * j + 4], acc[8 * j + 5]), pack_bf16(acc[8 * j + 6], acc[8 * j + 7]));
  }
  fence_async();
  PTX("bar.sync %0, 128;" :: "r"(group) : "memory");
  if (threadIdx.x % 128 == 0) {
    tma_store(&mc, tile, col, row + (group - 1) * 64);
    bulk_commit();
    bulk_wait_read<0>();
  }
}
