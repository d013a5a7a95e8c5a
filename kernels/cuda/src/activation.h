// activation.h: the activations of kernels.Activation and their derivatives, within the bounds of kerneltest.
#pragma once
#include "ptx.h"

constexpr int NO_ACTIVATION = 0, GELU = 1, GELU_ERF = 2, SILU = 3, TANH = 4;  // kernels.Activation

// erf errs by 2e-7: Abramowitz and Stegun 1964, 7.1.26.
DEV float erf(float x) {
  float a = abs(x), t = rcp(fma(0.3275911f, a, 1.f));
  float p = fma(fma(fma(fma(1.061405429f, t, -1.453152027f), t, 1.421413741f), t, -0.284496736f), t, 0.254829592f) * t;
  return copysign(fma(-p, exp2(a * a * -LOG2E), 1.f), x);
}
// Φ(x)
DEV float normal_cdf(float x) { return fma(0.5f, erf(x * 0.707106781186547524f), 0.5f); }

constexpr float GELU_SCALE = 0.797884560802865356f, GELU_CUBE = 0.044715f;  // √(2/π)
DEV float gelu_tanh(float x) { return tanh(GELU_SCALE * fma(GELU_CUBE * x * x, x, x)); }
DEV float gelu(float x) { return 0.5f * x * (1.f + gelu_tanh(x)); }
DEV float gelu_slope(float x) {
  float t = gelu_tanh(x), dz = GELU_SCALE * fma(3 * GELU_CUBE * x, x, 1.f);
  return fma(0.5f * x * fma(-t, t, 1.f), dz, fma(0.5f, t, 0.5f));
}
DEV float gelu_erf(float x) { return x * normal_cdf(x); }
DEV float gelu_erf_slope(float x) {
  float density = 0.398942280401432678f * exp2(x * x * (-0.5f * LOG2E));  // 1/√(2π)
  return fma(x, density, normal_cdf(x));
}
DEV float silu(float x) { return x * sigmoid(x); }
DEV float silu_slope(float x) {
  float s = sigmoid(x);
  return s * fma(x, 1.f - s, 1.f);
}
DEV float tanh_slope(float x) {
  float t = tanh(x);
  return fma(-t, t, 1.f);
}

// v = f(v)
template <int N> DEV void activate(int act, float (&v)[N]) {
  if (act == NO_ACTIVATION) return;
  if (act == GELU) { UNROLL for (int i = 0; i < N; i++) v[i] = gelu(v[i]); }
  else if (act == GELU_ERF) { UNROLL for (int i = 0; i < N; i++) v[i] = gelu_erf(v[i]); }
  else if (act == SILU) { UNROLL for (int i = 0; i < N; i++) v[i] = silu(v[i]); }
  else { UNROLL for (int i = 0; i < N; i++) v[i] = tanh(v[i]); }
}

// v = v·f'(x)
template <int N> DEV void activation_gradient(int act, float (&v)[N], const float (&x)[N]) {
  if (act == NO_ACTIVATION) return;
  if (act == GELU) { UNROLL for (int i = 0; i < N; i++) v[i] *= gelu_slope(x[i]); }
  else if (act == GELU_ERF) { UNROLL for (int i = 0; i < N; i++) v[i] *= gelu_erf_slope(x[i]); }
  else if (act == SILU) { UNROLL for (int i = 0; i < N; i++) v[i] *= silu_slope(x[i]); }
  else { UNROLL for (int i = 0; i < N; i++) v[i] *= tanh_slope(x[i]); }
}
