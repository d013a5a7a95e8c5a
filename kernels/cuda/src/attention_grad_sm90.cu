// attention_grad_sm90.cu: the gradient of attention for sm_90a with bf16 operands.
//
// As for sm_80, one kernel owns keys and sums dk and dv, another owns queries and sums dq, each in one order and in
// registers: seven products instead of the five of FlashAttention-3 (Shah et al. 2024), but no gradient of scores in shared
// memory, no adding to dq by many blocks, and so neither atomics nor waiting for the turn that would make them
// deterministic. Blocks stay on their multiprocessor. A thread brings operands by TMA; two warpgroups multiply, 64 rows each,
// with both left operands of the last products in registers, and one's products run during another's exponentials.
#include "attention_keys_sm90.h"
#include "attention_queries_sm90.h"

#define GRAD(NAME, BODY) \
KERNEL(384, 1) attention_grad_sm90__##NAME( \
    PARAM(TensorMap) dq, PARAM(TensorMap) dk, PARAM(TensorMap) dv, PARAM(TensorMap) grad, PARAM(TensorMap) q, \
    PARAM(TensorMap) k, PARAM(TensorMap) v, const float* lse, const float* delta, const int* lo, const int* hi, \
    int batch, int time, int heads, int group, int section, float scale, uint32 flags) { \
  BODY({&dq, &dk, &dv, &grad, &q, &k, &v}, {lo, hi, lse, delta, batch, time, heads, group, section, scale, flags}); }
#define COMMA ,

GRAD(keys_d64, keys_grad<64 COMMA 4>)
GRAD(keys_d128, keys_grad<128 COMMA 2>)
GRAD(queries_d64, queries_grad<64 COMMA 4>)
GRAD(queries_d128, queries_grad<128 COMMA 3>)
