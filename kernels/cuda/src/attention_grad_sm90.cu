// attention_grad_sm90.cu: the gradient of attention for sm_90a with bf16 operands.
//
// As for sm_80, one kernel owns keys and sums dk and dv, another owns queries and sums dq, each in one order and in
// registers: seven products instead of the five of FlashAttention-3 (Shah et al. 2024), but no gradient of scores in shared
// memory, no adding to dq by many blocks, and so neither atomics nor waiting for the turn that would make them
// deterministic. Blocks stay on their multiprocessor. A thread brings operands by TMA; two warpgroups multiply, 64 rows each,
// with both left operands of the last products in registers, and one's products run during another's exponentials.
#include "attention_grad_sm90.h"

// ---- keys ----

// What queries of a step need, brought by two warps beside TMA.
struct alignas(16) Stats {
  float base[ROWS], delta[ROWS];
  int from[ROWS], to[ROWS];   // the keys that they see
  int least, most;            // together
};

template <int D, int STAGES> struct KeysPlan {
  static constexpr int BLOCK = ROWS * D * 2, STEPS = 8 * BLOCK, STATS = STEPS + STAGES * 2 * BLOCK, BARS = STATS + STAGES * 1152;
  uint32 own, step, own_full, own_empty, full, empty;   // two buffers of keys and values, which become dk and dv
  DEVICE KeysPlan(uint32 base)
      : own(base), step(base + STEPS), own_full(base + BARS), own_empty(own_full + 16), full(own_full + 32), empty(full + STAGES * 8) {}
};

// A tile of 128 keys of a key-value head and the tiles of queries that see it.
struct KeysWork {
  Task w;
  Sight see;
  int k0, begin, end;
  DEVICE KeysWork(int i, const Shape& s)
      : w(task(i, ceil_div(s.time, 2 * ROWS), s.heads / s.group, s.batch, s.section, false)),
        see(sight(s.lo, s.hi, w.sequence, s.time, s.flags)), k0(w.tile * 2 * ROWS), begin(first_query(see, k0) / ROWS),
        end(ceil_div(end_query(see, min(k0 + 2 * ROWS, s.time)), ROWS)) {}
};

DEV int keys_tasks(const Shape& s) { return ceil_div(s.time, 2 * ROWS) * (s.heads / s.group) * s.batch; }

template <int D, int STAGES> DEV void bring_queries(const KeysPlan<D, STAGES>& at, const Shape& shape, const Maps& maps) {
  Ring own = {0, 0}, ring = {0, 0};
  for (int round = 0, i; (i = task_in(round)) < keys_tasks(shape); round++, own.next(2)) {
    KeysWork work(i, shape);
    uint32 buffer = at.own + own.stage * 4 * at.BLOCK, bar = at.own_full + own.stage * 8;
    mbar_wait(at.own_empty + own.stage * 8, own.parity ^ 1);
    mbar_expect(bar, 4 * at.BLOCK);
    for (int b = 0; b < 2; b++) {
      load_tile<ROWS, D>(buffer + b * at.BLOCK, maps.k, bar, work.w.head, work.k0 + b * ROWS, work.w.sequence);
      load_tile<ROWS, D>(buffer + (2 + b) * at.BLOCK, maps.v, bar, work.w.head, work.k0 + b * ROWS, work.w.sequence);
    }
    for (int head = work.w.head * shape.group; head < (work.w.head + 1) * shape.group; head++)
      for (int j = work.begin; j < work.end; j++, ring.next(STAGES)) {
        uint32 to = at.step + ring.stage * 2 * at.BLOCK, full = at.full + ring.stage * 8;
        mbar_wait(at.empty + ring.stage * 8, ring.parity ^ 1);
        mbar_expect(full, 2 * at.BLOCK);
        load_tile<ROWS, D>(to, maps.q, full, head, j * ROWS, work.w.sequence);
        load_tile<ROWS, D>(to + at.BLOCK, maps.grad, full, head, j * ROWS, work.w.sequence);
      }
  }
}

