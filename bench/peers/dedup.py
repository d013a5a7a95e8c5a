#!/usr/bin/env python3
"""Near-duplicate removal: forja and others in turn, each in a process of its own with one thread.

usage: dedup.py DOCS.jsonl [--forja ../../forja] [--tools forja,datasketch,rensa] [--rounds 3] [--out DIR]

All make 112 MinHash values of word 5-grams, 14 bands of 8, and join documents that share a band; forja also verifies
them, and rensa and datasketch are given words by a regular expression where forja normalizes as FineWeb does. datatrove,
which FineWeb was made with and which needs `pip install datatrove tokenizers spacy`, only signs here. What is counted is
reading JSON, signing and joining, in seconds of processor time: of the whole process for forja, after the imports for the
others. DIR/TOOL.jsonl gets {"id","cluster"} lines, which data/dedup/score.py scores.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

BANDS, ROWS, NGRAM = 14, 8, 5
WORD = re.compile(r"\w+")


def ngrams(text):
    words = WORD.findall(text.lower())
    return [" ".join(words[i:i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))]


class Clusters:
    """A union-find forest."""

    def __init__(self, n):
        self.parent = list(range(n))

    def find(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i, j):
        i, j = self.find(i), self.find(j)
        self.parent[max(i, j)] = min(i, j)


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def datasketch(path):
    from datasketch import MinHash, MinHashLSH
    begin = time.process_time()
    docs = read(path)
    lsh, found = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS)), Clusters(len(docs))
    for i, d in enumerate(docs):
        m = MinHash(num_perm=BANDS * ROWS)
        m.update_batch([g.encode() for g in set(ngrams(d["text"]))])
        for j in lsh.query(m):
            found.join(i, j)
        lsh.insert(i, m, check_duplication=False)
    return begin, docs, found


def rensa(path):
    from rensa import RMinHash, RMinHashLSH
    begin = time.process_time()
    docs = read(path)
    lsh, found = RMinHashLSH(threshold=0.72, num_perm=BANDS * ROWS, num_bands=BANDS), Clusters(len(docs))
    for i, d in enumerate(docs):
        m = RMinHash(num_perm=BANDS * ROWS, seed=1)
        m.update(ngrams(d["text"]))
        for j in lsh.query(m):
            found.join(i, j)
        lsh.insert(i, m)
    return begin, docs, found


def datatrove(path):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.utils.hashing import HashConfig
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as out:
        config = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"), num_buckets=BANDS, hashes_per_bucket=ROWS, n_grams=NGRAM)
        reader = JsonlReader(os.path.dirname(os.path.abspath(path)), glob_pattern=os.path.basename(path))
        LocalPipelineExecutor([reader, MinhashDedupSignature(out + "/signatures", config)], logging_dir=out + "/log").run()
    return begin, [], None


PEERS = {"datasketch": datasketch, "datatrove": datatrove, "rensa": rensa}


def child(tool, path, out):
    begin, docs, found = PEERS[tool](path)
    seconds = time.process_time() - begin
    with open(out, "w", encoding="utf-8") as f:
        for i, d in enumerate(docs):
            f.write(json.dumps({"id": d.get("id", i), "cluster": found.find(i)}) + "\n")
    print(seconds)


def turn(tool, a, out):
    """Seconds of processor time."""
    env = dict(os.environ, GOMAXPROCS="1", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    if tool != "forja":
        run = [sys.executable, __file__, a.docs, "--child", tool, "--out", out]
        return float(subprocess.run(run, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split()[-1])
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, "wb") as f:
        subprocess.run([a.forja, "corpus", "dedup", "--jsonl", "--clusters", a.docs], env=env, check=True, stdout=f, stderr=subprocess.DEVNULL)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("docs")
    p.add_argument("--forja", default=os.path.join(os.path.dirname(__file__), "../../forja"))
    p.add_argument("--tools", default="forja,datasketch,rensa")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--out", default=".")
    p.add_argument("--child", choices=sorted(PEERS))
    a = p.parse_args()
    if a.child:
        child(a.child, a.docs, a.out)
        return
    docs = read(a.docs)
    size = sum(len(d["text"].encode()) for d in docs)
    best = {}
    for _ in range(a.rounds):
        for tool in a.tools.split(","):
            seconds = turn(tool, a, os.path.join(a.out, tool + ".jsonl"))
            best[tool] = min(seconds, best.get(tool, seconds))
    for tool, seconds in best.items():
        print(json.dumps({"tool": tool, "documents": len(docs), "processor_s": round(seconds, 2),
                          "documents_per_s": round(len(docs) / seconds), "mb_per_s": round(size / 1e6 / seconds, 2)}))


if __name__ == "__main__":
    main()
