// async.cu: asynchronous copies of every kind but tensors, and what the blocks of a cluster do with each other's memory.
#include "scopes.h"

DEV void cp_async8(uint32 dst, const void* src) { PTX("cp.async.ca.shared.global [%0], [%1], 8;" :: "r"(dst), "l"(src) : "memory"); }
DEV void cp_arrive_noinc(uint32 bar) { PTX("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" :: "r"(bar) : "memory"); }
DEV uint32 load_shared(uint32 p) { uint32 v; PTX("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(p) : "memory"); return v; }
DEV void store_shared(uint32 p, uint32 v) { PTX("st.shared.u32 [%0], %1;" :: "r"(p), "r"(v) : "memory"); }
DEV uint32 load_cluster(uint32 p) { uint32 v; PTX("ld.shared::cluster.u32 %0, [%1];" : "=r"(v) : "r"(p) : "memory"); return v; }
DEV void store_cluster(uint32 p, uint32 v) { PTX("st.shared::cluster.u32 [%0], %1;" :: "r"(p), "r"(v) : "memory"); }

// y[i] = sum over rows of x[row][(i + 1) % 512], with a pipeline of four stages of cp.async groups.
KERNEL(128, 1) pipeline__groups(uint32* y, const uint32* x, int rows) {
  STATIC_SHARED(uint32, stage, 4 * 512);
  uint32 p = smem(stage);
  int t = threadIdx.x;
  for (int i = 0; i < 3; i++) {
    if (i < rows) cp_async16(p + 2048 * i + 16 * t, x + 512 * i + 4 * t);
    cp_commit();
  }
  uint32 sum[4] = {};
  ROLL for (int i = 0; i < rows; i++) {
    cp_wait<2>();
    sync_block();
    UNROLL for (int j = 0; j < 4; j++) sum[j] += load_shared(p + 2048 * (i % 4) + (16 * t + 4 * j + 4) % 2048);
    if (i + 3 < rows) cp_async16(p + 2048 * ((i + 3) % 4) + 16 * t, x + 512 * (i + 3) + 4 * t);
    cp_commit();
  }
  UNROLL for (int j = 0; j < 4; j++) y[4 * t + j] = sum[j];
}

// The same with mbarriers: all threads copy and all wait.
KERNEL(128, 1) pipeline__mbarrier(uint32* y, const uint32* x, int rows) {
  STATIC_SHARED(uint32, stage, 4 * 512);
  STATIC_SHARED(uint64, bars, 8);
  uint32 p = smem(stage), full = smem(bars), empty = full + 32;
  int t = threadIdx.x;
  if (t == 0)
    for (int i = 0; i < 8; i++) mbar_init(full + 8 * i, 128);
  sync_block();
  for (int i = 0; i < 3; i++)
    if (i < rows) {
      cp_async16(p + 2048 * i + 16 * t, x + 512 * i + 4 * t);
      cp_arrive_noinc(full + 8 * i);
    }
  uint32 sum[4] = {};
  ROLL for (int i = 0; i < rows; i++) {
    int s = i % 4;
    mbar_wait(full + 8 * s, i / 4 & 1);
    UNROLL for (int j = 0; j < 4; j++) sum[j] += load_shared(p + 2048 * s + (16 * t + 4 * j + 4) % 2048);
    mbar_arrive(empty + 8 * s);
    int n = i + 3, f = n % 4;
    if (n < rows) {
      mbar_wait(empty + 8 * f, (n / 4 & 1) ^ 1);
      cp_async16(p + 2048 * f + 16 * t, x + 512 * n + 4 * t);
      cp_arrive_noinc(full + 8 * f);
    }
  }
  UNROLL for (int j = 0; j < 4; j++) y[4 * t + j] = sum[j];
}

// Copies of 4, 8 and 16 bytes with shorter and ignored sources: y gets 28 bytes of each thread.
KERNEL(32, 1) copy__sizes(uint8* y, const uint8* x, int bytes) {
  STATIC_SHARED(uint8, buffer, 32 * 32);
  uint32 p = smem(buffer) + 32 * threadIdx.x;
  const uint8* from = x + 32 * threadIdx.x;
  cp_async16(p, from, bytes);
  cp_async4(p + 16, from + 16, threadIdx.x % 5);
  cp_async8(p + 24, from + 24);
  PTX("{ .reg .pred q;\nsetp.lt.u32 q, %2, 16;\ncp.async.ca.shared.global [%0], [%1], 4, q; }"
      :: "r"(p + 20), "l"(from + 20), "r"(threadIdx.x) : "memory");
  PTX("cp.async.wait_all;" ::: "memory");
  for (int i = 0; i < 8; i++) ((uint32*)y)[8 * threadIdx.x + i] = load_shared(p + 4 * i);
}

DEV void bulk_load(uint32 dst, const void* src, uint32 bytes, uint32 bar) {
  PTX("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
      :: "r"(dst), "l"(src), "r"(bytes), "r"(bar) : "memory"); }
DEV void bulk_store(void* dst, uint32 src, uint32 bytes) {
  PTX("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" :: "l"(dst), "r"(src), "r"(bytes) : "memory"); }

// Loads n bytes, adds 1 to every word, stores them at y and adds them to the floats, bf16 and words at f, h and u.
KERNEL(128, 1) bulk__all(uint32* y, float* f, bf16* h, uint32* u, const uint32* x, int n) {
  SHARED(uint32, buffer);
  STATIC_SHARED(uint64, bar, 1);
  uint32 p = smem(buffer), b = smem(bar);
  if (threadIdx.x == 0) {
    mbar_init(b, 1);
    mbar_init_fence();
    mbar_expect(b, n);
    bulk_load(p, x, n, b);
  }
  sync_block();
  mbar_wait(b, 0);
  for (int i = threadIdx.x; i < n / 4; i += 128) store_shared(p + 4 * i, load_shared(p + 4 * i) + 1);
  fence_async();
  sync_block();
  if (threadIdx.x == 0) {
    bulk_store(y, p, n);
    PTX("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" :: "l"(f), "r"(p), "r"(n) : "memory");
    PTX("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.noftz.bf16 [%0], [%1], %2;" :: "l"(h), "r"(p), "r"(n) : "memory");
    PTX("cp.reduce.async.bulk.global.shared::cta.bulk_group.max.u32 [%0], [%1], %2;" :: "l"(u), "r"(p), "r"(n) : "memory");
    bulk_commit();
    bulk_wait<0>();
  }
}

// Every block writes a row into each block of its cluster and reads one from each: y[block][t] is the sum of what came,
// and of what lies at the next block.
CLUSTER(4) KERNEL(64, 1) cluster__exchange(uint32* y) {
  STATIC_SHARED(uint32, inbox, 4 * 64);
  STATIC_SHARED(uint32, own, 64);
  uint32 rank = cluster_rank(), size = cluster_size(), t = threadIdx.x;
  store_shared(smem(own) + 4 * t, 1000 * rank + t);
  cluster_sync();
  for (uint32 r = 0; r < size; r++) store_cluster(cluster_map(smem(inbox) + 4 * (64 * rank + t), r), 100 * (rank + 1) + t);
  uint32 next = load_cluster(cluster_map(smem(own) + 4 * t, (rank + 1) % size));
  cluster_sync();
  uint32 sum = next;
  for (uint32 r = 0; r < size; r++) sum += load_shared(smem(inbox) + 4 * (64 * r + t));
  y[64 * blockIdx.x + t] = sum;
}

// Each block sends 1 KB to the next with a bulk copy that completes at the receiver's mbarrier.
CLUSTER(2) KERNEL(64, 1) cluster__send(uint32* y) {
  STATIC_SHARED(uint32, out, 256);
  STATIC_SHARED(uint32, in, 256);
  STATIC_SHARED(uint64, bar, 1);
  uint32 rank = cluster_rank(), other = rank ^ 1, t = threadIdx.x, b = smem(bar);
  if (t == 0) {
    mbar_init(b, 1);
    mbar_init_fence();
    mbar_expect(b, 1024);
  }
  for (int i = 0; i < 4; i++) store_shared(smem(out) + 4 * (64 * i + t), 10000 * (rank + 1) + 64 * i + t);
  fence_async();
  cluster_sync();
  if (t == 0)
    PTX("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
        :: "r"(cluster_map(smem(in), other)), "r"(smem(out)), "r"(1024), "r"(cluster_map(b, other)) : "memory");
  wait_cluster(b, 0);
  for (int i = 0; i < 4; i++) y[256 * blockIdx.x + 64 * i + t] = load_shared(smem(in) + 4 * (64 * i + t));
  cluster_sync();
}

// Block 0 writes a row into block 1 and arrives at its mbarrier; block 1 adds it to what it has.
CLUSTER(2) KERNEL(64, 1) cluster__signal(uint32* y) {
  STATIC_SHARED(uint32, inbox, 64);
  STATIC_SHARED(uint64, bar, 1);
  uint32 rank = cluster_rank(), t = threadIdx.x, b = smem(bar);
  if (t == 0) {
    mbar_init(b, 64);
    mbar_init_fence();
  }
  cluster_sync();
  if (rank == 0) {
    store_cluster(cluster_map(smem(inbox) + 4 * t, 1), 7 * t);
    arrive_remote(b, 1);
    return;
  }
  wait_cluster(b, 0);
  y[64 * (blockIdx.x / 2) + t] = load_shared(smem(inbox) + 4 * ((t + 1) % 64));
}

// Block 0 loads 1 KB for both blocks, and each block adds what it has to the other's memory: y = x + 10 i + what came.
CLUSTER(2) KERNEL(64, 1) cluster__reduce(uint32* y, const uint32* x) {
  STATIC_SHARED(uint32, out, 256);
  STATIC_SHARED(uint32, sum, 256);
  STATIC_SHARED(uint32, both, 256);
  STATIC_SHARED(uint64, bars, 2);
  uint32 rank = cluster_rank(), other = rank ^ 1, t = threadIdx.x, b = smem(bars);
  if (t == 0) {
    mbar_init(b, 1);
    mbar_init(b + 8, 1);
    mbar_init_fence();
    mbar_expect(b, 1024);
    mbar_expect(b + 8, 1024);
  }
  for (int i = 0; i < 4; i++) {
    store_shared(smem(out) + 4 * (64 * i + t), 1000 * (rank + 1) + i);
    store_shared(smem(sum) + 4 * (64 * i + t), 10 * (64 * i + t));
  }
  fence_async();
  cluster_sync();
  if (t == 0) {
    if (rank == 0)
      PTX("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], 1024, [%2], %3;"
          :: "r"(smem(both)), "l"(x), "r"(b), "h"((uint16)3) : "memory");
    PTX("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%0], [%1], 1024, [%2];"
        :: "r"(cluster_map(smem(sum), other)), "r"(smem(out)), "r"(cluster_map(b + 8, other)) : "memory");
  }
  wait_cluster(b, 0);
  wait_cluster(b + 8, 0);
  for (int i = 0; i < 4; i++) {
    uint32 at = 4 * (64 * i + t);
    y[256 * blockIdx.x + 64 * i + t] = load_shared(smem(sum) + at) + load_shared(smem(both) + at);
  }
  cluster_sync();
}
