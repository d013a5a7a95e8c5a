"""Encoding with tiktoken and Hugging Face's tokenizers from PyPI, on one thread.

    python tokenizers_encode.py --docs docs.jsonl --ranks cl100k_base.tiktoken --llama3 tokenizer.json --rounds 3

MB/s of the best round over all documents, by the clock and by processor time; a line of JSON for each. tokenizers_encode.mjs
is the same for npm's tiktoken; `forja tokenizer bench` for forja.
"""

import argparse
import base64
import json
import os
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--docs", required=True)
    p.add_argument("--bytes", type=int, default=20_000_000)
    p.add_argument("--ranks", required=True)
    p.add_argument("--llama3")
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    docs, size = [], 0
    for line in open(a.docs, encoding="utf-8", newline="\n"):
        docs.append(json.loads(line)["text"])
        size += len(docs[-1].encode())
        if size >= a.bytes:
            break
    start = time.perf_counter()
    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in open(a.ranks, "rb") if line.strip())}
    t = tiktoken.Encoding("cl100k", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})
    print(json.dumps({"who": "tiktoken " + tiktoken.__version__, "load_ms": round(1e3 * (time.perf_counter() - start))}))
    encoders = [("tiktoken", t.encode_ordinary)]
    if a.llama3:
        start = time.perf_counter()
        h = tokenizers.Tokenizer.from_file(a.llama3)
        print(json.dumps({"who": "tokenizers " + tokenizers.__version__, "load_ms": round(1e3 * (time.perf_counter() - start))}))
        encoders.append(("tokenizers", lambda s: h.encode(s, add_special_tokens=False)))
    for who, encode in encoders:
        best = by_processor = 0
        for _ in range(a.rounds):
            start, used = time.perf_counter(), time.process_time()
            for doc in docs:
                encode(doc)
            best = max(best, size / 1e6 / (time.perf_counter() - start))
            by_processor = max(by_processor, size / 1e6 / (time.process_time() - used))
        print(json.dumps({"who": who, "text": "documents", "mb_per_s": round(best, 2), "processor_mb_per_s": round(by_processor, 2)}))


if __name__ == "__main__":
    main()
