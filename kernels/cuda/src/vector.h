// vector.h: four or eight neighbouring elements, by accesses of up to 16 bytes where the host found everything aligned
// (wide), one at a time otherwise. n elements are left: what lies behind them is neither read nor written.
#pragma once
#include "ptx.h"

template <int N> DEV void load_some(float (&v)[N], const float* p, int n, int wide, float other) {
  if (wide && n >= N) {
    UNROLL for (int k = 0; k < N; k += 4) {
      floatx4 x = *(const floatx4*)(p + k);
      UNROLL for (int i = 0; i < 4; i++) v[k + i] = x[i];
    }
  } else {
    UNROLL for (int k = 0; k < N; k++) v[k] = k < n ? p[k] : other;
  }
}
template <int N> DEV void load_some(float (&v)[N], const bf16* p, int n, int wide, float other) {
  if (wide && n >= N) {
    UNROLL for (int k = 0; k < N; k += 4) {
      uint32x2 x = load8(p + k);
      UNROLL for (int i = 0; i < 2; i++) { v[k + 2 * i] = low_bf16(x[i]); v[k + 2 * i + 1] = high_bf16(x[i]); }
    }
  } else {
    UNROLL for (int k = 0; k < N; k++) v[k] = k < n ? to_float(p[k]) : other;
  }
}
template <int N> DEV void store_some(float* p, const float (&v)[N], int n, int wide) {
  if (wide && n >= N) {
    UNROLL for (int k = 0; k < N; k += 4) *(floatx4*)(p + k) = floatx4{v[k], v[k + 1], v[k + 2], v[k + 3]};
  } else {
    UNROLL for (int k = 0; k < N; k++) if (k < n) p[k] = v[k];
  }
}
template <int N> DEV void store_some(bf16* p, const float (&v)[N], int n, int wide) {
  if (wide && n >= N && N == 8) {
    store16(p, uint32x4{pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[N - 4], v[N - 3]), pack_bf16(v[N - 2], v[N - 1])});
  } else if (wide && n >= N) {
    store8(p, uint32x2{pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3])});
  } else {
    UNROLL for (int k = 0; k < N; k++) if (k < n) p[k] = to_bf16(v[k]);
  }
}
template <class T> DEV void load_four(float (&v)[4], const T* p, int n, int wide, float other = 0) { load_some(v, p, n, wide, other); }
template <class T> DEV void load_eight(float (&v)[8], const T* p, int n, int wide, float other = 0) { load_some(v, p, n, wide, other); }
template <class T> DEV void store_four(T* p, const float (&v)[4], int n, int wide) { store_some(p, v, n, wide); }
template <class T> DEV void store_eight(T* p, const float (&v)[8], int n, int wide) { store_some(p, v, n, wide); }
