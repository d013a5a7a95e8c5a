#!/bin/sh
# Compiles the kernels of the tests. Needs clang 20 or newer. gzip -n keeps the result the same every time.
set -e
cd "$(dirname "$0")"
for f in *.cu; do
  ${CLANG:-clang-22} -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -S --cuda-gpu-arch=sm_90a \
    -Xclang -target-feature -Xclang +ptx80 -I../../../../src "$f" -o "${f%.cu}.ptx"
done
gzip -9nf layouts.ptx
sed -i "s/^\.maxntid 384$/&\n.reqnctapercluster 2, 1, 1/" gemm.ptx
sed -i -e "/entry cluster__exchange(/,/^{/s/^\.maxntid 64$/&\n.reqnctapercluster 4, 1, 1/" -e "/entry cluster__signal(/,/^{/s/^\.maxntid 64$/&\n.reqnctapercluster 2, 1, 1/" -e "/entry cluster__reduce(/,/^{/s/^\.maxntid 64$/&\n.reqnctapercluster 2, 1, 1/" -e "/entry cluster__send(/,/^{/s/^\.maxntid 64$/&\n.reqnctapercluster 2, 1, 1/" async.ptx
