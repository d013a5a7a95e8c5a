#include "textflag.h"

// The lanes of a register are 64-bit slots whose upper halves are zero for 32-bit values. Every operation
// here leaves zero above when it finds zero above, so that vectors of 32-bit elements work on the slots as
// they lie: half of the elements are idle, and none has to be moved.

#define EIGHT(STEP) \
	STEP(0); \
	STEP(32); \
	STEP(64); \
	STEP(96); \
	STEP(128); \
	STEP(160); \
	STEP(192); \
	STEP(224)

#define ARGS3 \
	MOVQ D+0(FP), DI; \
	MOVQ A+8(FP), SI; \
	MOVQ B+16(FP), DX

#define ARGS4 \
	ARGS3; \
	MOVQ C+24(FP), CX

// D = A op B
#define BINARY(OP, off) \
	VMOVDQU off(SI), Y0; \
	OP off(DX), Y0, Y0; \
	VMOVDQU Y0, off(DI)

#define ADDD(off) BINARY(VPADDD, off)
#define SUBD(off) BINARY(VPSUBD, off)
#define ADDQ_(off) BINARY(VPADDQ, off)
#define SUBQ_(off) BINARY(VPSUBQ, off)
#define MULLD(off) BINARY(VPMULLD, off)
#define MULDQ(off) BINARY(VPMULDQ, off)
#define MULUDQ(off) BINARY(VPMULUDQ, off)
#define AND_(off) BINARY(VPAND, off)
#define OR_(off) BINARY(VPOR, off)
#define XOR_(off) BINARY(VPXOR, off)
#define SHLD_(off) BINARY(VPSLLVD, off)
#define SHRD_(off) BINARY(VPSRLVD, off)
#define SARD_(off) BINARY(VPSRAVD, off)
#define MINSD_(off) BINARY(VPMINSD, off)
#define MAXSD_(off) BINARY(VPMAXSD, off)
#define ADDPS_(off) BINARY(VADDPS, off)
#define SUBPS_(off) BINARY(VSUBPS, off)
#define MULPS_(off) BINARY(VMULPS, off)

// D = A B + C
#define MADD(off) \
	VMOVDQU off(SI), Y0; \
	VPMULLD off(DX), Y0, Y0; \
	VPADDD off(CX), Y0, Y0; \
	VMOVDQU Y0, off(DI)

#define FMAPS(off) \
	VMOVUPS off(SI), Y0; \
	VMOVUPS off(CX), Y1; \
	VFMADD231PS off(DX), Y0, Y1; \
	VMOVUPS Y1, off(DI)

#define CVTPS(off) \
	VCVTDQ2PS off(SI), Y0; \
	VMOVUPS Y0, off(DI)

// Four comparisons of 64-bit elements become four bits at the top of R8; the bits of those before move
// down.
#define BITS \
	VMOVMSKPD Y0, AX; \
	SHRL $4, R8; \
	SHLL $28, AX; \
	ORL AX, R8

#define EQQ(off) \
	VMOVDQU off(DI), Y0; \
	VPCMPEQQ off(SI), Y0, Y0; \
	BITS

// A < B: B > A of 64 bits; of signed 32 bits, in the lower halves.
#define LTQ(off) \
	VMOVDQU off(SI), Y0; \
	VPCMPGTQ off(DI), Y0, Y0; \
	BITS

#define LTD(off) \
	VMOVDQU off(SI), Y0; \
	VPCMPGTD off(DI), Y0, Y0; \
	VPSLLQ $32, Y0, Y0; \
	BITS

#define LTPS(off) \
	VMOVUPS off(DI), Y0; \
	VCMPPS $0x11, off(SI), Y0, Y0; \
	VPSLLQ $32, Y0, Y0; \
	BITS

#define LEPS(off) \
	VMOVUPS off(DI), Y0; \
	VCMPPS $0x12, off(SI), Y0, Y0; \
	VPSLLQ $32, Y0, Y0; \
	BITS

#define LOOP3(NAME, STEP) \
TEXT NAME(SB), NOSPLIT, $0-24; \
	ARGS3; \
	EIGHT(STEP); \
	VZEROUPPER; \
	RET

#define LOOP4(NAME, STEP) \
TEXT NAME(SB), NOSPLIT, $0-32; \
	ARGS4; \
	EIGHT(STEP); \
	VZEROUPPER; \
	RET

#define RELATION(NAME, STEP) \
TEXT NAME(SB), NOSPLIT, $0-20; \
	MOVQ A+0(FP), DI; \
	MOVQ B+8(FP), SI; \
	XORL R8, R8; \
	EIGHT(STEP); \
	VZEROUPPER; \
	MOVL R8, ret+16(FP); \
	RET

LOOP3(·add32AVX2, ADDD)
LOOP3(·sub32AVX2, SUBD)
LOOP3(·add64AVX2, ADDQ_)
LOOP3(·sub64AVX2, SUBQ_)
LOOP3(·mulLow32AVX2, MULLD)
LOOP3(·mulWideS32AVX2, MULDQ)
LOOP3(·mulWideU32AVX2, MULUDQ)
LOOP3(·andAVX2, AND_)
LOOP3(·orAVX2, OR_)
LOOP3(·xorAVX2, XOR_)
LOOP3(·shl32AVX2, SHLD_)
LOOP3(·shrU32AVX2, SHRD_)
LOOP3(·shrS32AVX2, SARD_)
LOOP3(·minS32AVX2, MINSD_)
LOOP3(·maxS32AVX2, MAXSD_)
LOOP3(·addF32AVX2, ADDPS_)
LOOP3(·subF32AVX2, SUBPS_)
LOOP3(·mulF32AVX2, MULPS_)
LOOP4(·mad32AVX2, MADD)
LOOP4(·fmaF32AVX2, FMAPS)

RELATION(·equalAVX2, EQQ)
RELATION(·less64AVX2, LTQ)
RELATION(·less32AVX2, LTD)
RELATION(·lessF32AVX2, LTPS)
RELATION(·lessEqualF32AVX2, LEPS)

// func floatS32AVX2(D, A *lanes)
TEXT ·floatS32AVX2(SB), NOSPLIT, $0-16
	MOVQ D+0(FP), DI
	MOVQ A+8(FP), SI
	EIGHT(CVTPS)
	VZEROUPPER
	RET
