// attention_sm90.cu: attention for sm_90a with bf16 operands, after FlashAttention-3 (Shah et al. 2024).
//
// A block stays on its multiprocessor and takes one tile of queries after another. One warpgroup produces: a thread of it
// brings queries, keys and values by TMA. The others consume, 64 queries each. Their products with the next keys and with
// the last values are under way while they turn the last scores to probabilities, which stay in registers as the left
// operand; and they take turns to issue them, so that one's products run during another's exponentials.
#include "attention_sm90.h"

template <int D, int GROUPS, int KEYS> struct Plan {
  static constexpr int QUERIES = GROUPS * 64, OWN = QUERIES * D * 2, PASS = KEYS * D * 2;
  static constexpr int O = OWN, K = 2 * OWN, V = K + 2 * PASS, BARS = V + 2 * PASS, SEEN = BARS + 128;
  uint32 q, o, k, v, q_full, q_empty, k_full, k_empty, v_full, v_empty;   // addresses; two stages of k, v and their barriers
  DEVICE Plan(uint32 base)
      : q(base), o(base + O), k(base + K), v(base + V), q_full(base + BARS), q_empty(q_full + 8), k_full(q_full + 16),
        k_empty(q_full + 32), v_full(q_full + 48), v_empty(q_full + 64) {}
};

struct Shape {
  int batch, time, heads, group, section;
  uint32 flags;
  const int *lo, *hi;
};

// A tile of queries and the tiles of keys that it sees.
template <int QUERIES, int KEYS> struct Work {
  Task w;
  Sight see;
  int t0, last, begin, end;
  DEVICE Work(int i, const Shape& s)
      : w(task(i, ceil_div(s.time, QUERIES), s.heads, s.batch, s.section, s.flags & CAUSAL)),
        see(sight(s.lo, s.hi, w.sequence, s.time, s.flags)), t0(w.tile * QUERIES), last(min(t0 + QUERIES, s.time) - 1),
        begin(first_key(see, t0) / KEYS), end(ceil_div(end_key(see, last), KEYS)) {}
};

DEV int tasks(const Shape& s, int queries) { return ceil_div(s.time, queries) * s.heads * s.batch; }

template <int D, int GROUPS, int KEYS>
DEV void produce(const Plan<D, GROUPS, KEYS>& at, const Shape& shape, const TensorMap* q, const TensorMap* k, const TensorMap* v) {
  constexpr int QUERIES = GROUPS * 64;
  int n = 0, filled = 0;   // key tiles and query tiles brought so far
  tma_prefetch(q), tma_prefetch(k), tma_prefetch(v);
  for (int round = 0, i; (i = task_in(round)) < tasks(shape, QUERIES); round++) {
    Work<QUERIES, KEYS> work(i, shape);
    if (work.begin >= work.end) continue;
    mbar_wait(at.q_empty, (filled++ & 1) ^ 1);
    mbar_expect(at.q_full, at.OWN);
    load_tile<QUERIES, D>(at.q, q, at.q_full, work.w.head, work.t0, work.w.sequence);
    for (int j = work.begin; j < work.end; j++, n++) {
      int stage = n & 1, parity = (n >> 1 & 1) ^ 1, head = work.w.head / shape.group;
      mbar_wait(at.k_empty + stage * 8, parity);
      mbar_expect(at.k_full + stage * 8, at.PASS);
      load_tile<KEYS, D>(at.k + stage * at.PASS, k, at.k_full + stage * 8, head, j * KEYS, work.w.sequence);
      mbar_wait(at.v_empty + stage * 8, parity);
      mbar_expect(at.v_full + stage * 8, at.PASS);
      load_tile<KEYS, D>(at.v + stage * at.PASS, v, at.v_full + stage * 8, head, j * KEYS, work.w.sequence);
    }
  }
}

// A lane's two rows: maxima of scores in powers of two, and sums of its own probabilities.
struct Rows {
  float top[2], sum[2];
  const int* seen;   // in shared memory: from and to of the first row, those of the other 8 rows on
};

