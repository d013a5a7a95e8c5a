#include "textflag.h"

// PACK8 gathers the low halves of 8 registers' lanes (64 bytes at p) into one vector of float32.
#define PACK8(p, off, y) \
	VMOVUPS off(p), Y12; \
	VSHUFPS $0x88, (off+32)(p), Y12, Y12; \
	VPERMPD $0xD8, Y12, y

#define PACK32(p, y0, y1, y2, y3) \
	PACK8(p, 0, y0); \
	PACK8(p, 64, y1); \
	PACK8(p, 128, y2); \
	PACK8(p, 192, y3)

// UNPACK8 spreads a vector of float32 over the lanes of a register, upper halves zero.
#define UNPACK8(p, off, x, y) \
	VPMOVZXDQ x, Y12; \
	VMOVDQU Y12, off(p); \
	VEXTRACTI128 $1, y, X13; \
	VPMOVZXDQ X13, Y13; \
	VMOVDQU Y13, (off+32)(p)

#define UNPACK32(p, x0, y0, x1, y1, x2, y2, x3, y3) \
	UNPACK8(p, 0, x0, y0); \
	UNPACK8(p, 64, x1, y1); \
	UNPACK8(p, 128, x2, y2); \
	UNPACK8(p, 192, x3, y3)

#define ZERO32(y0, y1, y2, y3) \
	VXORPS y0, y0, y0; \
	VXORPS y1, y1, y1; \
	VXORPS y2, y2, y2; \
	VXORPS y3, y3, y3

// STEP adds the products of one k. R10 is the fragment of A at this half of k, whose value for a row sits in lane imm of
// the row's four lanes; R11 is the fragment of B.
#define STEP(imm, aoff, boff) \
	VBROADCASTF128 boff(R11), Y8; \
	VBROADCASTF128 (boff+16)(R11), Y9; \
	VPERMILPS $imm, aoff(R10), Y10; \
	VFMADD231PS Y10, Y8, Y0; \
	VFMADD231PS Y10, Y9, Y4; \
	VPERMILPS $imm, (aoff+32)(R10), Y11; \
	VFMADD231PS Y11, Y8, Y1; \
	VFMADD231PS Y11, Y9, Y5; \
	VPERMILPS $imm, (aoff+64)(R10), Y14; \
	VFMADD231PS Y14, Y8, Y2; \
	VFMADD231PS Y14, Y9, Y6; \
	VPERMILPS $imm, (aoff+96)(R10), Y15; \
	VFMADD231PS Y15, Y8, Y3; \
	VFMADD231PS Y15, Y9, Y7

// func mmaBlockAVX2(m *mmaBlock)
TEXT ·mmaBlockAVX2(SB), NOSPLIT, $0-8
	MOVQ m+0(FP), DI
	MOVQ 64(DI), R8      // a
	XORQ R9, R9          // h: the upper or lower 8 rows

rows:
	MOVBLZX 88(DI), AX   // zero
	TESTB AL, AL
	JNE  zero
	MOVQ 32(DI)(R9*8), SI
	MOVQ 40(DI)(R9*8), DX
	PACK32(SI, Y0, Y1, Y2, Y3)
	PACK32(DX, Y4, Y5, Y6, Y7)
	JMP  products

zero:
	ZERO32(Y0, Y1, Y2, Y3)
	ZERO32(Y4, Y5, Y6, Y7)

products:
	MOVQ R8, R10
	MOVQ 72(DI), R11     // b
	MOVQ 80(DI), CX      // groups

group:
	STEP(0x00, 0, 0)
	STEP(0x00, 128, 32)
	STEP(0x55, 0, 64)
	STEP(0x55, 128, 96)
	STEP(0xAA, 0, 128)
	STEP(0xAA, 128, 160)
	STEP(0xFF, 0, 192)
	STEP(0xFF, 128, 224)
	ADDQ $512, R10       // two registers on: the next 8 of k
	ADDQ $256, R11
	DECQ CX
	JNE  group

	MOVQ 0(DI)(R9*8), SI
	MOVQ 8(DI)(R9*8), DX
	UNPACK32(SI, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	UNPACK32(DX, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	ADDQ $256, R8        // the register of rows 8 to 15
	ADDQ $2, R9
	CMPQ R9, $4
	JNE  rows
	VZEROUPPER
	RET
