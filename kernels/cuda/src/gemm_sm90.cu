// gemm_sm90.cu: products of bf16 matrices by wgmma for compute capability 9.0.
//
// out(m,n) = a·bᵀ; layouts and epilogues are those of gemm.cu. Blocks are persistent: as many as the card holds, each making one tile
// after another. Of its three warpgroups the first is the producer: one thread has TMA fill a ring of stages with slices of 64
// of k. The other two feed the tensor cores from it. Stages pass to and fro by two mbarriers each, full and empty.
//
// COOPERATIVE: both consumers make one tile, half of its rows each. Otherwise they take turns, and while one stores its tile the
// tensor cores work for the other (ping-pong): better where k is short. Blocks of a cluster of two make tiles above each other:
// each loads half of their common tile of b, for both.
//
// Shared memory has TMA's 128-byte swizzle. A K-major tile is rows of 64 k, an MN-major one blocks of 64 m or n by 64 rows of k, each
// 8 KB; wgmma reads both (see wg_desc), so there is one kernel for three layouts and no transpose. Results leave by gemm_finish_sm90.h.
#include "gemm_finish_sm90.h"

constexpr int BK = 64, THREADS = 384, BLOCK = 64 * 128;  // bytes of 64 rows of 128

// The tiles of a launch, in the order in which they are made; those of a cluster count as one.
template <int BM, int BN, int BLOCKS> struct Tiles {
  int m, n, k, slice, splits;
  int row, col, part, steps;  // of the present tile: its corner, slice of k, and steps in it
  DEVICE int down() const { return ceil_div(m, BM * BLOCKS); }
  DEVICE int across() const { return ceil_div(n, BN); }
  DEVICE int count() const { return down() * across() * splits; }
  DEVICE int steps_of(int id) const { return ceil_div(min(k - id / (down() * across()) * slice, slice), BK); }
  DEVICE bool at(int id) {
    int each = down() * across(), tm, tn;
    if (id >= each * splits) return false;
    part = id / each;
    tile_of(id - part * each, down(), across(), tm, tn);
    row = (tm * BLOCKS + (BLOCKS > 1 ? (int)cluster_rank() : 0)) * BM;
    col = tn * BN;
    steps = steps_of(id);
    return true;
  }
};

