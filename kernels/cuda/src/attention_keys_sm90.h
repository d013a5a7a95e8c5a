// attention_keys_sm90.h: the half of the gradient of attention for sm_90a that owns keys: dk and dv.
#pragma once
#include "attention_grad_sm90.h"

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
  tma_prefetch(maps.q), tma_prefetch(maps.grad), tma_prefetch(maps.k), tma_prefetch(maps.v);
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
    if (leads()) bring_queries(at, shape, maps);
    if (threadIdx.x >= 32 && threadIdx.x < 32 + ROWS) bring_stats(at, shape, stats);
  } else {
    regs_inc<224>();
    sum_keys(at, shape, maps, shuffle((int)threadIdx.x / 128 - 1, 0), stats);
  }
}