template <int D, int STAGES> DEV void bring_stats(const KeysPlan<D, STAGES>& at, const Shape& shape, Stats* stats) {
  Ring ring = {0, 0};
  for (int round = 0, i; (i = task_in(round)) < keys_tasks(shape); round++) {
    KeysWork work(i, shape);
    for (int head = work.w.head * shape.group; head < (work.w.head + 1) * shape.group; head++) {
      int64 row = ((int64)work.w.sequence * shape.heads + head) * shape.time;
      for (int j = work.begin; j < work.end; j++, ring.next(STAGES)) {
        Stats& to = stats[ring.stage];
        int r = threadIdx.x - 32, t = j * ROWS + r;
        mbar_wait(at.empty + ring.stage * 8, ring.parity ^ 1);
        to.base[r] = t < shape.time ? base_of(shape.lse[row + t]) : INFINITE;
        to.delta[r] = t < shape.time ? shape.delta[row + t] : 0;
        to.from[r] = first_key(work.see, t), to.to[r] = end_key(work.see, t);
        if (r == 0) to.least = first_key(work.see, j * ROWS), to.most = end_key(work.see, min(j * ROWS + ROWS, shape.time) - 1);
        mbar_arrive(at.full + ring.stage * 8);
      }
    }
  }
}

template <int D, int STAGES>
DEV void sum_keys(const KeysPlan<D, STAGES>& at, const Shape& shape, const Maps& maps, int group, const Stats* stats) {
  constexpr bool HELD = D == 64;   // there are registers for keys and values, and to let two steps overlap
  int thread = threadIdx.x & 127, owed = -1;   // the buffer whose results are on their way out
  Ring own = {0, 0}, ring = {0, 0};
  float scale = shape.scale * LOG2E;
  for (int round = 0, i; (i = task_in(round)) < keys_tasks(shape); round++, own.next(2)) {
    KeysWork work(i, shape);
    uint32 key = at.own + (own.stage * 4 + group) * at.BLOCK, value = key + 2 * at.BLOCK;
    int first = work.k0 + group * ROWS, mine = first + thread / 32 * 16, steps = max(work.end - work.begin, 0) * shape.group;
    int before = -1;                                    // the stage that the last products still read
    float dk[D / 2], dv[D / 2], s[ROWS / 2], ds[ROWS / 2];
    uint32 p[4][4], g[4][4], fk[D / 16][4], fv[D / 16][4];
    clear(dk), clear(dv);
    mbar_wait(at.own_full + own.stage * 8, own.parity);
    if (HELD) load_fragments<D>(fk, key), load_fragments<D>(fv, value);

    for (int n = 0; n < steps; n++, ring.next(STAGES)) {
      uint32 q = at.step + ring.stage * 2 * at.BLOCK, grad = q + at.BLOCK;
      const Stats& st = stats[ring.stage];
      mbar_wait(at.full + ring.stage * 8, ring.parity);
      bool seen = first < st.most && first + ROWS > st.least;
      if (seen) {
        if (HELD) wg_hold(fk), wg_hold(fv);
        wg_hold(s), wg_hold(ds);
        wg_fence();
        if (HELD) multiply_left<D>(s, fk, q); else multiply_tiles<D, ROWS, ROWS>(s, key, q);
        wg_commit();
        if (HELD) multiply_left<D>(ds, fv, grad); else multiply_tiles<D, ROWS, ROWS>(ds, value, grad);
        wg_commit();
        wg_wait<1>();
        wg_hold(s), wg_hold(dk), wg_hold(dv), wg_hold(p), wg_hold(g);
        if (before >= 0) release(at.empty + before * 8);
        bool some = mine < st.from[ROWS - 1] || mine + 16 > st.to[0];
UNROLL
        for (int j = 0; j < ROWS / 8; j++) {
          floatx2 base = *(const floatx2*)&st.base[j * 8 + (lane() & 3) * 2];
UNROLL
          for (int i = 0; i < 4; i++) s[j * 4 + i] = exp2(fma(s[j * 4 + i], scale, -base[i & 1]));
        }
        if (some) {
          int k = mine + lane() / 4;
UNROLL
          for (int j = 0; j < ROWS / 8; j++)
UNROLL
            for (int c = 0; c < 2; c++) {
              int t = j * 8 + (lane() & 3) * 2 + c, from = st.from[t], to = st.to[t];
              s[j * 4 + c] = k >= from && k < to ? s[j * 4 + c] : 0;
              s[j * 4 + 2 + c] = k + 8 >= from && k + 8 < to ? s[j * 4 + 2 + c] : 0;
            }
        }
        wg_wait<0>();
        wg_hold(ds);
UNROLL
        for (int j = 0; j < ROWS / 8; j++) {
          floatx2 delta = *(const floatx2*)&st.delta[j * 8 + (lane() & 3) * 2];
UNROLL
          for (int i = 0; i < 4; i++) ds[j * 4 + i] = s[j * 4 + i] * (ds[j * 4 + i] - delta[i & 1]);
        }
        round_fragments(p, s);
        round_fragments(g, ds);
        wg_hold(p), wg_hold(g), wg_hold(dk), wg_hold(dv);
        wg_fence();
        multiply_fragments<ROWS>(dv, p, grad);
        multiply_fragments<ROWS>(dk, g, q);
        wg_commit();
        before = ring.stage;
      }
      if (!HELD || !seen) {                             // else done when the next scores are
        wg_wait<0>();
        wg_hold(dk), wg_hold(dv), wg_hold(p), wg_hold(g);
        if (before >= 0) release(at.empty + before * 8);
        if (!seen) release(at.empty + ring.stage * 8);
        before = -1;
      }
      if (owed >= 0) {                                  // the last results have left shared memory by now
        if (thread == 0) bulk_wait_read<0>(), mbar_arrive(at.own_empty + owed * 8);
        owed = -1;
      }
    }

    wg_wait<0>();
    wg_hold(dk), wg_hold(dv), wg_hold(p), wg_hold(g);
    if (before >= 0) release(at.empty + before * 8);
    if (owed >= 0 && thread == 0) bulk_wait_read<0>(), mbar_arrive(at.own_empty + owed * 8);
    bar_sync(1 + group, 128);                           // the group's keys and values make room for its results
    const float scales[2] = {shape.scale, shape.scale}, ones[2] = {1, 1};
    store_fragments<ROWS>(key, thread / 32 * 16, dk, scales);
    store_fragments<ROWS>(value, thread / 32 * 16, dv, ones);
    fence_async();
    bar_sync(1 + group, 128);
    if (thread == 0 && first < shape.time) {
UNROLL
      for (int c = 0; c < D / 64; c++) {
        tma_store(maps.dk, key + c * ROWS * PANEL_ROW, c * 64, work.w.head, first, work.w.sequence);
        tma_store(maps.dv, value + c * ROWS * PANEL_ROW, c * 64, work.w.head, first, work.w.sequence);
      }
      bulk_commit();
    }
    owed = own.stage;
  }
  if (thread == 0) bulk_wait_read<0>();
}