template <int BM, int BN, int STAGES, int BLOCKS, bool COOPERATIVE, bool A_KMAJOR, bool B_KMAJOR>
DEV void product(const TensorMap* a, const TensorMap* b, const Finish& e, int k, int slice, int splits) {
  constexpr int ROWS = COOPERATIVE ? BM / 2 : BM, MI = ROWS / 64, A_BYTES = BM * 128, B_BYTES = BN * 128, STAGE = A_BYTES + B_BYTES;
  constexpr int MINE = BN / BLOCKS;  // rows of b that this block loads
  static_assert(MINE % 64 == 0 && ROWS % 64 == 0, "blocks of 64");
  auto release = [](uint32 bar) DEVICE {  // a warp has read a stage
    if (BLOCKS == 1 && lane() == 0) mbar_arrive(bar);
    if (BLOCKS > 1 && lane() < BLOCKS) mbar_arrive_remote(bar, lane());
  };
  SHARED(uint8, sm);
  uint32 ring = smem(sm), staging = ring + STAGES * STAGE, full = staging + 8 * 4096, empty = full + STAGES * 8;
  int group = shuffle((int)threadIdx.x / 128, 0);  // known to be one for the warp: descriptors stay in uniform registers
  if (threadIdx.x == 0) {
    tma_prefetch(a), tma_prefetch(b), tma_prefetch(e.out);
    for (int s = 0; s < STAGES; s++) {
      mbar_init(full + s * 8, 1);
      mbar_init(empty + s * 8, (COOPERATIVE ? 8 : 4) * BLOCKS);  // every warp that reads the stage, and those of the other block
    }
    mbar_init_fence();
  }
  if (BLOCKS > 1) cluster_sync();
  else sync_block();

  if (group == 0) {
    regs_dec<24>();
    if (leads()) {
      Tiles<BM, BN, BLOCKS> tiles{e.m, e.n, k, slice, splits};
      uint32 rank = BLOCKS > 1 ? cluster_rank() : 0;
      int stage = 0;
      uint32 phase = 1;
      for (int id = blockIdx.x / BLOCKS; tiles.at(id); id += gridDim.x / BLOCKS) {
        for (int t = 0; t < tiles.steps; t++) {
          uint32 bar = full + stage * 8, to = ring + stage * STAGE;
          int k0 = tiles.part * slice + t * BK;
          mbar_wait(empty + stage * 8, phase);
          mbar_expect(bar, STAGE);
          if (A_KMAJOR) {
            tma_load(to, a, bar, k0, tiles.row);
          } else {
            UNROLL for (int i = 0; i < BM; i += 64) tma_load(to + i * 128, a, bar, tiles.row + i, k0);
          }
          to += A_BYTES + rank * MINE * 128;
          int col = tiles.col + rank * MINE;
          auto load_b = [&](uint32 to, int x, int y) DEVICE {
            if (BLOCKS > 1) tma_load_multicast(to, b, bar, (1 << BLOCKS) - 1, x, y);
            else tma_load(to, b, bar, x, y);
          };
          if (B_KMAJOR) {
            load_b(to, k0, col);
          } else {
            UNROLL for (int i = 0; i < MINE; i += 64) load_b(to + i * 128, col + i, k0);
          }
          if (++stage == STAGES) stage = 0, phase ^= 1;
        }
      }
    }
    sync_warp();
  } else {
    regs_inc<240>();
    Tiles<BM, BN, BLOCKS> tiles{e.m, e.n, k, slice, splits};
    int w = group - 1, rows = COOPERATIVE ? w * ROWS : 0;
    Buffers buffers{staging + (warp() - 4) * 4096, e.writes_pre()};
    float acc[MI][BN / 2] = {};
    int stage = 0;
    uint32 phase = 0;
    auto before = [&]() DEVICE { return empty + (stage == 0 ? STAGES - 1 : stage - 1) * 8; };
    auto skip = [&](int id) DEVICE {  // the other's tile
      if (id >= tiles.count()) return;
      int s = stage + tiles.steps_of(id);
      phase ^= s / STAGES & 1;
      stage = s % STAGES;
    };
    // A consumer starts when the other has seen all of its tile come: mbarriers tell apart only two phases that follow each other.
    constexpr int TURN = 1, TAKERS = COOPERATIVE ? 1 : 2;
    int id = blockIdx.x / BLOCKS, stride = gridDim.x / BLOCKS;
    if (!COOPERATIVE && w == 1) {
      bar_arrive(TURN, 256);
      skip(id);
      id += stride;
    }
    for (; id < tiles.count(); id += TAKERS * stride) {
      if (!COOPERATIVE) bar_sync(TURN + w, 256);
      int steps = tiles.steps_of(id);
ROLL
      for (int t = 0; t < steps; t++) {
        mbar_wait(full + stage * 8, phase);
        uint32 at_a = ring + stage * STAGE, at_b = at_a + A_BYTES;
        uint64 da = wg_desc(at_a + rows * 128), db = wg_desc(at_b, B_KMAJOR ? 16 : BLOCK);
        wg_fence();
UNROLL
        for (int kk = 0; kk < BK / 16; kk++)
UNROLL
          for (int i = 0; i < MI; i++)
            wgmma<!A_KMAJOR, !B_KMAJOR>(acc[i], wg_step(da, i * BLOCK + kk * (A_KMAJOR ? 32 : 2048)), wg_step(db, kk * (B_KMAJOR ? 32 : 2048)),
              t + kk > 0);
        wg_commit();
        wg_wait<1>();  // the step before is done: its stage is free
        if (t > 0) release(before());
        if (++stage == STAGES) stage = 0, phase ^= 1;
      }
      if (!COOPERATIVE && id + stride < tiles.count()) bar_arrive(TURN + 1 - w, 256);
      uint32 last = before();
      tiles.at(id);
      int row = tiles.row + rows + warp() % 4 * 16, col = tiles.col;
      Fetched f;
      if (COOPERATIVE) e.fetch(f, row + lane() / 4, col + lane() % 4 * 2);
      wg_wait<0>();
      UNROLL for (int i = 0; i < MI; i++) wg_hold(acc[i]);
      release(last);
      if (!COOPERATIVE) skip(id + stride);
      if (COOPERATIVE && e.plain()) store_rows(e, buffers, f, acc, row, col, tiles.part);
      else finish_rows<COOPERATIVE>(e, buffers, f, acc, row, col, tiles.part);
    }
    if (elect()) bulk_wait<0>();
    sync_warp();
  }
  if (BLOCKS > 1) cluster_sync();  // the other block may still send here, and count on these barriers
}

#define GEMM_PARAMETERS_SM90 PARAM(TensorMap) a, PARAM(TensorMap) b, PARAM(TensorMap) out, PARAM(TensorMap) pre_out, \
  const void* bias, const void* pre, const void* residual, int m, int n, int k, int ldp, int ldr, int slice, int splits, int act, \
  float scale, uint32 flags
#define GEMM_KERNEL(NAME, A_KMAJOR, B_KMAJOR, BM, BN, STAGES, BLOCKS, COOPERATIVE) \
  CLUSTER(BLOCKS) KERNEL(THREADS, 1) NAME(GEMM_PARAMETERS_SM90) { \
    Finish e{&out, &pre_out, bias, pre, residual, m, n, ldp, ldr, act, scale, flags}; \
    product<BM, BN, STAGES, BLOCKS, COOPERATIVE, A_KMAJOR, B_KMAJOR>(&a, &b, e, k, slice, splits); }
#define GEMM_LAYOUTS(TILE, ...) \
  GEMM_KERNEL(gemmsm90__nt_##TILE, true, true, __VA_ARGS__) \
  GEMM_KERNEL(gemmsm90__nn_##TILE, true, false, __VA_ARGS__) \
  GEMM_KERNEL(gemmsm90__tn_##TILE, false, false, __VA_ARGS__)
GEMM_LAYOUTS(128x256_pair, 128, 256, 4, 2, true)
GEMM_LAYOUTS(128x256, 128, 256, 4, 1, true)
GEMM_LAYOUTS(128x128_pair, 128, 128, 6, 2, true)
GEMM_LAYOUTS(128x128_turns, 128, 128, 6, 1, false)
GEMM_LAYOUTS(128x128_turns_pair, 128, 128, 6, 2, false)
