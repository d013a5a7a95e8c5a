// ptx_sm90.h: mbarriers, the tensor memory accelerator (TMA), clusters and wgmma of compute capability 9.0 (target sm_90a).
// Shared memory and mbarriers are named by their 32-bit address: smem(pointer). Section numbers are of the PTX ISA manual.
#pragma once
#include "ptx_sm80.h"

// ---- mbarrier (9.7.13.15): phases complete when `arrivals` arrivals and all announced bytes have come ----
DEV void mbar_init(uint32 bar, int arrivals) { PTX("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(bar), "r"(arrivals) : "memory"); }
// Makes initialised barriers visible to the cluster and to TMA; a block or cluster barrier must follow.
DEV void mbar_init_fence() { PTX("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEV void mbar_arrive(uint32 bar) { PTX("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(bar) : "memory"); }
// Arrives and announces bytes that TMA will bring in this phase.
DEV void mbar_expect(uint32 bar, uint32 bytes) {
  PTX("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(bar), "r"(bytes) : "memory"); }
// Arrives at the barrier of the same offset in block `rank` of the cluster. It orders nothing but what the tensor cores have read,
// which is complete when wg_wait returns: release at cluster scope would be a fence of the whole GPU's memory (MEMBAR.GPU).
DEV void mbar_arrive_remote(uint32 bar, uint32 rank) {
  PTX("{ .reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote]; }" :: "r"(bar), "r"(rank) : "memory"); }
DEV bool mbar_try_wait(uint32 bar, uint32 parity) {
  uint32 done;
  PTX("{ .reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p; }"
      : "=r"(done) : "r"(bar), "r"(parity) : "memory");
  return done; }
DEV uint64 nanoseconds() { uint64 t; PTX("mov.u64 %0, %%globaltimer;" : "=l"(t) :: "memory"); return t; }
constexpr uint64 WAIT_LIMIT = 4000000000ull;   // a kernel that waits for four seconds is wrong: it must not hang
// Waits for the end of the phase of the given parity: 0 for the first. A barrier that was just initialised passes parity 1.
DEV void mbar_wait(uint32 bar, uint32 parity) {
  if (mbar_try_wait(bar, parity)) return;
  uint64 start = nanoseconds();
  while (!mbar_try_wait(bar, parity))
    if (nanoseconds() - start > WAIT_LIMIT) PTX("trap;"); }

// ---- TMA (9.7.9.25): coordinates count elements, innermost first; what lies outside the tensor is read as 0 and not written ----
DEV void tma_prefetch(const TensorMap* m) { PTX("prefetch.tensormap [%0];" :: "l"(m) : "memory"); }
DEV void tma_load(uint32 dst, const TensorMap* m, uint32 bar, int x, int y) {
  PTX("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4}], [%2];"
      :: "r"(dst), "l"(m), "r"(bar), "r"(x), "r"(y) : "memory"); }
DEV void tma_load(uint32 dst, const TensorMap* m, uint32 bar, int x, int y, int z) {
  PTX("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4,%5}], [%2];"
      :: "r"(dst), "l"(m), "r"(bar), "r"(x), "r"(y), "r"(z) : "memory"); }
DEV void tma_load(uint32 dst, const TensorMap* m, uint32 bar, int x, int y, int z, int w) {
  PTX("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4,%5,%6}], [%2];"
      :: "r"(dst), "l"(m), "r"(bar), "r"(x), "r"(y), "r"(z), "r"(w) : "memory"); }
// To the same offset of every block in the mask; bytes are counted at each of their barriers of the same offset.
DEV void tma_load_multicast(uint32 dst, const TensorMap* m, uint32 bar, uint16 mask, int x, int y) {
  PTX("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4,%5}], [%2], %3;"
      :: "r"(dst), "l"(m), "r"(bar), "h"(mask), "r"(x), "r"(y) : "memory"); }
DEV void tma_load_multicast(uint32 dst, const TensorMap* m, uint32 bar, uint16 mask, int x, int y, int z) {
  PTX("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4,%5,%6}], [%2], %3;"
      :: "r"(dst), "l"(m), "r"(bar), "h"(mask), "r"(x), "r"(y), "r"(z) : "memory"); }
DEV void tma_load_multicast(uint32 dst, const TensorMap* m, uint32 bar, uint16 mask, int x, int y, int z, int w) {
  PTX("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4,%5,%6,%7}], [%2], %3;"
      :: "r"(dst), "l"(m), "r"(bar), "h"(mask), "r"(x), "r"(y), "r"(z), "r"(w) : "memory"); }
DEV void tma_store(const TensorMap* m, uint32 src, int x, int y) {
  PTX("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2,%3}], [%1];" :: "l"(m), "r"(src), "r"(x), "r"(y) : "memory"); }
DEV void tma_store(const TensorMap* m, uint32 src, int x, int y, int z) {
  PTX("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2,%3,%4}], [%1];"
      :: "l"(m), "r"(src), "r"(x), "r"(y), "r"(z) : "memory"); }
DEV void tma_store(const TensorMap* m, uint32 src, int x, int y, int z, int w) {
  PTX("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2,%3,%4,%5}], [%1];"
      :: "l"(m), "r"(src), "r"(x), "r"(y), "r"(z), "r"(w) : "memory"); }
// Adds to global memory, each element atomically: the order of several adds to one element is not defined.
DEV void tma_add(const TensorMap* m, uint32 src, int x, int y) {
  PTX("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%2,%3}], [%1];"
      :: "l"(m), "r"(src), "r"(x), "r"(y) : "memory"); }
DEV void tma_add(const TensorMap* m, uint32 src, int x, int y, int z) {
  PTX("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group [%0, {%2,%3,%4}], [%1];"
      :: "l"(m), "r"(src), "r"(x), "r"(y), "r"(z) : "memory"); }
DEV void tma_add(const TensorMap* m, uint32 src, int x, int y, int z, int w) {
  PTX("cp.reduce.async.bulk.tensor.4d.global.shared::cta.add.tile.bulk_group [%0, {%2,%3,%4,%5}], [%1];"
      :: "l"(m), "r"(src), "r"(x), "r"(y), "r"(z), "r"(w) : "memory"); }
// Stores and adds are grouped; waiting is the business of the thread that issued them.
DEV void bulk_commit() { PTX("cp.async.bulk.commit_group;" ::: "memory"); }
template <int N> DEV void bulk_wait() { PTX("cp.async.bulk.wait_group %0;" :: "n"(N) : "memory"); }          // written
template <int N> DEV void bulk_wait_read() { PTX("cp.async.bulk.wait_group.read %0;" :: "n"(N) : "memory"); }  // source free again
// Orders this thread's ordinary accesses to shared memory before those of TMA and wgmma that a following barrier releases.
DEV void fence_async() { PTX("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- clusters (9.7.13.4): __cluster_dims__ of the kernel gives their size ----
DEV uint32 cluster_rank() { uint32 r; asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
DEV uint32 cluster_size() { uint32 r; asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(r)); return r; }
DEV void cluster_arrive() { PTX("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
DEV void cluster_wait() { PTX("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
DEV void cluster_sync() { cluster_arrive(); cluster_wait(); }
// The address, within the cluster's window, of what block `rank` has at p.
DEV uint32 cluster_map(uint32 p, uint32 rank) {
  uint32 r; asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(p), "r"(rank)); return r; }

// ---- warps ----
// True in one lane of a converged warp, always the same.
DEV bool elect() {
  uint32 r;
  PTX("{ .reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p; }" : "=r"(r) :: "memory");
  return r; }
// True in one thread of the first warp of a converged block. With threadIdx.x == 0 instead ptxas cannot tell that TMA is asked
// by one lane, and puts a loop over lanes around every request.
DEV bool leads() { return shuffle(warp(), 0) == 0 && elect(); }
// Registers of a warpgroup; the kernel needs __launch_bounds__(threads, 1). Executed by all four warps.
template <int R> DEV void regs_inc() { PTX("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(R)); }
template <int R> DEV void regs_dec() { PTX("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(R)); }
// The reverse of ldmatrix4.
DEV void stmatrix4(uint32 p, uint32 a, uint32 b, uint32 c, uint32 d) {
  PTX("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" :: "r"(p), "r"(a), "r"(b), "r"(c), "r"(d) : "memory"); }
DEV void stmatrix4_trans(uint32 p, uint32 a, uint32 b, uint32 c, uint32 d) {
  PTX("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" :: "r"(p), "r"(a), "r"(b), "r"(c), "r"(d) : "memory"); }

// ---- wgmma (9.7.15) ----
// Before the first wgmma, and whenever a warp touched accumulators or operands in registers since the last one.
DEV void wg_fence() { PTX("wgmma.fence.sync.aligned;" ::: "memory"); }
DEV void wg_commit() { PTX("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> DEV void wg_wait() { PTX("wgmma.wait_group.sync.aligned %0;" :: "n"(N) : "memory"); }
// Keeps the compiler from moving uses of registers across this point: before wg_fence and after wg_wait. Accumulators must be
// initialised (= {}) even if the first wgmma overwrites them: else ptxas runs every wgmma by itself (C7515).
template <int R> DEV void wg_hold(float (&d)[R]) {
UNROLL
  for (int i = 0; i < R; i++) PTX("" : "+f"(d[i]) :: "memory"); }

// The descriptor of an operand in shared memory with 128-byte swizzle, as TMA leaves it: 16-byte chunk c of 128-byte row r of
// a 1024-byte aligned tile is at r*128 + (c ^ r%8)*16. K-major (rows are m or n, 64 k each): leading is unused, stride is
// 1024, the bytes between groups of 8 rows; a step of 16 along k adds 32 bytes. MN-major (rows are k, 64 m or n each; the
// transpose flag of wgmma is 1): leading is the bytes between blocks of 64 m or n, stride 1024 those between groups of 8 k;
// a step of 16 along k adds 2048 bytes: see wg_step.
DEV uint64 wg_desc(uint32 p, uint32 leading = 16, uint32 stride = 1024) {
  return (uint64)((p & 0x3ffff) >> 4) | (uint64)(leading >> 4) << 16 | (uint64)(stride >> 4) << 32 | 1ull << 62; }
DEV uint64 wg_step(uint64 desc, uint32 bytes) { return (desc & ~0xffffffffull) | ((uint32)desc + (bytes >> 4)); }   // no carry: a 32-bit sum

// wgmma(d, a, b, accumulate): d(64,N) = a(64,16) b(16,N) + (accumulate ? d : 0), N = twice the length of d: a multiple of 16
// up to 256. a is a descriptor, or registers as in mma_bf16 with row 16 (warp % 4) + g. TRANS_A and TRANS_B are 1 for MN-major.
// Warp w of the group holds rows 16 w ..; d[4 j], d[4 j + 1] are (g, 8 j + q) and the next, d[4 j + 2], d[4 j + 3] those of row g + 8.
#define WG_T1 "%0,%1,%2,%3,%4,%5,%6,%7"
#define WG_T2 WG_T1 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define WG_T3 WG_T2 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define WG_T4 WG_T3 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define WG_T5 WG_T4 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define WG_T6 WG_T5 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define WG_T7 WG_T6 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define WG_T8 WG_T7 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define WG_T9 WG_T8 ",%64,%65,%66,%67,%68,%69,%70,%71"
#define WG_T10 WG_T9 ",%72,%73,%74,%75,%76,%77,%78,%79"
#define WG_T11 WG_T10 ",%80,%81,%82,%83,%84,%85,%86,%87"
#define WG_T12 WG_T11 ",%88,%89,%90,%91,%92,%93,%94,%95"
#define WG_T13 WG_T12 ",%96,%97,%98,%99,%100,%101,%102,%103"
#define WG_T14 WG_T13 ",%104,%105,%106,%107,%108,%109,%110,%111"
#define WG_T15 WG_T14 ",%112,%113,%114,%115,%116,%117,%118,%119"
#define WG_T16 WG_T15 ",%120,%121,%122,%123,%124,%125,%126,%127"
#define WG_EIGHT(d, i) "+f"(d[i]), "+f"(d[i+1]), "+f"(d[i+2]), "+f"(d[i+3]), "+f"(d[i+4]), "+f"(d[i+5]), "+f"(d[i+6]), "+f"(d[i+7])
#define WG_D1(d) WG_EIGHT(d, 0)
#define WG_D2(d) WG_D1(d), WG_EIGHT(d, 8)
#define WG_D3(d) WG_D2(d), WG_EIGHT(d, 16)
#define WG_D4(d) WG_D3(d), WG_EIGHT(d, 24)
#define WG_D5(d) WG_D4(d), WG_EIGHT(d, 32)
#define WG_D6(d) WG_D5(d), WG_EIGHT(d, 40)
#define WG_D7(d) WG_D6(d), WG_EIGHT(d, 48)
#define WG_D8(d) WG_D7(d), WG_EIGHT(d, 56)
#define WG_D9(d) WG_D8(d), WG_EIGHT(d, 64)
#define WG_D10(d) WG_D9(d), WG_EIGHT(d, 72)
#define WG_D11(d) WG_D10(d), WG_EIGHT(d, 80)
#define WG_D12(d) WG_D11(d), WG_EIGHT(d, 88)
#define WG_D13(d) WG_D12(d), WG_EIGHT(d, 96)
#define WG_D14(d) WG_D13(d), WG_EIGHT(d, 104)
#define WG_D15(d) WG_D14(d), WG_EIGHT(d, 112)
#define WG_D16(d) WG_D15(d), WG_EIGHT(d, 120)
#define WGMMA(J, N) \
template <int TRANS_A = 0, int TRANS_B = 0> DEV void wgmma(float (&d)[8 * J], uint64 a, uint64 b, int accumulate) { \
  PTX("{ .reg .pred p;\nsetp.ne.b32 p, %[acc], 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" WG_T##J \
      "}, %[a], %[b], p, 1, 1, %[ta], %[tb]; }" \
      : WG_D##J(d) : [a] "l"(a), [b] "l"(b), [acc] "r"(accumulate), [ta] "n"(TRANS_A), [tb] "n"(TRANS_B) : "memory"); } \
template <int TRANS_B = 0> DEV void wgmma(float (&d)[8 * J], const uint32 (&a)[4], uint64 b, int accumulate) { \
  PTX("{ .reg .pred p;\nsetp.ne.b32 p, %[acc], 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" WG_T##J \
      "}, {%[a0],%[a1],%[a2],%[a3]}, %[b], p, 1, 1, %[tb]; }" \
      : WG_D##J(d) : [a0] "r"(a[0]), [a1] "r"(a[1]), [a2] "r"(a[2]), [a3] "r"(a[3]), [b] "l"(b), [acc] "r"(accumulate), \
        [tb] "n"(TRANS_B) : "memory"); }
WGMMA(1, 16) WGMMA(2, 32) WGMMA(3, 48) WGMMA(4, 64) WGMMA(5, 80) WGMMA(6, 96)
WGMMA(7, 112) WGMMA(8, 128) WGMMA(9, 144) WGMMA(10, 160) WGMMA(11, 176) WGMMA(12, 192)
WGMMA(13, 208) WGMMA(14, 224) WGMMA(15, 240) WGMMA(16, 256)
