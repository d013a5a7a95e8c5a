// ptx_sm80.h: asynchronous copies, ldmatrix and the tensor cores of compute capability 8.0.
// Shared memory is named by its 32-bit address: smem(pointer) of ptx.h.
#pragma once
#include "ptx.h"

// Copies 16 bytes from global to shared memory, of which the last 16 - bytes become zero and are not read.
DEV void cp_async16(uint32 dst, const void* src, uint32 bytes = 16) {
  PTX("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(dst), "l"(src), "r"(bytes) : "memory"); }
// The same for 4 bytes, which need only 4-byte alignment.
DEV void cp_async4(uint32 dst, const void* src, uint32 bytes = 4) {
  PTX("cp.async.ca.shared.global [%0], [%1], 4, %2;" :: "r"(dst), "l"(src), "r"(bytes) : "memory"); }
DEV void cp_commit() { PTX("cp.async.commit_group;" ::: "memory"); }
// Waits until at most N of this thread's groups are under way. A barrier must follow before others read.
template <int N> DEV void cp_wait() { PTX("cp.async.wait_group %0;" :: "n"(N) : "memory"); }

// ldmatrix: lane l gives the address of row l % 8 of matrix l / 8; each matrix is 8 rows of 16 bytes. Lane l receives the
// elements (l / 4, 2 (l % 4)) and the next of matrix i in r[i], or of its transpose.
DEV void ldmatrix4(uint32 (&r)[4], uint32 p) {
  PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(p) : "memory"); }
DEV void ldmatrix4_trans(uint32 (&r)[4], uint32 p) {
  PTX("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(p) : "memory"); }
DEV void ldmatrix2(uint32 (&r)[2], uint32 p) {
  PTX("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(p) : "memory"); }
DEV void ldmatrix2_trans(uint32 (&r)[2], uint32 p) {
  PTX("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(p) : "memory"); }

// d(16,8) += a(16,16) b(16,8). With g = lane / 4 and q = 2 (lane % 4): a[0], a[1], a[2], a[3] are the pairs (g, q),
// (g+8, q), (g, q+8), (g+8, q+8) of a; b0, b1 the pairs (q, g), (q+8, g) down a column of b; d[0], d[1] are (g, q) and the
// next, d[2], d[3] those of row g+8.
DEV void mma_bf16(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)); }

// Named barriers, 0 (that of sync_block) to 15, of `threads` threads, a multiple of 32. arrive does not wait.
DEV void bar_sync(int id, int threads) { PTX("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory"); }
DEV void bar_arrive(int id, int threads) { PTX("bar.arrive %0, %1;" :: "r"(id), "r"(threads) : "memory"); }
