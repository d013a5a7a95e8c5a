"""Times on a card, in PyTorch, what `forja bench --device cuda` times, under the same names: one line of JSON for each.

    python torch_gpu.py kernels                    products (cuBLASLt), attention (flash, cuDNN), norms, AdamW, copying
    python torch_gpu.py step --model gpt2          a training step: eager and torch.compile, bf16 autocast
    python torch_gpu.py step --model llama3.2-1b --lora 16
    python torch_gpu.py decode --model gpt2        greedy, one sequence, static cache, torch.compile
    python torch_gpu.py kernels --device cpu --small      a dry run, without a card

Inputs are random: constants draw less power and run faster. Calls are queued for 20 ms at least before one waits for
them, and the best of several turns counts, as in forja's own measurement.
"""

import argparse
import json
import sys
import time
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

TURN = 0.020
GPT2 = [(2304, 768), (768, 768), (3072, 768), (768, 3072), (50304, 768)]
LLAMA = [(3072, 2048), (2048, 2048), (16384, 2048), (2048, 8192)]
FULL = SimpleNamespace(tokens=16384, linears=GPT2 + LLAMA, batch=16, heads=12, depth=64, lengths=[1024, 4096], channels=2048,
                       wide=8192, parameters=256 << 20, side=16384, head_tokens=16384, vocab=50257)
SMALL = SimpleNamespace(tokens=64, linears=[(48, 32)], batch=2, heads=2, depth=16, lengths=[32], channels=32, wide=64,
                        parameters=1 << 12, side=64, head_tokens=32, vocab=100)


def say(**figures):
    print(json.dumps(figures), flush=True)


class Clock:
    def __init__(self, o):
        self.cuda, self.rounds = o.device == "cuda", o.rounds

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def best(self, call):
        """Seconds of a call: the best of several turns, after one that does not count."""
        best = float("inf")
        for turn in range(self.rounds + 1):
            n = 1
            while True:
                self.wait()
                began = time.perf_counter()
                for _ in range(n):
                    call()
                self.wait()
                took = time.perf_counter() - began
                if took > TURN:
                    break
                n *= 4
            if turn > 0:
                best = min(best, took / n)
        return best

    def report(self, name, work, unit, call, variant="eager"):
        try:
            seconds = self.best(call)
        except RuntimeError as problem:  # a backend that does not take this card or shape
            say(name=name, variant=variant, missing=str(problem).splitlines()[0])
            return
        say(name=name, variant=variant, seconds=seconds, rate=work / seconds / 1e9, unit=unit)


def products(clock, s, device):
    """Forward, input gradient and weight gradient of each linear: cuBLASLt."""
    for n, k in s.linears:
        x = torch.randn(s.tokens, k, device=device, dtype=torch.bfloat16)
        w = torch.randn(n, k, device=device, dtype=torch.bfloat16)
        dy = torch.randn(s.tokens, n, device=device, dtype=torch.bfloat16)
        y, dx, dw = torch.empty_like(dy), torch.empty_like(x), torch.empty_like(w)
        flops = 2 * s.tokens * n * k
        clock.report(f"gemm/bf16/forward/{n}x{k}", flops, "GFLOP/s", lambda: torch.mm(x, w.t(), out=y), "cublaslt")
        clock.report(f"gemm/bf16/dx/{n}x{k}", flops, "GFLOP/s", lambda: torch.mm(dy, w, out=dx), "cublaslt")
        clock.report(f"gemm/bf16/dw/{n}x{k}", flops, "GFLOP/s", lambda: torch.mm(dy.t(), x, out=dw), "cublaslt")


