// C = A Bt of bfloat16 with float32 sums: tiles of 64 x 64 x 32, three stages of cp.async, 4 warps of 32 x 32. Sizes are multiples of the tile.
#include "device.h"

extern SHARED __attribute__((aligned(128))) char tiles[];

enum { M = 64, N = 64, K = 32, STAGES = 3, ROW = K * 2, STAGE = (M + N) * ROW };

// rows of 64 bytes, 16-byte chunks exchanged so that eight rows of a column lie in different banks
DEV u32 place(u32 base, int r, int chunk) { return base + r * ROW + ((chunk ^ (r >> 1 & 3)) << 4); }

DEV void copy16(u32 dst, const void* src) { PTX("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(dst), "l"(src) : "memory"); }

DEV void load(u32 (&d)[4], u32 at) {
  PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(at) : "memory");
}

KERNEL(128) gemm(float* c, const u16* a, const u16* b, int m, int n, int k) {
  u32 base = shared_address(tiles);
  int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  a += (u64)blockIdx.y * M * k;
  b += (u64)blockIdx.x * N * k;
  float acc[2][4][4] = {};
  int steps = k / K;
  auto fetch = [&](int step) {
    if (step < steps) {
      u32 s = base + step % STAGES * STAGE;
      UNROLL
      for (int i = t; i < M * 4; i += 128) {
        copy16(place(s, i >> 2, i & 3), a + (u64)(i >> 2) * k + step * K + (i & 3) * 8);
        copy16(place(s + M * ROW, i >> 2, i & 3), b + (u64)(i >> 2) * k + step * K + (i & 3) * 8);
      }
    }
    PTX("cp.async.commit_group;" ::: "memory");
  };
  fetch(0);
  fetch(1);
  for (int step = 0; step < steps; step++) {
    PTX("cp.async.wait_group 1;" ::: "memory");
    sync();
    fetch(step + 2);
    u32 s = base + step % STAGES * STAGE;
    UNROLL
    for (int kk = 0; kk < 2; kk++) {
      u32 fa[2][4], fb[2][4];
      UNROLL
      for (int i = 0; i < 2; i++) {
        load(fa[i], place(s, (warp >> 1) * 32 + i * 16 + (lane & 15), kk * 2 + (lane >> 4)));
        load(fb[i], place(s + M * ROW, (warp & 1) * 32 + i * 16 + (lane & 7) + (lane >> 4) * 8, kk * 2 + (lane >> 3 & 1)));
      }
      UNROLL
      for (int i = 0; i < 2; i++)
        UNROLL
        for (int j = 0; j < 4; j++) {
          float* d = acc[i][j];
          PTX("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
              : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
              : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]), "r"(fb[j >> 1][(j & 1) * 2]), "r"(fb[j >> 1][(j & 1) * 2 + 1]));
        }
    }
  }
  UNROLL
  for (int i = 0; i < 2; i++)
    UNROLL
    for (int j = 0; j < 4; j++) {
      int row = blockIdx.y * M + (warp >> 1) * 32 + i * 16 + (lane >> 2), col = blockIdx.x * N + (warp & 1) * 32 + j * 8 + (lane & 3) * 2;
      float* d = acc[i][j];
      c[(u64)row * n + col] = d[0];
      c[(u64)row * n + col + 1] = d[1];
      c[(u64)(row + 8) * n + col] = d[2];
      c[(u64)(row + 8) * n + col + 1] = d[3];
    }
}
