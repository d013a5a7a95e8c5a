// gemm.cu: products of bf16 matrices by mma.sync for compute capability 8.0 and newer.
//
// out(m,n) = a·bᵀ. An operand is K-major if the summed index runs along its rows, as x and w of a projection do; otherwise it is
// stored transposed, a as (k,m) and b as (k,n), and ldmatrix transposes it on the way to the tensor cores: no operand is
// ever rewritten. Layout names: n for an operand with k along its columns, t for one along its rows, a first, in the
// sense of BLAS: nt is x·wᵀ, nn is dy·w, tn is dyᵀ·x.
//
// A block owns a tile, and warps own rectangles of it. Slices of 32 of k arrive by cp.async in a ring of stages. 16-byte
// chunks are swizzled by exclusive-or with bits of the row: neither the copies nor ldmatrix meet a bank conflict. Fragments
// are loaded one step ahead of the tensor cores (AHEAD) where registers allow; elsewhere a second
// block on the multiprocessor hides that latency.
#include "ptx_sm80.h"
#include "gemm_epilogue.h"

constexpr int BK = 32;

// A tile of ROWS rows or columns (m or n) by BK of k. The address of a chunk is base + at(r, c): row r of memory, chunk c in it.
template <int ROWS, bool KMAJOR> struct Tile {
  static constexpr int BYTES = ROWS * BK * 2, CHUNKS = KMAJOR ? BK / 8 : ROWS / 8;
  static DEVICE uint32 at(int r, int c) {
    return r * (CHUNKS * 16) + ((c ^ (KMAJOR ? r >> 1 & 3 : r & 7)) << 4); }
};