// Turns scores to probabilities; what came before shrinks by the factors returned. key is the lane's first, if masked.
template <int R> DEV void soften(float (&s)[R], Rows& rows, float (&shrink)[2], float scale, bool masked, int key) {
UNROLL
  for (int h = 0; h < 2; h++) {
    if (masked) {
      int low = rows.seen[h * 16] - key, high = rows.seen[h * 16 + 1] - key;
UNROLL
      for (int j = 2 * h; j < R; j += 4)
UNROLL
        for (int i = 0; i < 2; i++)
          if (j / 4 * 8 + i < low || j / 4 * 8 + i >= high) s[j + i] = -INFINITE;
    }
    float top = max(s[2 * h], s[2 * h + 1]);
UNROLL
    for (int j = 2 * h + 4; j < R; j += 4) top = max(top, max(s[j], s[j + 1]));
    top = max(top, shuffle_xor(top, 1));
    top = max(top, shuffle_xor(top, 2)) * scale;
    top = max(top, rows.top[h]);
    float base = top == -INFINITE ? 0 : top;            // nothing seen so far: all probabilities are 0
    shrink[h] = exp2(rows.top[h] - base);
    rows.top[h] = top;
    float sum = 0;
UNROLL
    for (int j = 2 * h; j < R; j += 4)
UNROLL
      for (int i = 0; i < 2; i++) {
        s[j + i] = exp2(fma(s[j + i], scale, -base));
        sum += s[j + i];
      }
    rows.sum[h] = fma(rows.sum[h], shrink[h], sum);
  }
}

// Groups take turns in a ring: a turn ends when the products are issued, not when they are done.
template <int GROUPS> struct Turns {
  int group;
  DEVICE void start() const { if (group == GROUPS - 1) bar_arrive(4, 256); }
  DEVICE void take() const { bar_sync(4 + group, 256); }
  DEVICE void pass() const { bar_arrive(4 + (group + 1 == GROUPS ? 0 : group + 1), 256); }
  DEVICE void finish() const { if (group == 0) bar_sync(4, 256); }   // the last turn is passed to nobody
};

template <int D, int GROUPS, int KEYS>
DEV void consume(const Plan<D, GROUPS, KEYS>& at, const Shape& shape, int group, int* seen, float* lse, const TensorMap* o_map, float scale) {
  constexpr int QUERIES = GROUPS * 64;
  Turns<GROUPS> turns = {group};
  int n = 0, used = 0, thread = threadIdx.x & 127;   // key tiles and query tiles done with
  turns.start();
  for (int round = 0, i; (i = task_in(round)) < tasks(shape, QUERIES); round++) {
    Work<QUERIES, KEYS> work(i, shape);
    int first = work.t0 + group * 64, a = min(first, work.last), b = min(first + 63, work.last);
    int begin = min(max(first_key(work.see, a) / KEYS, work.begin), work.end);     // what this group's queries see
    int end = first > work.last ? begin : min(max(ceil_div(end_key(work.see, b), KEYS), begin), work.end);
    int own = group * 64 + thread / 32 * 16;            // first row of this warp
    sync_warp();
    if (lane() < 16) {
      seen[(own + lane()) * 2] = first_key(work.see, work.t0 + own + lane());
      seen[(own + lane()) * 2 + 1] = end_key(work.see, work.t0 + own + lane());
    }
    sync_warp();
    Rows rows = {{-INFINITE, -INFINITE}, {0, 0}, seen + (own + lane() / 4) * 2};
    float o[D / 2], s[KEYS / 2], shrink[2];
    uint32 p[KEYS / 16][4];
    clear(o);

    auto stage = [&](int n) DEVICE { return n & 1; };
    auto wait = [&](uint32 full, int n) DEVICE { mbar_wait(full + stage(n) * 8, n >> 1 & 1); };
    auto pass_by = [&]() DEVICE {                       // a tile that only other groups see
      wait(at.k_full, n);
      release(at.k_empty + stage(n) * 8);
      turns.take();
      turns.pass();
      wait(at.v_full, n);
      release(at.v_empty + stage(n) * 8);
      n++;
    };
    auto soft = [&](int j) DEVICE {
      int k0 = j * KEYS;
      const int* warp_seen = seen + (group * 64 + here(thread) / 32 * 16) * 2;
      soften(s, rows, shrink, scale, k0 < warp_seen[15 * 2] || k0 + KEYS > warp_seen[1], k0 + (lane() & 3) * 2);
    };
    auto scores = [&](int n) DEVICE { multiply_tiles<D, QUERIES, KEYS>(s, at.q + group * 64 * PANEL_ROW, at.k + stage(n) * at.PASS); wg_commit(); };
    auto values = [&](int n) DEVICE { multiply_fragments<KEYS>(o, p, at.v + stage(n) * at.PASS); wg_commit(); };

    if (work.begin < work.end) mbar_wait(at.q_full, used++ & 1);
    for (int j = work.begin; j < begin; j++) pass_by();
    if (begin < end) {
      wait(at.k_full, n);
      turns.take();
      wg_fence();
      scores(n);
      turns.pass();
      wg_wait<0>();
      wg_hold(s);
      release(at.k_empty + stage(n) * 8);
      soft(begin);
      round_fragments(p, s);
      for (int j = begin + 1; j < end; j++, n++) {
        wait(at.k_full, n + 1);
        turns.take();
        wg_hold(p), wg_hold(o), wg_hold(s);
        wg_fence();
        scores(n + 1);
        wait(at.v_full, n);
        values(n);
        turns.pass();
        wg_wait<1>();
        wg_hold(s);
        release(at.k_empty + stage(n + 1) * 8);
        soft(j);
        wg_wait<0>();
        wg_hold(o), wg_hold(p);
        release(at.v_empty + stage(n) * 8);
        round_fragments(p, s);
UNROLL
        for (int c = 0; c < D / 2; c++) o[c] *= shrink[c >> 1 & 1];
      }
      wait(at.v_full, n);
      wg_hold(p), wg_hold(o);
      wg_fence();
      values(n);
      wg_wait<0>();
      wg_hold(o), wg_hold(p);
      release(at.v_empty + stage(n) * 8);
      n++;
    }
    for (int j = end; j < work.end; j++) pass_by();
    if (work.begin < work.end) release(at.q_empty);

    Work<QUERIES, KEYS> again(task_in(here(round)), shape);   // not kept in registers
    float inverse[2];
    first = again.t0 + group * 64;
UNROLL
    for (int h = 0; h < 2; h++) {
      float sum = rows.sum[h];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      inverse[h] = sum > 0 ? rcp(sum) : 0;
      int t = first + thread / 32 * 16 + lane() / 4 + h * 8;
      if ((lane() & 3) == 0 && t < shape.time)
        lse[((int64)again.w.sequence * shape.heads + again.w.head) * shape.time + t] = (rows.top[h] + log2(sum)) * LN2;
    }
    if (thread == 0) bulk_wait_read<0>();               // what this group stored last has left shared memory
    bar_sync(1 + group, 128);
    store_fragments<QUERIES>(at.o, group * 64 + thread / 32 * 16, o, inverse);
    fence_async();
    bar_sync(1 + group, 128);
    if (thread == 0 && first < shape.time) {
UNROLL
      for (int c = 0; c < D / 64; c++)
        tma_store(o_map, at.o + (c * QUERIES + group * 64) * PANEL_ROW, c * 64, again.w.head, first, again.w.sequence);
      bulk_commit();
    }
  }
  if (thread == 0) bulk_wait_read<0>();
  turns.finish();
}