template <int D, int STAGES> DEV void keys_grad(const Maps& maps, const Shape& shape) {
  SHARED(uint8, shared);
  KeysPlan<D, STAGES> at(smem(shared));
  Stats* stats = (Stats*)(shared + at.STATS);
  if (threadIdx.x == 0) {
    for (int b = 0; b < 2; b++) mbar_init(at.own_full + b * 8, 1), mbar_init(at.own_empty + b * 8, 2);
    for (int s = 0; s < STAGES; s++) mbar_init(at.full + s * 8, 1 + ROWS), mbar_init(at.empty + s * 8, 8);
    mbar_init_fence();
  }
  sync_block();
  if (threadIdx.x < 128) {
    regs_dec<56>();
    if (threadIdx.x == 0) bring_queries(at, shape, maps);
    if (threadIdx.x >= 32 && threadIdx.x < 32 + ROWS) bring_stats(at, shape, stats);
  } else {
    regs_inc<224>();
    sum_keys(at, shape, maps, shuffle((int)threadIdx.x / 128 - 1, 0), stats);
  }
}

// ---- queries ----

template <int D, int STAGES> struct QueriesPlan {
  static constexpr int BLOCK = ROWS * D * 2, OUT = 4 * BLOCK, STEPS = OUT + 2 * BLOCK, SEEN = STEPS + STAGES * 2 * BLOCK, BARS = SEEN + 2 * ROWS * 8;
  uint32 own, out, step, own_full, own_empty, full, empty;   // queries and their gradients; dq
  DEVICE QueriesPlan(uint32 base)
      : own(base), out(base + OUT), step(base + STEPS), own_full(base + BARS), own_empty(own_full + 8), full(own_full + 16), empty(full + STAGES * 8) {}
};

