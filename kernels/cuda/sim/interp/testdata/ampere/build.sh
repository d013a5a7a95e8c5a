#!/bin/sh
# Compiles the kernels of this folder to PTX for sm_80; needs clang 20 or newer and no CUDA toolkit.
set -eu
cd "$(dirname "$0")"
for k in vec softmax gemm; do
	"${CLANG:-clang-22}" -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -S -I. \
		--cuda-gpu-arch=sm_80 -Xclang -target-feature -Xclang +ptx70 $k.cu -o $k.ptx
done
