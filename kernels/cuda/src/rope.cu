// rope.cu: rotary position embedding in the half-split layout. Moves 2s bytes an element of s bytes, and reads the table,
// which stays in the cache: 4 bytes for each pair of elements and head.
#include "forms.h"

constexpr int THREADS = 256;

// A row has `pairs` chunks of V pairs, `per` of them a head, and `rest` chunks of V columns that are copied. sign is -1 for
// the inverse.
template <class M>
DEV void rope(void* y, const void* x, const float* table, const int* pos, int64 ldy, int64 ldx, int64 ldtable, int rows, int pairs, int per,
              int rest, uint32 half, float sign) {
  constexpr int V = M::V;
  each_chunk<1, THREADS>(rows, pairs + rest, [&](int64 row, int c) {
    int64 from = row * ldx, to = row * ldy;
    if (c >= pairs) {
      int col = (2 * pairs + c - pairs) * V;
      float a[V];
      fetch<M>(a, x, from + col, half & 2);
      M::store(y, to + col, half & 1, a);
      return;
    }
    int head = c / per, i = (c - head * per) * V, d = per * V;
    int col = head * 2 * d + i;
    auto p = M::load(x, from + col, half & 2), q = M::load(x, from + col + d, half & 2);
    const float* angle = table + pos[row] * ldtable + i;
    float cosine[V], sine[V], a[V], b[V];
    load_floats(cosine, angle);
    load_floats(sine, angle + d);
    M::widen(a, p, half & 2);
    M::widen(b, q, half & 2);
    UNROLL for (int v = 0; v < V; v++) {
      float s = sine[v] * sign, u = a[v];
      a[v] = u * cosine[v] - b[v] * s;
      b[v] = b[v] * cosine[v] + u * s;
    }
    M::store(y, to + col, half & 1, a);
    M::store(y, to + col + d, half & 1, b);
  });
}
#define ROPE(NAME, M)                                                                                                      \
  KERNEL(THREADS, 4) rope__##NAME(void* y, const void* x, const float* table, const int* pos, int64 ldy, int64 ldx, int64 ldtable, \
                                  int rows, int pairs, int per, int rest, uint32 half, float sign) {                       \
    rope<M>(y, x, table, pos, ldy, ldx, ldtable, rows, pairs, per, rest, half, sign);                                      \
  }
FORMS(ROPE)
