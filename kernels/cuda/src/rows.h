// rows.h: what softmax and normalisations share: a group of threads has a row, and keeps it in registers.
#pragma once
#include "forms.h"

// A group of G of a block's THREADS threads: a warp, or the block.
template <int THREADS, int G> struct Group {
  static constexpr int PER = THREADS / G;  // rows of a block at a time
  static_assert(G == 32 || G == THREADS);
  float* red;  // shared, 4 numbers for each warp
  int turn = 0;
  DEVICE Group(float* red) : red(red) {}
  DEVICE int thread() const { return threadIdx.x % G; }
  DEVICE int row() const { return blockIdx.x * PER + threadIdx.x / G; }
  DEVICE int step() const { return gridDim.x * PER; }

  // Sums over the group. Two buffers take turns: a thread that writes one again has passed the barrier of the other, which
  // all had reached after reading the first.
  DEVICE float sum(float v) {
    v = warp_sum(v);
    if constexpr (G > 32) {
      float* r = red + (turn ^= 1) * 2 * (G / 32);
      if (lane() == 0) r[warp()] = v;
      sync_block();
      v = warp_sum(lane() < G / 32 ? r[lane()] : 0.f);
    }
    return v;
  }
  DEVICE void sum(float& a, float& b) {
    a = warp_sum(a);
    b = warp_sum(b);
    if constexpr (G > 32) {
      float* r = red + (turn ^= 1) * 2 * (G / 32);
      if (lane() == 0) { r[warp()] = a; r[G / 32 + warp()] = b; }
      sync_block();
      a = warp_sum(lane() < G / 32 ? r[lane()] : 0.f);
      b = warp_sum(lane() < G / 32 ? r[G / 32 + lane()] : 0.f);
    }
  }
  DEVICE float most(float v) {
    v = warp_max(v);
    if constexpr (G > 32) {
      float* r = red + (turn ^= 1) * 2 * (G / 32);
      if (lane() == 0) r[warp()] = v;
      sync_block();
      v = warp_max(lane() < G / 32 ? r[lane()] : -INFINITE);
    }
    return v;
  }
};

// columns calls f(k, k G V) for the chunks of a row that a thread has, NV elements at most: chunk k begins at column
// k G V + thread V. Offsets that are constants leave one address for each operand in registers.
template <class M, int G, int NV, class F> DEV void columns(int thread, int cols, F f) {
  UNROLL for (int k = 0; k < NV / M::V; k++) {
    if (thread * M::V + k * G * M::V < cols) f(k, k * G * M::V);
  }
}

// passing calls f(first column) for the chunks of a row of any length.
template <class M, int G, class F> DEV void passing(int thread, int cols, F f) {
  ROLL for (int col = thread * M::V; col < cols; col += G * M::V) f(col);
}