// A Loader is one thread's share of the copies of an operand's tiles, which it makes in order of k.
template <int ROWS, bool KMAJOR, int THREADS, bool ALIGNED> struct Loader {
  using T = Tile<ROWS, KMAJOR>;
  static constexpr int STEP = THREADS / T::CHUNKS, COUNT = ROWS * BK / 8 / THREADS;
  static_assert(STEP % 8 == 0 && COUNT * THREADS * 8 == ROWS * BK, "the swizzle must not depend on i");
  const bf16* p;
  int ld;
  int rows, columns;  // of memory that exist from the thread's first chunk of the next tile on
  uint32 to;

  DEVICE Loader(const bf16* operand, int ld, int first, int extent, int k0, int k_end) : ld(ld) {
    int r = threadIdx.x / T::CHUNKS, c = threadIdx.x % T::CHUNKS;
    to = T::at(r, c);
    int row = (KMAJOR ? first : k0) + r, column = (KMAJOR ? k0 : first) + c * 8;
    rows = (KMAJOR ? extent : k_end) - row;
    columns = (KMAJOR ? k_end : extent) - column;
    p = operand + (int64)row * ld + column;
  }

  // Starts the copy of the next tile; what does not exist becomes zero.
  DEVICE void load(uint32 tile) {
    int bytes = max(0, min(columns, 8)) * 2;
UNROLL
    for (int i = 0; i < COUNT; i++) {
      int n = i * STEP < rows ? bytes : 0;
      uint32 dst = tile + to + i * STEP * (T::CHUNKS * 16);
      const bf16* from = p + (int64)(i * STEP) * ld;
      if (ALIGNED) cp_async16(dst, from, n);
      else copy(dst, from, n / 2);
    }
    p += KMAJOR ? BK : (int64)BK * ld;
    (KMAJOR ? columns : rows) -= BK;
  }

  static DEVICE void copy(uint32 dst, const bf16* q, int n) {
    uint32 v[4];
UNROLL
    for (int j = 0; j < 4; j++) {
      uint32 lo = 2 * j < n ? q[2 * j].x : 0, hi = 2 * j + 1 < n ? q[2 * j + 1].x : 0;
      v[j] = lo | hi << 16;
    }
    PTX("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" :: "r"(dst), "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3]) : "memory");
  }
};

// A Reader gives a lane's fragments of COUNT*16 rows of a tile, from `first` on, at step kk of 16 of k. b's pairs of fragments are
// those of a with the middle two exchanged.
template <int ROWS, bool KMAJOR, bool IS_B> struct Reader {
  using T = Tile<ROWS, KMAJOR>;
  uint32 from;
  DEVICE Reader(int first) {
    int l = lane(), low = l & 7, one = l >> 3 & 1, two = l >> 4;
    int half = IS_B ? two : one, deep = IS_B ? one : two;  // which 8 rows of the operand, which 8 of k
    from = KMAJOR ? T::at(first + half * 8 + low, deep) : T::at(deep * 8 + low, first / 8 + half);
  }
  template <int COUNT> DEVICE void read(uint32 (&f)[COUNT][4], uint32 tile, int kk) const {
UNROLL
    for (int i = 0; i < COUNT; i++) {
      if (KMAJOR) ldmatrix4(f[i], tile + (from ^ kk * 32) + i * 16 * (T::CHUNKS * 16));
      else ldmatrix4_trans(f[i], tile + (from ^ i * 32) + kk * 16 * (T::CHUNKS * 16));
    }
  }
};

template <int BM, int BN, int WARPS_M, int WARPS_N, int STAGES, bool A_KMAJOR, bool B_KMAJOR, bool AHEAD, bool ALIGNED>
DEV void product(GEMM_PARAMETERS(bf16)) {
  constexpr int THREADS = WARPS_M * WARPS_N * 32, TM = BM / WARPS_M, TN = BN / WARPS_N, MI = TM / 16, NI = TN / 16, STEPS = BK / 16;
  using TA = Tile<BM, A_KMAJOR>;
  using TB = Tile<BN, B_KMAJOR>;
  constexpr int STAGE = TA::BYTES + TB::BYTES;
  SHARED(uint8, sm);
  uint32 ring = smem(sm);
  int tm, tn;
  tile_of(blockIdx.x, ceil_div(m, BM), ceil_div(n, BN), tm, tn);
  int wm = warp() % WARPS_M * TM, wn = warp() / WARPS_M * TN;
  int k0 = blockIdx.y * slice, k_end = min(k, k0 + slice), tiles = max(0, ceil_div(k_end - k0, BK));
  Loader<BM, A_KMAJOR, THREADS, ALIGNED> load_a(a, lda, tm * BM, m, k0, k_end);
  Loader<BN, B_KMAJOR, THREADS, ALIGNED> load_b(b, ldb, tn * BN, n, k0, k_end);
  Reader<BM, A_KMAJOR, false> read_a(wm);
  Reader<BN, B_KMAJOR, true> read_b(wn);
  auto load = [&](int t) DEVICE {
    if (t < tiles) {
      uint32 stage = ring + t % STAGES * STAGE;
      load_a.load(stage);
      load_b.load(stage + TA::BYTES);
    }
    cp_commit();
  };
  float acc[MI][NI * 2][4] = {};
  constexpr int SETS = AHEAD ? 2 : 1;
  uint32 fa[SETS][MI][4], fb[SETS][NI][4];
  auto read = [&](int step, uint32 stage) DEVICE {
    read_a.read(fa[step % SETS], stage, step % STEPS);
    read_b.read(fb[step % SETS], stage + TA::BYTES, step % STEPS);
  };

  for (int t = 0; t < STAGES - 1; t++) load(t);
  cp_wait<STAGES - 2>();
  sync_block();
  if (AHEAD && tiles > 0) read(0, ring);
  ROLL for (int t = 0; t < tiles; t++) {
    uint32 stage = ring + t % STAGES * STAGE;
UNROLL
    for (int kk = 0; kk < STEPS; kk++) {
      bool last = kk == STEPS - 1;
      if (!AHEAD) read(kk, stage);
      if (AHEAD && !last) read(kk + 1, stage);
      if (last) {  // with tile t in registers everywhere its stage is free, and tile t+1 is there
        cp_wait<STAGES - 2>();
        sync_block();
        if (AHEAD && t + 1 < tiles) read(kk + 1, ring + (t + 1) % STAGES * STAGE);
      }
      if (kk == 0) load(t + STAGES - 1);
UNROLL
      for (int i = 0; i < MI; i++)
UNROLL
        for (int j = 0; j < NI * 2; j++) {
          uint32 (&b)[4] = fb[kk % SETS][j / 2];
          mma_bf16(acc[i][j], fa[kk % SETS][i], b[j % 2 * 2], b[j % 2 * 2 + 1]);
        }
    }
  }

  // The ring is free. Each warp turns 16 rows at a time around in its own part of it, so that a lane has four neighbours of a row.
  if (gridDim.y > 1) out = (float*)out + (int64)blockIdx.y * m * ldo, n = ldo;  // partial sums, rows padded with zeros
  Epilogue e{out, bias, pre, residual, n, ldo, ldp, ldr, act, scale, flags};
  cp_wait<0>();
  sync_block();
  constexpr int PITCH = TN + 8, LANES = TN / 4, ROWS = 32 / LANES;
  static_assert(WARPS_M * WARPS_N * 16 * PITCH * 4 <= STAGES * STAGE, "staging must fit the ring");
  float* mine = (float*)sm + warp() * 16 * PITCH;
  int g = lane() >> 2, q = (lane() & 3) * 2;
ROLL
  for (int i = 0; i < MI; i++) {
    sync_warp();
UNROLL
    for (int s = 0; s < MI; s++) {  // registers have no index: i is one of these
      if (s != i) continue;
UNROLL
      for (int j = 0; j < NI * 2; j++) {
        *(floatx2*)(mine + g * PITCH + j * 8 + q) = floatx2{acc[s][j][0], acc[s][j][1]};
        *(floatx2*)(mine + (g + 8) * PITCH + j * 8 + q) = floatx2{acc[s][j][2], acc[s][j][3]};
      }
    }
    sync_warp();
    ROLL for (int r = lane() / LANES; r < 16; r += ROWS) {
      int row = tm * BM + wm + i * 16 + r, col = lane() % LANES * 4;
      floatx4 v = *(const floatx4*)(mine + r * PITCH + col);
      float f[4] = {v.x, v.y, v.z, v.w};
      col += tn * BN + wn;
      if (row < m && col < n) finish(e, row, col, f);
    }
  }
}

#define GEMM_KERNEL(NAME, A_KMAJOR, B_KMAJOR, BM, BN, WARPS_M, WARPS_N, STAGES, BLOCKS, AHEAD, ALIGNED) \
  KERNEL(WARPS_M * WARPS_N * 32, BLOCKS) NAME(GEMM_PARAMETERS(bf16)) { \
    product<BM, BN, WARPS_M, WARPS_N, STAGES, A_KMAJOR, B_KMAJOR, AHEAD, ALIGNED>(out, a, b, bias, pre, residual, \
      m, n, k, lda, ldb, ldo, ldp, ldr, slice, act, scale, flags); }
#define GEMM_LAYOUTS(TILE, ...) \
  GEMM_KERNEL(gemm__nt_##TILE, true, true, __VA_ARGS__) \
  GEMM_KERNEL(gemm__nn_##TILE, true, false, __VA_ARGS__) \
  GEMM_KERNEL(gemm__tn_##TILE, false, false, __VA_ARGS__)
GEMM_LAYOUTS(128x256, 128, 256, 2, 4, 3, 1, true, true)
GEMM_LAYOUTS(128x128, 128, 128, 2, 4, 4, 2, false, true)
GEMM_LAYOUTS(64x64, 64, 64, 2, 2, 4, 4, true, true)
GEMM_LAYOUTS(any, 64, 64, 2, 2, 2, 4, true, false)
