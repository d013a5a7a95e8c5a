#include "ptx.h"
KERNEL(256, 4) fill__b32(uint32* y, uint32 v, int n) {
  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) y[i] = v;
}
KERNEL(256, 4) fill__b16(uint32* y, uint32 v, int n) {
  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) ((uint16*)y)[i] = v;
}
