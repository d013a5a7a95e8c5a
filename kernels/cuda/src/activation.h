// activation.h: the activations of kernels.Activation and their derivatives, within the bounds of kerneltest.
#pragma once
#include "ptx.h"

constexpr int NO_ACTIVATION = 0, GELU = 1, GELU_ERF = 2, SILU = 3, TANH = 4;  // kernels.Activation

// s = σ(x) and slope = s(1 - s). The exponential is held to what is finite, so that its product with s is no NaN.
DEV void logistic(float x, float& s, float& slope) {
  float e = exp2(min(x * -LOG2E, 126.f));
  s = rcp(1.f + e);
  slope = e * s * s;
}

// GELU is x·½(1 + tanh z) = x·σ(2z), z = √(2/π)(x + 0.044715x³): no digits cancel, and one exponential is enough.
constexpr float GELU_SCALE = 2 * 0.797884560802865356f, GELU_CUBE = 0.044715f;
DEV float gelu(float x) { return x * sigmoid(GELU_SCALE * fma(GELU_CUBE * x * x, x, x)); }
DEV float gelu_slope(float x) {
  float s, ds, square = x * x;
  logistic(GELU_SCALE * fma(GELU_CUBE * square, x, x), s, ds);
  return fma(x * ds, GELU_SCALE * fma(3 * GELU_CUBE, square, 1.f), s);
}

// phi = Φ(x) and e = exp(-x²/2). Φ(-|x|) is e·t·P(t), t = 1/(1 + 0.31|x|): the form of Abramowitz and Stegun 1964, 7.1.26, with
// coefficients that err by 1.7e-7 of the result over 0 <= |x| <= 14. Its slope magnifies errors of t, so t is refined.
DEV void normal(float x, float& phi, float& e) {
  e = exp2(x * x * (-0.5f * LOG2E));
  float d = fma(abs(x), 0.31f, 1.f), t = rcp(d);
  t = fma(t, fma(-d, t, 1.f), t);
  float p = fma(0.03584076264215423f, t, -0.14160085341734865f);
  p = fma(p, t, 0.1550618985354758f);
  p = fma(p, t, -0.014898344637218468f);
  p = fma(p, t, 0.11010769804303061f);
  p = fma(p, t, 0.10777175881040293f);
  p = fma(p, t, 0.12406024545800398f);
  p = fma(p, t, 0.12365691576309851f);
  phi = p * t * e;
  phi = x < 0 ? phi : 1.f - phi;
}
DEV float gelu_erf(float x) {
  float phi, e;
  normal(x, phi, e);
  return x * phi;
}
DEV float gelu_erf_slope(float x) {
  float phi, e;
  normal(x, phi, e);
  return fma(x * 0.398942280401432678f, e, phi);  // 1/√(2π)
}

DEV float silu(float x) { return x * sigmoid(x); }
DEV float silu_slope(float x) {
  float s, ds;
  logistic(x, s, ds);
  return fma(x, ds, s);
}
// value = SiLU(x), slope = SiLU'(x)
DEV void silu_both(float x, float& value, float& slope) {
  float s, ds;
  logistic(x, s, ds);
  value = x * s;
  slope = fma(x, ds, s);
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