// A tile of 128 queries of a head and the tiles of keys that they see.
struct QueriesWork {
  Task w;
  Sight see;
  int t0, last, begin, end;
  DEVICE QueriesWork(int i, const Shape& s)
      : w(task(i, ceil_div(s.time, 2 * ROWS), s.heads, s.batch, s.section, s.flags & CAUSAL)),
        see(sight(s.lo, s.hi, w.sequence, s.time, s.flags)), t0(w.tile * 2 * ROWS), last(min(t0 + 2 * ROWS, s.time) - 1),
        begin(first_key(see, t0) / ROWS), end(ceil_div(end_key(see, last), ROWS)) {}
};

DEV int queries_tasks(const Shape& s) { return ceil_div(s.time, 2 * ROWS) * s.heads * s.batch; }

template <int D, int STAGES> DEV void bring_keys(const QueriesPlan<D, STAGES>& at, const Shape& shape, const Maps& maps) {
  Ring ring = {0, 0};
  int used = 0;
  for (int round = 0, i; (i = task_in(round)) < queries_tasks(shape); round++) {
    QueriesWork work(i, shape);
    if (work.begin >= work.end) continue;
    mbar_wait(at.own_empty, (used++ & 1) ^ 1);
    mbar_expect(at.own_full, 4 * at.BLOCK);
    for (int b = 0; b < 2; b++) {
      load_tile<ROWS, D>(at.own + b * at.BLOCK, maps.q, at.own_full, work.w.head, work.t0 + b * ROWS, work.w.sequence);
      load_tile<ROWS, D>(at.own + (2 + b) * at.BLOCK, maps.grad, at.own_full, work.w.head, work.t0 + b * ROWS, work.w.sequence);
    }
    for (int j = work.begin; j < work.end; j++, ring.next(STAGES)) {
      uint32 to = at.step + ring.stage * 2 * at.BLOCK, full = at.full + ring.stage * 8;
      int head = work.w.head / shape.group;
      mbar_wait(at.empty + ring.stage * 8, ring.parity ^ 1);
      mbar_expect(full, 2 * at.BLOCK);
      load_tile<ROWS, D>(to, maps.k, full, head, j * ROWS, work.w.sequence);
      load_tile<ROWS, D>(to + at.BLOCK, maps.v, full, head, j * ROWS, work.w.sequence);
    }
  }
}

