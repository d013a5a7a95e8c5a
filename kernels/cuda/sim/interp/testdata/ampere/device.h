// The few words that the kernels of this folder need, for clang without a CUDA toolkit.
#pragma once
#define DEV static inline __attribute__((device, always_inline))
#define KERNEL(...) extern "C" __attribute__((global)) void __attribute__((launch_bounds(__VA_ARGS__)))
#define SHARED __attribute__((shared))
#define PTX asm volatile
#define UNROLL _Pragma("unroll")
struct dim3;
struct uint3;
#include <__clang_cuda_builtin_vars.h>
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

DEV float bf(u16 v) { return __builtin_bit_cast(float, (u32)v << 16); }
DEV u32 pack(float lo, float hi) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo)); return r; }
DEV float ex2(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEV float tanh(float x) { float r; asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEV float shfl_xor(float v, int m) { float r; PTX("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(r) : "f"(v), "r"(m)); return r; }
DEV u32 shared_address(const void* p) { u32 r; asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(r) : "l"(p)); return r; }
DEV void sync() { PTX("bar.sync 0;" ::: "memory"); }