def attention(clock, s, device):
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    for T in s.lengths:
        q, k, v = (torch.randn(s.batch, s.heads, T, s.depth, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        do = torch.randn_like(q)
        flops = 2 * s.heads * s.depth * s.batch * T * (T + 1)
        for variant, backend in backends.items():
            def forward():
                with sdpa_kernel(backend):
                    return F.scaled_dot_product_attention(q, k, v, is_causal=True)

            def forward_only():
                with torch.no_grad():
                    forward()

            clock.report(f"attention/bf16/forward/T{T}", flops, "GFLOP/s", forward_only, variant)
            try:
                out = forward()
            except RuntimeError:
                continue
            clock.report(f"attention/bf16/backward/T{T}", 2.5 * flops, "GFLOP/s",
                         lambda: torch.autograd.grad(out, (q, k, v), do, retain_graph=True), variant)


def memory_bound(clock, s, device):
    bf16 = torch.bfloat16
    x = torch.randn(s.side, s.side, device=device, dtype=bf16)
    y = torch.empty_like(x)
    clock.report(f"copy/bf16/{s.side}x{s.side}", 2 * 2 * x.numel(), "GB/s", lambda: y.copy_(x))
    del x, y
    m, n, f = s.tokens, s.channels, s.wide
    x, r = torch.randn(m, n, device=device, dtype=bf16), torch.randn(m, n, device=device, dtype=bf16)
    w, b = torch.randn(n, device=device, dtype=bf16), torch.randn(n, device=device, dtype=bf16)
    wide, dy, gates = (torch.randn(m, k, device=device, dtype=bf16) for k in (f, f, 2 * f))

    def layernorm(x, r):
        h = x + r
        return h, F.layer_norm(h, (n,), w, b)

    def rmsnorm(x, r):
        h = x + r
        return h, F.rms_norm(h, (n,), w, 1e-5)

    def gelu(x):
        return F.gelu(x, approximate="tanh")

    def gelu_grad(dy, x):
        return torch.ops.aten.gelu_backward(dy, x, approximate="tanh")

    def swiglu(x):
        gate, up = x.chunk(2, dim=1)
        return F.silu(gate) * up

    compiled = torch.compile if device == "cuda" else (lambda g: g)
    narrow, broad = 2 * m * n, 2 * m * f
    for name, work, call, args in [("layernorm", 4 * narrow, layernorm, (x, r)), ("rmsnorm", 4 * narrow, rmsnorm, (x, r)),
                                   ("gelu", 2 * broad, gelu, (wide,)), ("gelu_grad", 3 * broad, gelu_grad, (dy, wide)),
                                   ("swiglu", 3 * broad, swiglu, (gates,))]:
        quick = compiled(call)
        clock.report(f"norm/bf16/{name}", work, "GB/s", lambda: quick(*args), "compile")
    del x, r, wide, dy, gates
    p = torch.randn(s.parameters, device=device, requires_grad=True)
    p.grad = torch.randn_like(p)
    adamw = torch.optim.AdamW([p], lr=1e-4, fused=True)
    clock.report("adamw/f32/adamw", 28 * p.numel(), "GB/s", adamw.step, "fused")


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.qkv = nn.Linear(c.channels, (c.heads + 2 * c.kv) * c.depth, bias=c.bias)
        self.out = nn.Linear(c.heads * c.depth, c.channels, bias=c.bias)

    def forward(self, xBTC, rope):
        c, (B, T, _) = self.c, xBTC.shape
        q, k, v = self.qkv(xBTC).view(B, T, c.heads + 2 * c.kv, c.depth).transpose(1, 2).split([c.heads, c.kv, c.kv], dim=1)
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=c.kv != c.heads)
        return self.out(mixed.transpose(1, 2).reshape(B, T, -1))


def rotate(x, rope):
    cos, sin = rope
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gated = c.gated
        self.up = nn.Linear(c.channels, c.ffn * (2 if c.gated else 1), bias=c.bias)
        self.down = nn.Linear(c.ffn, c.channels, bias=c.bias)

    def forward(self, x):
        if self.gated:
            gate, up = self.up(x).chunk(2, dim=-1)
            return self.down(F.silu(gate) * up)
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        norm = nn.RMSNorm if c.gated else nn.LayerNorm
        self.norm1, self.attn, self.norm2, self.mlp = norm(c.channels), Attention(c), norm(c.channels), MLP(c)

    def forward(self, x, rope):
        x = x + self.attn(self.norm1(x), rope)
        return x + self.mlp(self.norm2(x))


MODELS = {
    "gpt2": SimpleNamespace(layers=12, channels=768, heads=12, kv=12, depth=64, ffn=3072, vocab=50304, bias=True, gated=False),
    "llama3.2-1b": SimpleNamespace(layers=16, channels=2048, heads=32, kv=8, depth=64, ffn=8192, vocab=128256, bias=False, gated=True),
    "tiny": SimpleNamespace(layers=2, channels=64, heads=2, kv=1, depth=32, ffn=128, vocab=512, bias=False, gated=True),
}


class Model(nn.Module):
    """GPT-2, or LLaMA where the feed-forward network is gated: fused projections, tied head."""

    def __init__(self, c, context):
        super().__init__()
        self.c = c
        self.wte = nn.Embedding(c.vocab, c.channels)
        self.wpe = None if c.gated else nn.Embedding(context, c.channels)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.channels) if c.gated else nn.LayerNorm(c.channels)
        if c.gated:
            angle = torch.outer(torch.arange(context).float(), 500000.0 ** (-torch.arange(0, c.depth, 2).float() / c.depth))
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokensBT):
        T = tokensBT.shape[1]
        x = self.wte(tokensBT)
        if self.wpe is not None:
            x = x + self.wpe.weight[:T]
        rope = (self.cos[:T], self.sin[:T]) if self.c.gated else None
        for block in self.blocks:
            x = block(x, rope)
        return F.linear(self.norm(x), self.wte.weight)