template <int D, int GROUPS, int KEYS, int FEW, int MANY>
DEV void attend(const TensorMap* o, const TensorMap* q, const TensorMap* k, const TensorMap* v, float* lse, const Shape& shape, float scale) {
  SHARED(uint8, shared);
  Plan<D, GROUPS, KEYS> at(smem(shared));
  if (threadIdx.x == 0) {
    mbar_init(at.q_full, 1);
    mbar_init(at.q_empty, GROUPS * 4);
    for (int s = 0; s < 2; s++) {
      mbar_init(at.k_full + s * 8, 1);
      mbar_init(at.v_full + s * 8, 1);
      mbar_init(at.k_empty + s * 8, GROUPS * 4);
      mbar_init(at.v_empty + s * 8, GROUPS * 4);
    }
    mbar_init_fence();
  }
  sync_block();
  if (threadIdx.x < 128) {
    regs_dec<FEW>();
    if (leads()) produce(at, shape, q, k, v);
  } else {
    regs_inc<MANY>();
    int group = shuffle((int)threadIdx.x / 128 - 1, 0);   // known to be one for the warp: descriptors stay in uniform registers
    consume(at, shape, group, (int*)(shared + at.SEEN), lse, o, scale * LOG2E);
  }
}

#define ATTENTION(NAME, D, GROUPS, KEYS, FEW, MANY) \
KERNEL(GROUPS * 128 + 128, 1) attention_sm90__##NAME( \
    PARAM(TensorMap) o, PARAM(TensorMap) q, PARAM(TensorMap) k, PARAM(TensorMap) v, float* lse, const int* lo, const int* hi, \
    int batch, int time, int heads, int group, int section, float scale, uint32 flags) { \
  attend<D, GROUPS, KEYS, FEW, MANY>(&o, &q, &k, &v, lse, {batch, time, heads, group, section, flags, lo, hi}, scale); }

ATTENTION(d64, 64, 3, 128, 32, 160)
ATTENTION(d64_short, 64, 2, 128, 24, 240)
ATTENTION(d128, 128, 2, 128, 24, 240)
