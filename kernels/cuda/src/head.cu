// head.cu: from logits to log-probabilities, and to the gradient of the logits.
//
// A block has one row of up to 2¹⁷ and more logits, which is too long for the shared memory of an Ampere card. Without a
// gradient a row is read once, 4 bytes a logit: each thread keeps a running maximum with the sums that refer to it. With a
// gradient it is read twice, the second time from its end, where the second-level cache still has it, and 2 bytes (BF16) or
// 4 are written in its place: 6 to 10 bytes a logit, where a kernel for each step would move 18. Accesses are of 16 bytes a lane,
// 32 KiB are under way in a multiprocessor, and a logit costs some 20 instructions: memory is the bound.
//
// A gradient in BF16 lies in the second half of its row of F32, so that a row read from its end is never overwritten before
// it was read. Columns from vocab on have probability 0 and gradient 0.
#include "vector.h"

constexpr int THREADS = 512, STEP = 8 * THREADS;

// The numbers of a row that its statistics come from: the largest logit and, with e = exp(z - top), Σ e and Σ e·(z - top).
struct RowSums { float top, sum, weighted; };

// e(z - top), with no product of 0 and infinity for a logit that is -inf.
DEV float distance(float z, float top) {
  float d = z - top;
  return d < -1e4f ? -1e4f : d;
}
// A maximum that is -inf has no distances: 0 serves as well.
DEV float finite(float top) { return top == -INFINITE ? 0 : top; }

// A thread's eight logits of a step: two times four, each of which a warp reads and writes side by side.
DEV int column_of(int start, int half) { return start + half * (STEP / 2) + threadIdx.x * 4; }
DEV void load_step(float (&z)[2][4], const float* row, int start, int vocab, int wide) {
  UNROLL for (int h = 0; h < 2; h++) {
    int j = column_of(start, h);
    load_four(z[h], row + j, vocab - j, wide, -INFINITE);
  }
}

DEV RowSums row_sums(const float* row, int vocab, int wide, float* red) {
  RowSums r = {-INFINITE, 0, 0};
  for (int start = 0; start < vocab; start += STEP) {
    float z[2][4];
    load_step(z, row, start, vocab, wide);
    float top = -INFINITE;
    UNROLL for (int k = 0; k < 8; k++) top = max(top, z[k / 4][k % 4]);
    if (top > r.top) {
      float d = distance(r.top, top), e = exp(d);
      r.weighted = e * fma(d, r.sum, r.weighted);
      r.sum *= e;
      r.top = top;
    }
    float base = finite(r.top);
    UNROLL for (int k = 0; k < 8; k++) {
      float d = distance(z[k / 4][k % 4], base), e = exp(d);
      r.sum += e;
      r.weighted = fma(e, d, r.weighted);
    }
  }
  float top = finite(block_max<THREADS>(r.top, red));
  float d = distance(r.top, top), e = exp(d);
  r.weighted = block_sum<THREADS>(e * fma(d, r.sum, r.weighted), red + 16);
  r.sum = block_sum<THREADS>(e * r.sum, red + 32);
  r.top = top;
  return r;
}

// dz = scale·exp(z - top), plus `picked` for the target, of all `padded` columns. D is where it goes: float for the row
// itself, bf16 for its second half.
template <class D>
DEV void row_gradient(float* row, int padded, int vocab, int wide, float top, float scale, int target, float picked) {
  D* out = (D*)row + (sizeof(D) == 2 ? padded : 0);
  for (int start = (padded - 1) / STEP * STEP; start >= 0; start -= STEP) {
    float z[2][4];
    load_step(z, row, start, min(vocab, padded), wide);
    UNROLL for (int k = 0; k < 8; k++) {
      float& x = z[k / 4][k % 4];
      x = scale * exp(distance(x, top));
      if (column_of(start, k / 4) + k % 4 == target) x += picked;
    }
    if (sizeof(D) == 2) sync_block();   // everybody has read what is overwritten now
    UNROLL for (int h = 0; h < 2; h++) {
      int j = column_of(start, h);
      store_four(out + j, z[h], padded - j, wide);
    }
  }
}

// logits(·,padded), F32 and ld apart; one block a row. STATS: logp, lse and entropy, which may be null, are computed, else lse is
// given. GRAD: the gradient for dlogp and dlse, which may be null, replaces the logits.
template <class D, bool STATS, bool GRAD>
DEV void log_prob(float* logits, float* logp, float* lse, float* entropy, const float* dlogp, const float* dlse,
                  const int* targets, int padded, int vocab, int64 ld, int wide) {
  STATIC_SHARED(float, red, 48);
  int i = blockIdx.x, target = targets[i];
  float* row = logits + i * ld;
  float picked = STATS && target >= 0 ? row[target] : 0;
  RowSums r = {0, 1, 0};
  if (STATS) {
    r = row_sums(row, vocab, wide, red);
    if (threadIdx.x == 0) {
      float spread = log(r.sum), all = r.top + spread;
      lse[i] = all;
      logp[i] = target >= 0 ? picked - all : 0;
      if (entropy) entropy[i] = spread - div(r.weighted, r.sum);
    }
  } else if (GRAD) {
    r.top = lse[i];
  }
  if (!GRAD) return;
  float gain = target >= 0 ? dlogp[i] : 0, total = dlse ? dlse[i] : 0;
  bool idle = gain == 0 && total == 0;   // a row that contributes nothing, whatever its logits
  row_gradient<D>(row, padded, idle ? 0 : vocab, wide, idle ? 0 : r.top, idle ? 0 : div(total - gain, r.sum), target,
                  gain);
}

#define LOG_PROB(name, D, STATS, GRAD) \
  KERNEL(512, 2) log_prob__##name(float* logits, float* logp, float* lse, float* entropy, const float* dlogp, \
                                  const float* dlse, const int* targets, int padded, int vocab, int64 ld, int wide) { \
    log_prob<D, STATS, GRAD>(logits, logp, lse, entropy, dlogp, dlse, targets, padded, vocab, ld, wide); \
  }
LOG_PROB(value, float, true, false)
LOG_PROB(grad_f32, float, false, true)
LOG_PROB(grad_bf16, bf16, false, true)
LOG_PROB(both_f32, float, true, true)
LOG_PROB(both_bf16, bf16, true, true)