template <int D, int STAGES>
DEV void sum_queries(const QueriesPlan<D, STAGES>& at, const Shape& shape, const Maps& maps, int group, int* bounds) {
  constexpr bool DEFERRED = D == 64;   // a larger head leaves no registers to let two steps overlap
  int thread = threadIdx.x & 127, used = 0, own = group * ROWS + thread / 32 * 16;   // the warp's first row
  Ring ring = {0, 0};
  float scale = shape.scale * LOG2E;
  for (int round = 0, i; (i = task_in(round)) < queries_tasks(shape); round++) {
    QueriesWork work(i, shape);
    int first = work.t0 + group * ROWS, a = min(first, work.last), b = min(first + ROWS - 1, work.last);
    int begin = min(max(first_key(work.see, a) / ROWS, work.begin), work.end);       // what this group's queries see
    int end = first > work.last ? begin : min(max(ceil_div(end_key(work.see, b), ROWS), begin), work.end);
    sync_warp();
    if (lane() < 16) {
      bounds[(own + lane()) * 2] = first_key(work.see, work.t0 + own + lane());
      bounds[(own + lane()) * 2 + 1] = end_key(work.see, work.t0 + own + lane());
    }
    sync_warp();
    int before = -1;                                    // the stage that the last product still reads
    float dq[D / 2], s[ROWS / 2], ds[ROWS / 2], base[2], delta[2];
    uint32 p[4][4], fq[D / 16][4], fg[D / 16][4];
    int64 row = ((int64)work.w.sequence * shape.heads + work.w.head) * shape.time;
UNROLL
    for (int h = 0; h < 2; h++) {
      int t = work.t0 + own + lane() / 4 + h * 8;
      base[h] = t < shape.time ? base_of(shape.lse[row + t]) : INFINITE;
      delta[h] = t < shape.time ? shape.delta[row + t] : 0;
    }
    clear(dq);
    if (work.begin < work.end) {
      mbar_wait(at.own_full, used++ & 1);
      load_fragments<D>(fq, at.own + group * at.BLOCK);
      load_fragments<D>(fg, at.own + (2 + group) * at.BLOCK);
      fence_async();                                    // TMA writes next what was read here
      release(at.own_empty);
    }
    for (int j = work.begin; j < work.end; j++, ring.next(STAGES)) {
      uint32 key = at.step + ring.stage * 2 * at.BLOCK, value = key + at.BLOCK;
      mbar_wait(at.full + ring.stage * 8, ring.parity);
      bool seen = j >= begin && j < end;
      if (seen) {
        wg_hold(fq), wg_hold(fg), wg_hold(s), wg_hold(ds);
        wg_fence();
        multiply_left<D>(s, fq, key);
        wg_commit();
        multiply_left<D>(ds, fg, value);
        wg_commit();
        wg_wait<1>();
        wg_hold(s), wg_hold(dq), wg_hold(p);
        if (before >= 0) release(at.empty + before * 8);
        int k0 = j * ROWS;
        bool some = k0 < bounds[(own + 15) * 2] || k0 + ROWS > bounds[own * 2 + 1];
UNROLL
        for (int n = 0; n < ROWS / 2; n++) s[n] = exp2(fma(s[n], scale, -base[n >> 1 & 1]));
        if (some) {
UNROLL
          for (int h = 0; h < 2; h++) {
            const int* row = bounds + (own + lane() / 4 + h * 8) * 2;
            int left = k0 + (lane() & 3) * 2, low = row[0] - left, high = row[1] - left;
UNROLL
            for (int n = 0; n < ROWS / 8; n++)
UNROLL
              for (int c = 0; c < 2; c++) s[n * 4 + h * 2 + c] = n * 8 + c >= low && n * 8 + c < high ? s[n * 4 + h * 2 + c] : 0;
          }
        }
        wg_wait<0>();
        wg_hold(ds), wg_hold(fq), wg_hold(fg);
UNROLL
        for (int n = 0; n < ROWS / 2; n++) ds[n] = s[n] * (ds[n] - delta[n >> 1 & 1]);
        round_fragments(p, ds);
        wg_hold(p), wg_hold(dq);
        wg_fence();
        multiply_fragments<ROWS>(dq, p, key);
        wg_commit();
        before = ring.stage;
      }
      if (!DEFERRED || !seen) {                   // else done when the next scores are
        wg_wait<0>();
        wg_hold(dq), wg_hold(p);
        if (before >= 0) release(at.empty + before * 8);
        if (!seen) release(at.empty + ring.stage * 8);
        before = -1;
      }
    }
    wg_wait<0>();
    wg_hold(dq), wg_hold(p);
    if (before >= 0) release(at.empty + before * 8);

    QueriesWork again(task_in(here(round)), shape);     // not kept in registers
    first = again.t0 + group * ROWS;
    if (thread == 0) bulk_wait_read<0>();               // what this group stored last has left shared memory
    bar_sync(1 + group, 128);
    const float scales[2] = {shape.scale, shape.scale};
    store_fragments<ROWS>(at.out + group * at.BLOCK, thread / 32 * 16, dq, scales);
    fence_async();
    bar_sync(1 + group, 128);
    if (thread == 0 && first < shape.time) {
UNROLL
      for (int c = 0; c < D / 64; c++)
        tma_store(maps.dq, at.out + group * at.BLOCK + c * ROWS * PANEL_ROW, c * 64, again.w.head, first, again.w.sequence);
      bulk_commit();
    }
  }
  if (thread == 0) bulk_wait_read<0>();
}

template <int D, int STAGES> DEV void queries_grad(const Maps& maps, const Shape& shape) {
  SHARED(uint8, shared);
  QueriesPlan<D, STAGES> at(smem(shared));
  if (threadIdx.x == 0) {
    mbar_init(at.own_full, 1), mbar_init(at.own_empty, 8);
    for (int s = 0; s < STAGES; s++) mbar_init(at.full + s * 8, 1), mbar_init(at.empty + s * 8, 8);
    mbar_init_fence();
  }
  sync_block();
  if (threadIdx.x < 128) {
    regs_dec<40>();
    if (threadIdx.x == 0) bring_keys(at, shape, maps);
  } else {
    regs_inc<232>();
    sum_queries(at, shape, maps, shuffle((int)threadIdx.x / 128 - 1, 0), (int*)(shared + at.SEEN));
  }
}

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
