"""Training of tokenizers: forja, SentencePiece's spm_train and Hugging Face's tokenizers in turn, on the same file.

    python tokenizers_train.py --forja ../../forja --small 10mb.txt --large 100mb --rounds 3

Wall time of the whole process (best round), processor time of that round, and peak resident set. A line of JSON for each.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HF = """
import glob, os, sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
path, size = sys.argv[1], int(sys.argv[2])
t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.train(sorted(glob.glob(os.path.join(path, "*.txt"))), trainers.BpeTrainer(vocab_size=size, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False,
                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
t.save(sys.argv[3])
"""


def run(command):
    """Runs a command; returns wall seconds, processor seconds and the peak resident set in MiB."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {command}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--forja", default="../../forja")
    p.add_argument("--small", help="text, for 8,000 pieces")
    p.add_argument("--large", help="folder of .txt files of less than 64 MiB, for 32,768 byte-level tokens")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", default=str(os.cpu_count()))
    p.add_argument("--out", default=None, help="folder to keep what was trained")
    a = p.parse_args()
    out = a.out or tempfile.mkdtemp()
    os.makedirs(out, exist_ok=True)
    os.environ["RAYON_NUM_THREADS"] = a.threads
    os.environ["GOMAXPROCS"] = a.threads
    jobs = []

    def forja(name, kind, size, text):
        where = os.path.join(out, "forja-" + name)
        return lambda: (shutil.rmtree(where, ignore_errors=True), [a.forja, "tokenizer", "train", text, "-o", where, "--kind", kind,
                                                                   "--tokenizer.vocab", str(size)])[1]

    def spm(kind):
        return lambda: ["spm_train", "--input=" + a.small, "--model_prefix=" + os.path.join(out, "spm-" + kind), "--vocab_size=8000",
                        "--model_type=" + kind, "--normalization_rule_name=identity", "--remove_extra_whitespaces=false", "--byte_fallback",
                        "--max_sentence_length=100000", "--num_threads=" + a.threads]

    if a.small:
        for kind, ours in [("unigram", "unigram"), ("bpe", "spm-bpe")]:
            jobs.append((f"{kind} 8000", "forja", forja(kind, ours, 8000, a.small)))
            jobs.append((f"{kind} 8000", "spm_train", spm(kind)))
    if a.large:
        jobs.append(("byte-level 32768", "forja", forja("bytes", "bpe", 32768, a.large)))
        jobs.append(("byte-level 32768", "tokenizers", lambda: [sys.executable, "-c", HF, a.large, "32768", os.path.join(out, "hf.json")]))
    best = {}
    for _ in range(a.rounds):
        for task, who, command in jobs:
            result = run(command())
            key = (task, who)
            if key not in best or result[0] < best[key][0]:
                best[key] = result
    for (task, who), (wall, cpu, rss) in best.items():
        print(json.dumps({"task": task, "who": who, "wall_s": round(wall, 2), "processor_s": round(cpu, 2), "rss_mib": round(rss)}))


if __name__ == "__main__":
    main()
