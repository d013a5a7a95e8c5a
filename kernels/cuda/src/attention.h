// attention.h: what all attention kernels share: the keys that a query sees, the queries that see a key, and the order in
// which blocks take up the work. Softmax is computed with powers of two.
#pragma once
#include "ptx.h"

constexpr uint32 CAUSAL = 1;   // the first of the flags of every attention kernel

// The queries of one sequence. lo and hi may be null; neither decreases with the query.
struct Sight {
  const int *lo, *hi;
  int time;
  bool causal;
};

DEV Sight sight(const int* lo, const int* hi, int sequence, int time, uint32 flags) {
  int64 at = (int64)sequence * time;
  return {lo ? lo + at : lo, hi ? hi + at : hi, time, (flags & CAUSAL) != 0};
}

// Query t sees keys [first_key, end_key), which may be empty; queries behind the last see none.
DEV int first_key(const Sight& s, int t) { return t >= s.time ? s.time : s.lo ? min(max(s.lo[t], 0), s.time) : 0; }
DEV int end_key(const Sight& s, int t) {
  if (t >= s.time) return 0;
  int end = s.causal ? t + 1 : s.time;
  return s.hi ? max(min(end, s.hi[t]), 0) : end;
}

// Queries [first_query, end_query) are those that see any of keys [k0, k1), and maybe others between them.
DEV int first_query(const Sight& s, int k0) {
  int low = s.causal ? k0 : 0, high = s.time;     // the answer is in [low, high]
  if (!s.hi) return low;
  while (low < high) {
    int middle = (low + high) >> 1;
    if (s.hi[middle] > k0) high = middle; else low = middle + 1;
  }
  return low;
}
DEV int end_query(const Sight& s, int k1) {
  int low = 0, high = s.time;
  if (!s.lo) return high;
  while (low < high) {
    int middle = (low + high) >> 1;
    if (s.lo[middle] < k1) low = middle + 1; else high = middle;
  }
  return low;
}

// One block's share: a tile of a sequence, in one head.
struct Task { int tile, head, sequence; };

// Blocks in order of their index take, of `section` heads whose keys and values fit the second-level cache, all tiles. Where
// attention is causal tiles differ in length: the last section begins with the longest (its last tiles, if `reverse`), so
// that short ones fill the gaps at the end, and the order alternates between sections, so that neighbours always are alike.
DEV Task task(int block, int tiles, int heads, int batch, int section, bool reverse) {
  int all = heads * batch, number = block / (section * tiles), before = number * section;
  int width = min(section, all - before), rest = block - before * tiles;
  int tile = rest / width, row = before + rest - tile * width;
  if ((ceil_div(all, section) - 1 - number) & 1) reverse = !reverse;
  return {reverse ? tiles - 1 - tile : tile, row % heads, row / heads};
}

// Keeps the compiler from computing all addresses that derive from p ahead of a loop: registers are scarcer than additions.
DEV uint32 here(uint32 p) { PTX("" : "+r"(p)); return p; }
DEV int here(int i) { PTX("" : "+r"(i)); return i; }
DEV const bf16* here(const bf16* p) { PTX("" : "+l"(p)); return p; }
