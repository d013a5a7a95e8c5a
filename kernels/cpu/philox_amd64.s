//go:build !noasm

#include "textflag.h"

// Every word of a counter lies in the lower half of a 64-bit lane, where VPMULUDQ finds it and leaves both halves of its
// product. The upper halves hold anything: neither the multiplication nor exclusive or lets them down.

DATA philoxLanes<>+0(SB)/8, $0
DATA philoxLanes<>+8(SB)/8, $1
DATA philoxLanes<>+16(SB)/8, $2
DATA philoxLanes<>+24(SB)/8, $3
GLOBL philoxLanes<>(SB), RODATA|NOPTR, $32

DATA philoxMultipliers<>+0(SB)/4, $0xd2511f53
DATA philoxMultipliers<>+4(SB)/4, $0xcd9e8d57
GLOBL philoxMultipliers<>(SB), RODATA|NOPTR, $8

// ROUND is one round on the counters C0..C3, with the multipliers in Y12 and Y13 and the keys in Y14 and Y15.
#define ROUND(C0, C1, C2, C3, P0, P1) \
	VPMULUDQ Y12, C0, P0   \
	VPMULUDQ Y13, C2, P1   \
	VPSRLQ   $32, P1, C0   \
	VPXOR    C1, C0, C0    \
	VPXOR    Y14, C0, C0   \
	VMOVDQA  P1, C1        \
	VPSRLQ   $32, P0, C2   \
	VPXOR    C3, C2, C2    \
	VPXOR    Y15, C2, C2   \
	VMOVDQA  P0, C3

// func philoxAVX2(words *uint32, n int, c0, c1, c2, c3 uint32, key *[10][2]uint32)
TEXT ·philoxAVX2(SB), NOSPLIT, $0-40
	MOVQ         words+0(FP), DI
	MOVQ         n+8(FP), CX
	MOVL         c0+16(FP), R8
	MOVL         c1+20(FP), R9
	MOVL         c2+24(FP), R10
	MOVL         c3+28(FP), AX
	MOVQ         key+32(FP), SI
	VPBROADCASTD philoxMultipliers<>+0(SB), Y12
	VPBROADCASTD philoxMultipliers<>+4(SB), Y13

eight:
	VMOVD        R8, X0
	VPBROADCASTD X0, Y0
	VMOVD        R9, X1
	VPBROADCASTD X1, Y1
	VMOVD        R10, X2
	VPBROADCASTD X2, Y2
	VMOVQ        AX, X3
	VPBROADCASTQ X3, Y3
	VPADDQ       philoxLanes<>(SB), Y3, Y3
	VMOVDQA      Y0, Y4
	VMOVDQA      Y1, Y5
	VMOVDQA      Y2, Y6
	LEAL         4(AX), DX
	VMOVQ        DX, X7
	VPBROADCASTQ X7, Y7
	VPADDQ       philoxLanes<>(SB), Y7, Y7
	XORQ         BX, BX

round:
	VPBROADCASTD (SI)(BX*8), Y14
	VPBROADCASTD 4(SI)(BX*8), Y15
	ROUND(Y0, Y1, Y2, Y3, Y8, Y9)
	ROUND(Y4, Y5, Y6, Y7, Y10, Y11)
	INCQ         BX
	CMPQ         BX, $10
	JLT          round

	VSHUFPS $0x88, Y4, Y0, Y0 // the lower halves: 0 1 4 5 2 3 6 7
	VPERMQ  $0xd8, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ    $32, DI
	ADDL    $8, AX
	SUBQ    $8, CX
	JNZ     eight
	VZEROUPPER
	RET