class LoRA(nn.Module):
    def __init__(self, base, rank):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Linear(base.in_features, rank, bias=False, device=base.weight.device)
        self.b = nn.Linear(rank, base.out_features, bias=False, device=base.weight.device)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.base(x) + 2 * self.b(self.a(x))


def step(o, clock):
    c = MODELS[o.model]
    model = Model(c, o.context).to(o.device)
    kind = "step"
    if o.lora:
        kind = f"lora{o.lora}"
        model.requires_grad_(False)
        model.to(torch.bfloat16)
        for block in model.blocks:
            for owner, name in [(block.attn, "qkv"), (block.attn, "out"), (block.mlp, "up"), (block.mlp, "down")]:
                setattr(owner, name, LoRA(getattr(owner, name), o.lora).to(o.device))
    trained = [p for p in model.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(trained, lr=6e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    text = torch.randint(0, min(c.vocab, 50257), (o.batch, o.context + 1), device=o.device)
    tokens, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()

    def loss_of(tokens, targets):
        with torch.autocast(o.device, torch.bfloat16):
            logits = model(tokens)
        return F.cross_entropy(logits.view(-1, c.vocab).float(), targets.view(-1))

    for variant in o.variants.split(","):
        loss = torch.compile(loss_of) if variant == "compile" else loss_of

        def update():
            loss(tokens, targets).backward()
            adamw.step()
            adamw.zero_grad(set_to_none=True)

        try:
            for _ in range(3):
                update()
            seconds = clock.best(update)
        except (RuntimeError, torch.OutOfMemoryError) as problem:
            say(name=f"{kind}/bf16/{o.model}", variant=variant, missing=str(problem).splitlines()[0])
            continue
        peak = torch.cuda.max_memory_allocated() if o.device == "cuda" else 0
        say(name=f"{kind}/bf16/{o.model}", variant=variant, seconds=seconds, rate=o.batch * o.context / seconds, unit="tok/s",
            batch=o.batch, context=o.context, peak_bytes=peak)


def decode(o, clock):
    """Greedy decoding of one sequence with transformers' static cache, compiled."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    c = MODELS[o.model]
    if c.gated:
        config = LlamaConfig(vocab_size=c.vocab, hidden_size=c.channels, intermediate_size=c.ffn, num_hidden_layers=c.layers,
                             num_attention_heads=c.heads, num_key_value_heads=c.kv, head_dim=c.depth, tie_word_embeddings=True)
        model = LlamaForCausalLM(config)
    else:
        model = GPT2LMHeadModel(GPT2Config(vocab_size=c.vocab, n_embd=c.channels, n_layer=c.layers, n_head=c.heads))
    model = model.to(o.device, torch.bfloat16).eval()
    prompt = torch.randint(0, c.vocab, (1, 16), device=o.device)
    for variant in o.variants.split(","):
        extra = {"cache_implementation": "static"} if variant == "compile" else {}

        def generate():
            model.generate(prompt, max_new_tokens=o.tokens, min_new_tokens=o.tokens, do_sample=False, pad_token_id=0, **extra)

        try:
            generate()
            seconds = clock.best(generate)
        except Exception as problem:  # transformers raises many kinds
            say(name=f"decode/bf16/{o.model}", variant=variant, missing=str(problem).splitlines()[0])
            continue
        say(name=f"decode/bf16/{o.model}", variant=variant, seconds=seconds / o.tokens, rate=o.tokens / seconds, unit="tok/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kernels", "step", "decode"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it run at all")
    parser.add_argument("--model", default="gpt2", choices=list(MODELS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--lora", type=int, default=0, help="rank of adapters on every projection; 0 trains everything")
    parser.add_argument("--tokens", type=int, default=256, help="to decode")
    parser.add_argument("--variants", default="eager,compile")
    o = parser.parse_args()
    torch.manual_seed(1)
    card = torch.cuda.get_device_name() if o.device == "cuda" else "cpu"
    say(peer="torch", version=torch.__version__, cuda=torch.version.cuda, card=card)
    clock = Clock(o)
    if o.what == "kernels":
        sizes = SMALL if o.small else FULL
        for section in (memory_bound, products, attention):
            section(clock, sizes, o.device)
            if o.device == "cuda":
                torch.cuda.empty_cache()
    elif o.what == "step":
        step(o, clock)
    else:
        decode(o, clock)


if __name__ == "__main__":
    sys.exit(main())
