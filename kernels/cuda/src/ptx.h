// ptx.h: the dialect of all kernels.
//
// Everything that C++ lacks is one wrapper here, in ptx_sm80.h (asynchronous copies, ldmatrix, mma, named barriers) or in
// ptx_sm90.h (mbarrier, TMA, wgmma, clusters): so the simulator has one list of instructions to know. No CUDA header is
// needed: clang -x cuda compiles it as it is. There is no libdevice either: builtin exp, log, tanh and sqrt do not link.
//
// A kernel is KERNEL(threads, blocks per multiprocessor) family__variant(parameters). All variants of a family have the
// same parameters: pointers, int, uint32, int64, uint64, float, and TensorMap as PARAM(TensorMap), first in the list.
#pragma once

#define __forceinline__ inline __attribute__((always_inline))
#define __shared__ __attribute__((shared))
struct dim3;
struct uint3;
#include <__clang_cuda_builtin_vars.h>

// KERNEL declares an entry. Blocks are one-dimensional and have exactly that many threads.
#define KERNEL(threads, blocks) \
  extern "C" __attribute__((global)) void __attribute__((launch_bounds(threads, blocks)))
// DEV is a function of the device, inlined: entries must be self-contained.
#define DEV static __attribute__((device)) __forceinline__
// DEVICE is DEV for member functions and lambdas.
#define DEVICE __attribute__((device, always_inline))
// SHARED is the dynamic shared memory of the block, STATIC_SHARED an array of fixed size.
#define SHARED(T, name) alignas(1024) extern __shared__ T name[]
#define STATIC_SHARED(T, name, n) alignas(16) __shared__ T name[n]
// PARAM is a parameter that stays where the launch put it, so that its address can be taken.
#define PARAM(T) const __attribute__((grid_constant)) T
#define UNROLL _Pragma("unroll")
#define ROLL _Pragma("unroll 1")
#define PTX asm volatile
// CLUSTER(n), before KERNEL, makes n consecutive blocks a cluster (the generator writes it into the PTX).
#define CLUSTER(n) __attribute__((cluster_dims(n, 1, 1)))

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;
typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long long int64;

struct bf16 { uint16 x; };  // storage; arithmetic is f32
struct f16 { uint16 x; };   // storage; only read
struct alignas(64) TensorMap { uint64 word[16]; };  // CUtensorMap

// 16, 8 and 4 bytes that load and store as one access.
typedef uint32 uint32x4 __attribute__((ext_vector_type(4)));
typedef uint32 uint32x2 __attribute__((ext_vector_type(2)));
typedef float floatx4 __attribute__((ext_vector_type(4)));
typedef float floatx2 __attribute__((ext_vector_type(2)));

constexpr float INFINITE = __builtin_huge_valf();

// ---- bits ----
DEV float as_float(uint32 u) { return __builtin_bit_cast(float, u); }
DEV uint32 as_uint(float f) { return __builtin_bit_cast(uint32, f); }
DEV int popcount(uint32 x) { return __builtin_popcount(x); }
template <class T> DEV T ceil_div(T a, T b) { return (a + b - 1) / b; }
DEV int min(int a, int b) { return a < b ? a : b; }
DEV int max(int a, int b) { return a > b ? a : b; }
DEV uint32 min(uint32 a, uint32 b) { return a < b ? a : b; }
DEV uint32 max(uint32 a, uint32 b) { return a > b ? a : b; }
DEV int64 min(int64 a, int64 b) { return a < b ? a : b; }
DEV int64 max(int64 a, int64 b) { return a > b ? a : b; }

// opaque hides from the compiler that a value does not change, so that it makes no copy of a loop for each of its cases.
DEV int opaque(int v) { PTX("" : "+r"(v)); return v; }
DEV uint32 opaque(uint32 v) { PTX("" : "+r"(v)); return v; }
template <class T> DEV T* opaque(T* v) { PTX("" : "+l"(v)); return v; }

