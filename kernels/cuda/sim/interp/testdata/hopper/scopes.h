// scopes.h: mbarrier operations with the scope of the cluster, which orders ordinary accesses between its blocks.
#pragma once
#include "ptx_sm90.h"

DEV void arrive_remote(uint32 bar, uint32 rank) {
  PTX("{ .reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote]; }" :: "r"(bar), "r"(rank) : "memory"); }
DEV void wait_cluster(uint32 bar, uint32 parity) {
  uint32 done;
  do
    PTX("{ .reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p; }"
        : "=r"(done) : "r"(bar), "r"(parity) : "memory");
  while (!done); }
