"""Times a GPT-2 training step in PyTorch on the CPU and prints one line of JSON.

    python torch_train.py --dtype f32
    python torch_train.py --dtype bf16 --compile
    python torch_train.py --check          this model against transformers' GPT-2 (uses the parity fixtures)

The step is forward, cross-entropy over the whole vocabulary, backward and AdamW on random tokens: GPT-2 124M with batch 4
and context 256 unless told otherwise, learned positions, tanh GELU, tied head, no dropout, no gradient clipping unless
asked for. Attention is PyTorch's fused scaled_dot_product_attention.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F


def status_bytes(key):
    """A figure of /proc/self/status in bytes: VmHWM is the peak resident set, VmRSS the present one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(channels, 3 * channels)
        self.c_proj = nn.Linear(channels, channels)

    def forward(self, xBTC):
        B, T, C = xBTC.shape
        query, key, value = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                             for part in self.c_attn(xBTC).split(C, dim=2))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.c_fc = nn.Linear(channels, 4 * channels)
        self.c_proj = nn.Linear(4 * channels, channels)

    def forward(self, xBTC):
        return self.c_proj(F.gelu(self.c_fc(xBTC), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(channels), Attention(channels, heads)
        self.ln_2, self.mlp = nn.LayerNorm(channels), MLP(channels)

    def forward(self, xBTC):
        xBTC = xBTC + self.attn(self.ln_1(xBTC))
        return xBTC + self.mlp(self.ln_2(xBTC))


class GPT2(nn.Module):
    """GPT-2 with the module names of transformers; linears are [out, in] where transformers has Conv1D [in, out]."""

    def __init__(self, vocab, context, channels, layers, heads):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, channels), nn.Embedding(context, channels)
        self.h = nn.ModuleList(Block(channels, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(channels)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokensBT):
        xBTC = self.wte(tokensBT) + self.wpe.weight[:tokensBT.shape[1]]
        for block in self.h:
            xBTC = block(xBTC)
        return F.linear(self.ln_f(xBTC), self.wte.weight)


def check():
    """Loads transformers' weights of the parity fixture into GPT2 and compares the logits."""
    from safetensors.torch import load_file

    folder = Path(__file__).resolve().parents[2] / "engine" / "train" / "testdata" / "parity" / "gpt2"
    config = json.loads((folder / "config.json").read_text())
    model = GPT2(config["vocab_size"], config["n_positions"], config["n_embd"], config["n_layer"], config["n_head"])
    weights = {}
    for name, value in load_file(folder / "model.safetensors").items():
        conv1d = name.endswith("weight") and any(part in name for part in ("c_attn", "c_proj", "c_fc"))
        weights[name.removeprefix("transformer.")] = value.T.contiguous() if conv1d else value
    model.load_state_dict(weights)
    golden = load_file(folder / "golden.safetensors")
    gap = (model(golden["tokens.0"].long()) - golden["logits"]).abs().max().item()
    assert gap < 1e-4, f"logits differ from transformers' by {gap}"
    print(f"logits agree with transformers' to {gap:.1e}")


def measure(o):
    imported = status_bytes("VmRSS")
    torch.manual_seed(o.seed)
    torch.set_num_threads(o.threads)
    torch.set_float32_matmul_precision(o.matmul)
    model = GPT2(o.vocab, max(o.time, 1024), o.channels, o.layers, o.heads)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=6e-4, betas=(0.9, 0.95), eps=1e-8, **{o.adamw: True})
    text = torch.randint(0, o.vocab, (o.batch, o.time + 1))
    tokens, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()

    def loss_of(tokens, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=o.dtype == "bf16"):
            return F.cross_entropy(model(tokens).view(-1, o.vocab), targets.view(-1))

    if o.compile:
        loss_of = torch.compile(loss_of, mode=o.compile_mode)

    def step():
        loss = loss_of(tokens, targets)
        loss.backward()
        if o.clip:
            nn.utils.clip_grad_norm_(model.parameters(), o.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    began = time.perf_counter()
    for _ in range(o.warmup):
        first = step()
    warm = time.perf_counter() - began
    seconds, processor_seconds = [], []
    for _ in range(o.steps):
        began, processor = time.perf_counter(), time.process_time()
        loss = step()
        seconds.append(time.perf_counter() - began)
        processor_seconds.append(time.process_time() - processor)

    best, median, count = min(seconds), statistics.median(seconds), o.batch * o.time
    print(json.dumps({
        "peer": "torch", "version": torch.__version__, "dtype": o.dtype, "matmul": o.matmul, "compile": o.compile,
        "compile_mode": o.compile_mode if o.compile else None, "adamw": o.adamw, "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()), "batch": o.batch, "time": o.time, "vocab": o.vocab,
        "steps": o.steps, "step_s_best": round(best, 4), "step_s_median": round(median, 4),
        "step_processor_s_best": round(min(processor_seconds), 4),
        "tok_s": round(count / best, 1), "tok_s_median": round(count / median, 1),
        "peak_rss": status_bytes("VmHWM"), "rss_after_import": imported,
        "warmup_s": round(warm, 1), "loss_warmup": round(first, 4), "loss_last": round(loss, 4)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="bf16 is autocast over f32 weights")
    parser.add_argument("--matmul", choices=["highest", "medium"], default="highest",
                        help="medium lets f32 products round their inputs to bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler)")
    parser.add_argument("--compile-mode", default="default", choices=["default", "max-autotune-no-cudagraphs"])
    parser.add_argument("--adamw", choices=["fused", "foreach"], default="fused")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--time", type=int, default=256, help="tokens in a row")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--clip", type=float, default=0.0, help="gradient norm to clip to; 0 clips nothing")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare this model with transformers' and stop")
    options = parser.parse_args()
    if options.warmup < 1 or options.steps < 1:
        parser.error("--warmup and --steps must be at least 1")
    check() if options.check else measure(options)


if __name__ == "__main__":
    sys.exit(main())
