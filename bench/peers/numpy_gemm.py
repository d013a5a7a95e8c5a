"""Times OpenBLAS, through numpy, on the matrix products of a GPT-2 124M training step: one line of JSON each.

    python numpy_gemm.py --threads 2

For a linear of `inputs` to `outputs` features over batch x time rows the three products are forward (y = x Wᵀ, NT), dx
(dx = dy W, NN) and dw (dW = dyᵀ x, TN), with W stored [outputs, inputs]; m, n, k are those of the product itself.
OpenBLAS chooses its kernels for the processor: OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are removed first.
"""

import argparse
import json
import os
import sys
import time

FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def openblas_name():
    """Version and kernel set of the loaded OpenBLAS, or (None, None) where threadpoolctl is missing."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None, None
    for library in threadpool_info():
        if library["internal_api"] == "openblas":
            return library["version"], library["architecture"]
    return None, None


def best_seconds(product, at_least, budget_s):
    product()
    best, runs, until = float("inf"), 0, time.perf_counter() + budget_s
    while runs < at_least or time.perf_counter() < until:
        began = time.perf_counter()
        product()
        best, runs = min(best, time.perf_counter() - began), runs + 1
    return best


def measure(o):
    import numpy as np

    version, core = openblas_name()
    rng, C, rows = np.random.default_rng(1), o.channels, o.batch * o.time
    linears = {"attn.qkv": (C, 3 * C), "attn.proj": (C, C), "mlp.fc": (C, 4 * C), "mlp.proj": (4 * C, C),
               "head": (C, o.vocab)}
    for name, (inputs, outputs) in linears.items():
        x, w, dy = (rng.standard_normal(shape, dtype=np.float32)
                    for shape in ((rows, inputs), (outputs, inputs), (rows, outputs)))
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        products = {"forward": ("NT", rows, outputs, inputs, lambda: np.matmul(x, w.T, out=y)),
                    "dx": ("NN", rows, inputs, outputs, lambda: np.matmul(dy, w, out=dx)),
                    "dw": ("TN", outputs, inputs, rows, lambda: np.matmul(dy.T, x, out=dw))}
        for kind, (layout, m, n, k, product) in products.items():
            seconds = best_seconds(product, o.runs, o.seconds)
            print(json.dumps({
                "peer": "openblas", "version": version, "core": core, "threads": o.threads, "linear": name,
                "product": kind, "layout": layout, "m": m, "n": n, "k": k, "seconds": round(seconds, 6),
                "gflops": round(2e-9 * m * n * k / seconds, 1)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--time", type=int, default=256, help="tokens in a row")
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--runs", type=int, default=5, help="at least so many runs of each product")
    parser.add_argument("--seconds", type=float, default=1.0, help="and at least so long")
    options = parser.parse_args()
    wanted = {key: value for key, value in os.environ.items() if key not in FORCED}
    wanted["OPENBLAS_NUM_THREADS"] = str(options.threads)
    if wanted != dict(os.environ):  # OpenBLAS reads these once, when it is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)
    measure(options)


if __name__ == "__main__":
    main()
