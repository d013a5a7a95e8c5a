// sample.cu: drawing a token from a row of logits.
//
// One block a row. Tokens are ordered by falling logit and rising id; top-k, top-p and the draw itself each ask for one token
// of that order: the first at which a count, or a cumulated probability, exceeds a target. A radix select answers: histograms
// over what is left of the order, 11 bits at a time. Its first digit is the distance from the largest logit in sixteenths, which
// leaves few tokens, so that these fit a list in shared memory: a row is read from memory three times, as a rule, 4 bytes a
// logit, and everything after works on the list. A kernel of latency, not of bandwidth: 15 to 20 microseconds are expected for
// 50,000 tokens, in all rows at once.
//
// Probabilities are added as integers, in units of 2⁻⁴⁰ of the largest. So sums are exact and their order is free, and
// histograms may use atomic additions and still be deterministic.
#include "ptx.h"

constexpr int THREADS = 512, WARPS = THREADS / 32, BINS = 2048, LIST = 2048, DIGIT = 11;
constexpr int ID_BITS = 22, RANK_BITS = 32 + ID_BITS;
constexpr uint64 ALL = ~0ull;

enum { TEMPERATURE, TOP_K, TOP_P, MIN_P, REPETITION, UNIFORM };   // of a row of parameters

struct Work {
  uint64 weight[BINS];   // of the tokens in a bin
  uint32 count[BINS];
  float z[LIST];         // tokens that may be left, in no order
  int id[LIST];
  uint64 sums[WARPS], below, rank;
  uint32 bin, inside, listed, bad;
};

// A row of logits and what happens to them before they are compared.
struct Row {
  const float* z;
  const uint8* seen;   // or null
  int vocab;
  float repetition, inverse;   // 1/temperature
  float top;                   // the largest logit, afterwards
};

DEV float adjusted(const Row& r, float z, bool seen) {
  if (seen) z = z > 0 ? div(z, r.repetition) : mul(z, r.repetition);
  z = mul(z, r.inverse);
  return z == 0 ? 0 : z;   // -0 is no less than 0
}

// rank orders tokens: the smaller, the earlier.
DEV uint64 rank_of(float z, int id) {
  uint32 u = as_uint(z), rising = u >> 31 ? ~u : u | 0x80000000u;
  return (uint64)~rising << ID_BITS | (uint32)id;
}
DEV int id_of(uint64 rank) { return (int)(rank & ((1u << ID_BITS) - 1)); }
DEV float logit_of(uint64 rank) {
  uint32 rising = ~(uint32)(rank >> ID_BITS);
  return as_float(rising >> 31 ? rising & 0x7fffffffu : ~rising);
}

// What is left of the vocabulary: tokens up to a rank whose weight is enough, all in the row, or all in the list.
struct Left {
  uint64 last;
  float least;
  int listed;   // -1: the row
};

DEV float weight_of(const Row& r, float z) { return exp(z - r.top); }
DEV int bucket_of(const Row& r, float z) { return (int)min((r.top - z) * 16.f, (float)(BINS - 1)); }

// Calls f(z, rank) for every token that is left.
template <class F> DEV void each(const Row& r, const Work& w, const Left& left, F f) {
  if (left.listed >= 0) {
    for (int i = threadIdx.x; i < left.listed; i += THREADS) {
      float z = w.z[i];
      uint64 rank = rank_of(z, w.id[i]);
      if (rank <= left.last && (left.least <= 0 || weight_of(r, z) >= left.least)) f(z, rank);
    }
    return;
  }
  for (int start = 0; start < r.vocab; start += 4 * THREADS) {
    float z[4];
    bool seen[4];
    UNROLL for (int u = 0; u < 4; u++) {
      int j = start + u * THREADS + threadIdx.x;
      z[u] = j < r.vocab ? r.z[j] : 0;
      seen[u] = j < r.vocab && r.seen && r.seen[j];
    }
    UNROLL for (int u = 0; u < 4; u++) {
      int j = start + u * THREADS + threadIdx.x;
      if (j >= r.vocab) continue;
      float v = adjusted(r, z[u], seen[u]);
      uint64 rank = rank_of(v, j);
      if (rank <= left.last && (left.least <= 0 || weight_of(r, v) >= left.least)) f(v, rank);
    }
  }
}

DEV uint64 shuffle_up(uint64 v, int n) { return (uint64)shuffle_up((uint32)(v >> 32), n) << 32 | shuffle_up((uint32)v, n); }

// The sum of v in the threads before this one, and in all.
DEV uint64 sum_before(uint64 v, uint64* sums, uint64& total) {
  uint64 s = v;
  UNROLL for (int o = 1; o < 32; o <<= 1) {
    uint64 from = shuffle_up(s, o);
    if (lane() >= o) s += from;
  }
  if (lane() == 31) sums[warp()] = s;
  sync_block();
  uint64 before = s - v;
  total = 0;
  UNROLL for (int i = 0; i < WARPS; i++) {
    if (i < warp()) before += sums[i];
    total += sums[i];
  }
  return before;
}

// f·x, for f in units of 2⁻³².
DEV uint64 share(uint64 x, uint32 f) { return (x >> 32) * f + ((x & 0xffffffffu) * f >> 32); }

