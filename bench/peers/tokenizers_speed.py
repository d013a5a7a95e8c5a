"""Encoding speed of forja and its peers in turn, one thread, on the documents of a JSONL file; best of several rounds.

    pip install tiktoken tokenizers sentencepiece && npm install tiktoken
    python tokenizers_speed.py --forja ../../forja --vocab VOCAB --docs DOCS.jsonl.gz [--llama3 tokenizer.json] [--node DIR]

VOCAB holds gpt2, cl100k_base and o200k_base .tiktoken.gz, bert-base-uncased.vocab.txt and the SentencePiece models; DIR is where npm
installed tiktoken. Speeds count processor time of the encoding process where the machine is shared: --cpu.
"""

import argparse
import base64
import gzip
import json
import os
import subprocess
import tempfile
import time

PATTERNS = {
    "gpt2": r"""'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
    "cl100k_base": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
}

NODE = """
const {get_encoding} = require(process.argv[2] + '/node_modules/tiktoken');
const docs = require('fs').readFileSync(process.argv[3], 'utf8').split('\\n').filter(x => x).map(x => JSON.parse(x));
const e = get_encoding(process.argv[4]);
let best = 1e9;
for (let round = 0; round < +process.argv[5]; round++) {
  const cpu = process.cpuUsage(), start = process.hrtime.bigint();
  for (const d of docs) e.encode_ordinary(d);
  const used = process.cpuUsage(cpu), wall = Number(process.hrtime.bigint() - start) / 1e9;
  best = Math.min(best, process.argv[6] === 'cpu' ? (used.user + used.system) / 1e6 : wall);
}
console.log(best);
"""


def ranks(path):
    return {base64.b64decode(t): int(r) for t, r in (line.split() for line in gzip.open(path).read().splitlines() if line)}


def peers(args):
    import tiktoken
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    import sentencepiece
    for name, pattern in PATTERNS.items():
        e = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks(f"{args.vocab}/{name}.tiktoken.gz"), special_tokens={})
        yield name, "tiktoken " + tiktoken.__version__, e.encode_ordinary
    vocab = {line.rstrip("\n"): i for i, line in enumerate(open(f"{args.vocab}/bert-base-uncased.vocab.txt"))}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    yield "bert", "tokenizers", lambda s: t.encode(s, add_special_tokens=False)
    if args.llama3:
        llama = Tokenizer.from_file(args.llama3)
        yield "llama3", "tokenizers", lambda s: llama.encode(s, add_special_tokens=False)
    for name in ["spm_unigram_8k", "spm_bpe_8k"]:
        sp = sentencepiece.SentencePieceProcessor(model_file=f"{args.vocab}/{name}.model")
        yield name, "sentencepiece " + sentencepiece.__version__, sp.encode


def main():
    p = argparse.ArgumentParser()
    for name in ["forja", "vocab", "docs"]:
        p.add_argument("--" + name, required=True)
    p.add_argument("--llama3")
    p.add_argument("--node")
    p.add_argument("--bytes", type=int, default=20_000_000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--cpu", action="store_true")
    args = p.parse_args()
    clock = time.process_time if args.cpu else time.perf_counter
    docs, size = [], 0
    for line in gzip.open(args.docs, "rt"):
        docs.append(json.loads(line)["text"])
        size += len(docs[-1].encode())
        if size >= args.bytes:
            break
    print(f"{len(docs)} documents, {size / 1e6:.1f} MB, best of {args.rounds}, {'processor' if args.cpu else 'wall'} time")
    result = {}
    for key, name, encode in peers(args):
        best = 1e9
        for _ in range(args.rounds):
            start = clock()
            for d in docs:
                encode(d)
            best = min(best, clock() - start)
        result[key, name] = size / 1e6 / best
    with tempfile.TemporaryDirectory() as tmp:
        lines = os.path.join(tmp, "docs.jsonl")
        with open(lines, "w") as f:
            f.writelines(json.dumps({"text": d}) + "\n" for d in docs)
        if args.node:
            texts = os.path.join(tmp, "texts.jsonl")
            with open(texts, "w") as f:
                f.writelines(json.dumps(d) + "\n" for d in docs)
            script = os.path.join(tmp, "peer.js")
            open(script, "w").write(NODE)
            for key in ["gpt2", "cl100k_base"]:
                out = subprocess.run(["node", script, os.path.abspath(args.node), texts, key, str(args.rounds), "cpu" if args.cpu else "wall"], capture_output=True, text=True, check=True)
                result[key, "npm tiktoken (WASM)"] = size / 1e6 / float(out.stdout)
        files = {k: f"{args.vocab}/{k}.tiktoken.gz" for k in PATTERNS}
        files |= {"bert": f"{args.vocab}/bert-base-uncased.vocab.txt", "llama3": args.llama3}
        files |= {k: f"{args.vocab}/{k}.model" for k in ["spm_unigram_8k", "spm_bpe_8k"]}
        print(f"{'vocabulary':16}{'peer':28}{'peer MB/s':>10}{'forja cold':>12}{'warm':>8}{'ratio':>8}")
        for key, path in files.items():
            if not path:
                continue
            env = dict(os.environ, GOMAXPROCS="1")
            out = subprocess.run([args.forja, "tokenizer", "bench", path, lines, "--json", "--rounds", str(args.rounds), "--bytes", str(args.bytes)] + (["--cpu"] if args.cpu else []),
                                 capture_output=True, text=True, check=True, env=env)
            rows = {r["cache"]: r["mb_per_s"] for r in json.loads(out.stdout) if r["text"] == "documents" and r["threads"] == 1}
            for (k, name), speed in result.items():
                if k == key:
                    print(f"{key:16}{name:28}{speed:10.1f}{rows['cold']:12.1f}{rows['warm']:8.1f}{rows['cold'] / speed:7.1f}x")


if __name__ == "__main__":
    main()
