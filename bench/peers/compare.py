"""Runs forja's training step and PyTorch's in turn, several rounds, and prints the ratios of their best.

    python compare.py --forja "../../forja bench step --json" --rounds 3
    python compare.py --forja "f32=forja bench step --dtype f32 --json" --forja "bf16=forja bench step --dtype bf16 --json"

A command is anything whose last line of JSON on stdout has `tok_s` (tokens per second) and `peak_rss` (bytes); NAME= before
it names it. Torch's variants are those of torch_train.py. Every round runs every command once, so that a busy moment of
the machine hits all alike. The best tok_s of the rounds counts, and the lowest peak_rss.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

TRAIN = Path(__file__).with_name("torch_train.py")
TORCH = {
    "torch-f32": [],
    "torch-f32-compiled": ["--compile"],
    "torch-bf16": ["--dtype", "bf16"],
    "torch-bf16-compiled": ["--dtype", "bf16", "--compile"],
    "torch-f32-medium": ["--matmul", "medium"],
    "torch-f32-medium-compiled": ["--matmul", "medium", "--compile"],
}
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would slow numpy's OpenBLAS down


def last_json(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            found = json.loads(line)
            if "tok_s" in found and "peak_rss" in found:
                return found
    return None


def run(name, command, timeout_s):
    env = {key: value for key, value in os.environ.items() if key not in FORCED}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as problem:
        sys.exit(f"compare: {name}: {problem}")
    found = last_json(done.stdout)
    if done.returncode != 0 or found is None:
        sys.exit(f"compare: {name}: {shlex.join(command)} exited with {done.returncode} and "
                 f"{'printed' if found else 'did not print'} tok_s and peak_rss\n{done.stderr[-2000:]}")
    return found


def commands(o):
    """Name and command of every contestant, forja's first."""
    found = {}
    for i, text in enumerate(o.forja):
        name, equals, command = text.partition("=")
        if not equals or " " in name:
            name, command = "forja" if len(o.forja) == 1 else f"forja-{i + 1}", text
        found[name] = shlex.split(command)
    ours = list(found)
    for variant in o.torch.split(","):
        if variant not in TORCH:
            sys.exit(f"compare: --torch: unknown variant {variant!r}; there are {', '.join(TORCH)}")
        found[variant] = [o.python, str(TRAIN), *TORCH[variant], "--threads", str(o.threads), "--steps", str(o.steps)]
    return found, ours


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forja", action="append", metavar="[NAME=]COMMAND",
                        help="command to time; repeat for several (default: forja bench step --json)")
    parser.add_argument("--torch", default="torch-f32,torch-f32-compiled,torch-bf16,torch-bf16-compiled",
                        help="variants, separated by commas: " + ", ".join(TORCH))
    parser.add_argument("--python", default=sys.executable, help="the Python that has PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of torch in a round")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    o = parser.parse_args()
    o.forja = o.forja or ["forja bench step --json"]
    contestants, ours = commands(o)

    speed, memory = {}, {}
    for round_number in range(1, o.rounds + 1):
        for name, command in contestants.items():
            found = run(name, command, o.timeout)
            speed.setdefault(name, []).append(found["tok_s"])
            memory.setdefault(name, []).append(found["peak_rss"])
            print(f"round {round_number}: {name}: {found['tok_s']:.1f} tok/s, {found['peak_rss'] / 2**20:.0f} MiB, "
                  f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)

    best = {name: {"tok_s": max(speed[name]), "peak_rss": min(memory[name]), "tok_s_rounds": speed[name]}
            for name in contestants}
    theirs = [name for name in contestants if name not in ours]
    ratios = [{"forja": a, "peer": b, "speed": best[a]["tok_s"] / best[b]["tok_s"],
               "memory": best[a]["peak_rss"] / best[b]["peak_rss"]} for a in ours for b in theirs]
    if o.json:
        print(json.dumps({"best": best, "ratios": ratios}))
        return
    print(f"{'':28}{'tok/s':>10}{'peak MiB':>10}   every round")
    for name, figures in best.items():
        rounds = " ".join(f"{v:.1f}" for v in figures["tok_s_rounds"])
        print(f"{name:28}{figures['tok_s']:10.1f}{figures['peak_rss'] / 2**20:10.0f}   {rounds}")
    print(f"\n{'':54}{'speed':>8}{'memory':>8}")
    for r in ratios:
        print(f"{r['forja'] + ' / ' + r['peer']:54}{r['speed']:7.2f}x{r['memory']:7.2f}x")


if __name__ == "__main__":
    main()