// The rank of the token at which the cumulated count exceeds `amount` (TOP_K), or the cumulated weight reaches (TOP_P) or exceeds
// (UNIFORM) that share of the weight of all that are left, which is returned in total. May replace the row by the list.
DEV uint64 select(const Row& r, Work& w, Left& left, int question, uint32 amount, uint64& total) {
  bool count = question == TOP_K;
  uint64 target = amount, prefix = 0;
  int bucket = 0;
  ROLL for (int level = 0;; level++) {
    int before = RANK_BITS - DIGIT * (level - 1), shift = max(before - DIGIT, 0);   // bits that are open, before and after
    for (int i = threadIdx.x; i < BINS; i += THREADS) {
      w.count[i] = 0;
      if (!count) w.weight[i] = 0;
    }
    sync_block();
    each(r, w, left, [&](float z, uint64 rank) {
      int digit = bucket_of(r, z);
      if (level) {
        if (digit != bucket || rank >> before != prefix) return;
        digit = (int)(rank >> shift) & ((1 << (before - shift)) - 1);
      }
      shared_add(&w.count[digit], 1);
      if (!count) shared_add(&w.weight[digit], (uint64)(weight_of(r, z) * 0x1p40f));
    });
    sync_block();
    constexpr int OWN = BINS / THREADS;
    uint64 v[OWN], sum = 0, all;
    UNROLL for (int i = 0; i < OWN; i++) {
      int b = threadIdx.x * OWN + i;
      sum += v[i] = count ? w.count[b] : w.weight[b];
    }
    uint64 below = sum_before(sum, w.sums, all);
    if (level == 0) {
      total = all;
      if (!count) target = share(all, amount);
      if (question == TOP_P && target) target--;   // integers that reach it exceed the one below
    }
    UNROLL for (int i = 0; i < OWN; i++) {
      int b = threadIdx.x * OWN + i;
      if (below <= target && target - below < v[i]) w.bin = b, w.below = below, w.inside = w.count[b];
      below += v[i];
    }
    if (threadIdx.x == 0) w.listed = 0;
    sync_block();
    target -= w.below;
    if (level) prefix = prefix << (before - shift) | w.bin;
    else bucket = w.bin;
    bool found = w.inside == 1;
    if (shift == 0) return prefix;
    if (left.listed < 0 && level == 0) {   // nothing behind the bin will be left
      each(r, w, left, [&](float z, uint64 rank) {
        if (bucket_of(r, z) > bucket) return;
        uint32 i = shared_add(&w.listed, 1);
        if (i < LIST) w.z[i] = z, w.id[i] = id_of(rank);
      });
      sync_block();
      if (w.listed <= LIST) left.listed = w.listed;
    }
    if (found) {
      each(r, w, left, [&](float z, uint64 rank) {
        if (bucket_of(r, z) == bucket && (level == 0 || rank >> shift == prefix)) w.rank = rank;
      });
      sync_block();
      return w.rank;
    }
  }
}

// The rank of the first of all tokens; bad if a logit is not a number. Such logits count for nothing.
DEV uint64 first(const Row& r, Work& w, bool& bad) {
  if (threadIdx.x == 0) w.bad = 0;
  sync_block();
  uint64 best = ALL;
  each(r, w, {ALL, 0, -1}, [&](float z, uint64 rank) {
    if (z != z) shared_or(&w.bad, 1);
    else if (rank < best) best = rank;
  });
  uint32 high = redux_min((uint32)(best >> 32)), low = redux_min((uint32)(best >> 32) == high ? (uint32)best : ~0u);
  if (lane() == 0) w.sums[warp()] = (uint64)high << 32 | low;
  sync_block();
  best = w.sums[0];
  UNROLL for (int i = 1; i < WARPS; i++) best = w.sums[i] < best ? w.sums[i] : best;
  bad = w.bad;
  sync_block();
  return best == ALL ? 0 : best;
}

// A share of 1 in units of 2⁻³².
DEV uint32 fraction(float f) { return (uint32)(max(min(f, 1 - 0x1p-24f), 0.f) * 0x1p32f); }

KERNEL(512, 1) sample__f32(int* next, float* logp, const float* logits, const float* parameters, const uint8* seen, int vocab,
                           int64 ld, int64 ldparameters, int64 ldseen) {
  STATIC_SHARED(Work, work, 1);
  Work& w = work[0];
  int row = blockIdx.x;
  const float* p = parameters + row * ldparameters;
  float temperature = p[TEMPERATURE], k = p[TOP_K], top_p = p[TOP_P], min_p = p[MIN_P], repetition = p[REPETITION];
  float uniform = p[UNIFORM];
  bool greedy = !(temperature > 0), repeats = repetition > 0 && repetition != 1;
  Row r = {logits + row * ld, seen && repeats ? seen + row * ldseen : nullptr, vocab, repetition,
           greedy ? 1 : div(1, temperature), 0};
  bool bad;
  uint64 rank = first(r, w, bad), total;
  r.top = logit_of(rank);
  float result = 0;
  if (!greedy) {
    if (bad || r.top - r.top != 0) {   // there is no distribution
      result = as_float(0x7fffffffu);
    } else {
      Left left = {ALL, 0, -1};
      ROLL for (int question = TOP_K; question <= UNIFORM; question++) {
        if (question == MIN_P) left.least = min(min_p, 1.f);
        bool asked = question == TOP_K ? k >= 1 && k < vocab : question == TOP_P ? top_p > 0 && top_p < 1 : question == UNIFORM;
        if (!asked) continue;
        uint32 amount = question == TOP_K ? (uint32)k - 1 : fraction(question == TOP_P ? top_p : uniform);
        rank = select(r, w, left, question, amount, total);
        left.last = rank;
      }
      result = logit_of(rank) - r.top - log((float)total * 0x1p-40f);
    }
  }
  if (threadIdx.x == 0) next[row] = id_of(rank), logp[row] = result;
}
