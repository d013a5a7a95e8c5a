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
// 8 KB; wgmma reads both (see wg_desc), so there is one kernel for three layouts and no transpose.
//
// On its way out, a warp's 16 rows pass through 2 KB of shared memory, 128 bytes a row, and leave by TMA, which also cuts off what is
// outside out. Whatever else belongs to an epilogue is read straight from memory, one step ahead of its use.
#include "ptx_sm90.h"
#include "gemm_epilogue.h"

constexpr int BK = 64, THREADS = 384, BLOCK = 64 * 128;  // bytes of 64 rows of 128

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

// The epilogue, as in gemm_epilogue.h, with these limits: pre, where it is stored, has the type of out; GRADIENT excludes residual, so
// that one matrix at most is read.
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

// Buffers is a warp's two buffers, 1024-byte aligned, which leave in the order of send.
struct Buffers {
  uint32 base;
  bool both;  // may be filled at the same time, so that neither may be on its way when it is taken
  int turn = 0;
  // The next buffer, once TMA has read what it held. All lanes.
  DEVICE uint32 take() {
    uint32 b = base + turn * 2048;
    turn ^= 1;
    if (lane() == 0 && both) bulk_wait_read<0>();
    else if (lane() == 0) bulk_wait_read<1>();
    sync_warp();
    return b;
  }
  DEVICE void send(uint32 buffer, const TensorMap* map, int col, int row, int slice) {
    fence_async();
    sync_warp();
    if (lane() == 0) tma_store(map, buffer, col, row, slice);
    if (lane() == 0) bulk_commit();
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
  int group = threadIdx.x / 128;
  if (threadIdx.x == 0) {
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
    if (threadIdx.x == 0) {
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
    if (lane() == 0) bulk_wait<0>();
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
