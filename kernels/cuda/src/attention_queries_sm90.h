// attention_queries_sm90.h: the half of the gradient of attention for sm_90a that owns queries: dq.
#pragma once
#include "attention_grad_sm90.h"

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
  tma_prefetch(maps.q), tma_prefetch(maps.grad), tma_prefetch(maps.k), tma_prefetch(maps.v);
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
    if (leads()) bring_keys(at, shape, maps);
  } else {
    regs_inc<232>();
    sum_queries(at, shape, maps, shuffle((int)threadIdx.x / 128 - 1, 0), (int*)(shared + at.SEEN));
  }
}