// ---- arithmetic: one instruction each, with the accuracy that the PTX manual promises ----
// max and min return the other operand if one is NaN.
DEV float max(float a, float b) { float r; asm("max.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
DEV float min(float a, float b) { float r; asm("min.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
DEV float abs(float a) { return __builtin_fabsf(a); }
DEV float copysign(float a, float s) { return __builtin_copysignf(a, s); }
DEV float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
// add and mul round once and are never contracted to a fused multiplication and addition.
DEV float add(float a, float b) { float r; asm("add.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
DEV float mul(float a, float b) { float r; asm("mul.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }
DEV float div(float a, float b) { float r; asm("div.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r; }   // exact
DEV float sqrt(float a) { float r; asm("sqrt.rn.f32 %0, %1;" : "=f"(r) : "f"(a)); return r; }                      // exact
DEV float rcp(float x) { float r; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }                // 1 ulp
DEV float rsqrt(float x) { float r; asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }            // 2^-22.9
DEV float exp2(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }               // 2 ulp
DEV float log2(float x) { float r; asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }               // 2^-22.6

// ---- functions in the accuracy that kerneltest asks for ----
constexpr float LOG2E = 1.44269504088896340736f, LN2 = 0.693147180559945309417f;
DEV float exp(float x) { return exp2(x * LOG2E); }   // (4 + 2|x|)u of the result, u = 2^-24
DEV float log(float x) { return log2(x) * LN2; }     // 4u absolute, and of the result
DEV float sigmoid(float x) { return rcp(1 + exp2(x * -LOG2E)); }  // 8u
// tanh errs by 8u: 1 - 2/(e^2|x| + 1), which never overflows to anything but 1.
DEV float tanh(float x) {
  float t = 1 - 2 * rcp(1 + exp2(abs(x) * (2 * LOG2E)));
  return copysign(t, x);
}

// ---- conversion ----
DEV float to_float(float v) { return v; }
DEV float to_float(bf16 v) { return as_float((uint32)v.x << 16); }
DEV float to_float(f16 v) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.x)); return f; }
DEV bf16 to_bf16(float f) { bf16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.x) : "f"(f)); return r; }
// pack_bf16 rounds two numbers to nearest even; lo goes to the lower half, that is, the first in memory.
DEV uint32 pack_bf16(float lo, float hi) { uint32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo)); return r; }
DEV float low_bf16(uint32 v) { return as_float(v << 16); }
DEV float high_bf16(uint32 v) { return as_float(v & 0xffff0000u); }
DEV void convert(float& to, float f) { to = f; }
DEV void convert(bf16& to, float f) { to = to_bf16(f); }

// ---- memory: plain accesses are ordinary C++; load16_stream is for what is used once ----
DEV uint32x4 load16(const void* p) { return *(const uint32x4*)p; }
DEV uint32x2 load8(const void* p) { return *(const uint32x2*)p; }
DEV void store16(void* p, uint32x4 v) { *(uint32x4*)p = v; }
DEV void store8(void* p, uint32x2 v) { *(uint32x2*)p = v; }
DEV uint32x4 load16_stream(const void* p) {
  uint32x4 v; PTX("ld.global.cs.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory"); return v; }

// smem is the address of shared memory that the instructions below and in ptx_sm80.h, ptx_sm90.h take.
DEV uint32 smem(const void* p) {
  uint32 r; asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(r) : "l"(p)); return r; }

// ---- threads ----
DEV int lane() { return threadIdx.x & 31; }
DEV int warp() { return threadIdx.x >> 5; }
constexpr uint32 FULL = 0xffffffffu;  // all lanes of a warp

DEV void sync_block() { __syncthreads(); }
DEV void sync_warp(uint32 mask = FULL) { PTX("bar.warp.sync %0;" :: "r"(mask) : "memory"); }
DEV void trap() { PTX("trap;" ::: "memory"); }

DEV uint32 shuffle_xor(uint32 v, int mask) { uint32 r; PTX("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(r) : "r"(v), "r"(mask)); return r; }
DEV uint32 shuffle(uint32 v, int from) { uint32 r; PTX("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(r) : "r"(v), "r"(from)); return r; }
// shuffle_up takes the value of n lanes below; outside the warp, the lane's own.
DEV uint32 shuffle_up(uint32 v, int n) { uint32 r; PTX("shfl.sync.up.b32 %0, %1, %2, 0, 0xffffffff;" : "=r"(r) : "r"(v), "r"(n)); return r; }
DEV float shuffle_xor(float v, int m) { return as_float(shuffle_xor(as_uint(v), m)); }
DEV float shuffle(float v, int from) { return as_float(shuffle(as_uint(v), from)); }
DEV float shuffle_up(float v, int n) { return as_float(shuffle_up(as_uint(v), n)); }
DEV int shuffle_xor(int v, int m) { return (int)shuffle_xor((uint32)v, m); }
DEV int shuffle(int v, int from) { return (int)shuffle((uint32)v, from); }
DEV int shuffle_up(int v, int n) { return (int)shuffle_up((uint32)v, n); }

// ballot has a bit for each lane where p holds.
DEV uint32 ballot(bool p) {
  uint32 r; PTX("{ .reg .pred q; setp.ne.u32 q, %1, 0; vote.sync.ballot.b32 %0, q, 0xffffffff; }" : "=r"(r) : "r"((uint32)p)); return r; }
DEV bool any(bool p) { return ballot(p) != 0; }
DEV bool all(bool p) { return ballot(p) == FULL; }
// below is the mask of the lanes before this one.
DEV uint32 below() { return (1u << lane()) - 1; }

// Reductions of integers in one instruction, sm_80 and newer.
DEV uint32 redux_add(uint32 v) { uint32 r; PTX("redux.sync.add.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v)); return r; }
DEV uint32 redux_max(uint32 v) { uint32 r; PTX("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v)); return r; }
DEV uint32 redux_min(uint32 v) { uint32 r; PTX("redux.sync.min.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v)); return r; }
DEV int redux_add(int v) { return (int)redux_add((uint32)v); }
DEV int redux_max(int v) { int r; PTX("redux.sync.max.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v)); return r; }
DEV int redux_min(int v) { int r; PTX("redux.sync.min.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v)); return r; }

// Integer atomics in shared memory; the result is the value before. Floating-point numbers have none: sums are in a fixed order.
DEV uint32 shared_add(uint32* p, uint32 v) { uint32 r; PTX("atom.shared.add.u32 %0, [%1], %2;" : "=r"(r) : "r"(smem(p)), "r"(v) : "memory"); return r; }
DEV uint64 shared_add(uint64* p, uint64 v) { uint64 r; PTX("atom.shared.add.u64 %0, [%1], %2;" : "=l"(r) : "r"(smem(p)), "l"(v) : "memory"); return r; }
DEV uint32 shared_or(uint32* p, uint32 v) { uint32 r; PTX("atom.shared.or.b32 %0, [%1], %2;" : "=r"(r) : "r"(smem(p)), "r"(v) : "memory"); return r; }

// ---- reductions over a warp or a block, in an order that does not depend on the run; all threads get the result ----
template <class T> DEV T warp_sum(T v) {
  UNROLL for (int o = 16; o; o >>= 1) v += shuffle_xor(v, o);
  return v;
}
template <class T> DEV T warp_max(T v) {
  UNROLL for (int o = 16; o; o >>= 1) v = max(v, shuffle_xor(v, o));
  return v;
}

// block_sum and block_max need shared memory for one value of each warp, which may be used again only after a barrier.
template <int THREADS, class T> DEV T block_sum(T v, T* red) {
  if (THREADS == 32) return warp_sum(v);
  v = warp_sum(v);
  if (lane() == 0) red[warp()] = v;
  sync_block();
  T s = red[0];
  UNROLL for (int w = 1; w < THREADS / 32; w++) s += red[w];
  return s;
}
template <int THREADS, class T> DEV T block_max(T v, T* red) {
  if (THREADS == 32) return warp_max(v);
  v = warp_max(v);
  if (lane() == 0) red[warp()] = v;
  sync_block();
  T s = red[0];
  UNROLL for (int w = 1; w < THREADS / 32; w++) s = max(s, red[w]);
  return s;
}
