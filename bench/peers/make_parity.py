"""Writes the fixtures that let forja prove parity with PyTorch without Python.

    python make_parity.py            write every fixture
    python make_parity.py --check    recompute from the committed weights and compare

transformers and peft write tiny models with random weights as Hugging Face folders. Next to each model lies
golden.safetensors and golden.json: logits, loss, every gradient, the losses of 20 AdamW steps and a greedy
continuation. The layout is described in the README.md of the fixtures' folder.

Every golden figure is computed in float64 and only then rounded to float32, so a comparison with it shows the
rounding of one side only. transformers hides casts to float32 in norms, softmax and rope; `everything_in_float64`
turns them into float64 and `NoFloat32` stops the script should one remain.
"""

import argparse
import contextlib
import json
import math
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import peft
import safetensors
import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

VOCAB, BATCH, TIME = 97, 2, 23
IGNORED = -100
PROMPT, CONTINUATION, MARGIN = 9, 16, 1e-2
STEPS = 20
ADAMW = {"lr": 3e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1}
HEAD = 8  # values of each trained tensor kept verbatim after the last step
FOLDER = Path(__file__).resolve().parents[2] / "engine" / "train" / "testdata" / "parity"

IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
LLAMA = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, **IDS}

MODELS = {
    # LayerNorm with bias, learned positions, tanh GELU, tied head, every linear with a bias.
    "gpt2": GPT2Config(vocab_size=VOCAB, n_positions=32, n_embd=24, n_layer=2, n_head=4,
                       resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **IDS),
    # Grouped queries (2 per key head), untied head, llama3 rope scaling: with head size 8 and theta 100 the wave
    # lengths are 6, 20, 63 and 199, so the bands "kept", "blended" and "stretched" are all hit within 23 positions.
    "llama-gqa": LlamaConfig(**LLAMA, intermediate_size=44, num_key_value_heads=2, max_position_embeddings=128,
                             rms_norm_eps=1e-5, tie_word_embeddings=False,
                             rope_parameters={"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0,
                                              "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                              "original_max_position_embeddings": 32}),
    # One key head per query head, tied head, linear rope scaling.
    "llama-tied": LlamaConfig(**LLAMA, intermediate_size=40, num_key_value_heads=4, max_position_embeddings=64,
                              rms_norm_eps=1e-6, tie_word_embeddings=True,
                              rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}),
    # Bias on query, key and value only; three query heads share one key head; head size 8; unscaled rope.
    "qwen2": Qwen2Config(vocab_size=VOCAB, hidden_size=24, intermediate_size=36, num_hidden_layers=2,
                         num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=64,
                         rms_norm_eps=1e-6, tie_word_embeddings=False,
                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, **IDS),
}

ADAPTERS = {
    "lora-llama-gqa": ("llama-gqa", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])),
    "lora-llama-gqa-all-rslora": ("llama-gqa", dict(r=3, lora_alpha=5, target_modules="all-linear",
                                                    use_rslora=True)),
    # GPT-2 stores linears as Conv1D [in, out]; A and B stay [r, in] and [out, r].
    "lora-gpt2": ("gpt2", dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)),
}

# Drawn until every greedy choice is clear and float32 stays near float64 (a few draws hold a query or an embedding
# whose gradient almost cancels; AdamW then magnifies its rounding).
SEEDS = {"gpt2": 1, "llama-gqa": 42, "llama-tied": 3, "qwen2": 4,
         "lora-llama-gqa": 5, "lora-llama-gqa-all-rslora": 6, "lora-gpt2": 8}


class Widen(TorchFunctionMode):
    """Replaces every request for float32 by one for float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def widen(x):
            return torch.float64 if x is torch.float32 else x

        if func is torch.Tensor.float:
            return args[0].double()
        if func is torch.Tensor.view:  # reinterprets the bytes of a file, casts nothing
            return func(*args, **(kwargs or {}))
        return func(*map(widen, args), **{k: widen(v) for k, v in (kwargs or {}).items()})


class NoFloat32(TorchDispatchMode):
    """Fails when any operation yields a float32 tensor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(x, torch.Tensor) and x.dtype == torch.float32:
                raise AssertionError(f"{func} computed in float32")
        return result


@contextlib.contextmanager
def everything_in_float64():
    torch.set_default_dtype(torch.float64)
    try:
        with Widen():
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def randomise(model, seed):
    """Weights that keep activations near 1 and leave no bias at 0 and no norm at 1, so that nothing hides."""
    rng = np.random.Generator(np.random.PCG64(seed))
    for name, p in model.named_parameters():
        noise = torch.from_numpy(rng.standard_normal(tuple(p.shape))).float()
        if name.endswith("bias"):
            value = 0.2 * noise
        elif p.dim() == 1:
            value = 1 + 0.3 * noise
        elif any(part in name for part in ("wte", "wpe", "embed_tokens")):
            value = 0.5 * noise
        else:
            value = 1.2 * noise / math.sqrt(model.config.hidden_size)
        p.data.copy_(value)


def make_model(name, folder, seed):
    model = AutoModelForCausalLM.from_config(MODELS[name])
    randomise(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    if "rope_parameters" in config:  # the same model in the keys of transformers 4
        rope = dict(config.pop("rope_parameters"))
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
        config["torch_dtype"] = config.pop("dtype")
        config["transformers_version"] = "4.43.0"
        (folder / "config_v4.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make_adapter(name, folder, base_folder, seed):
    base, settings = ADAPTERS[name]
    config = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, bias="none", **settings)
    model = get_peft_model(load_model(base_folder, torch.float32), config)
    rng = np.random.Generator(np.random.PCG64(seed))
    for key, p in model.named_parameters():
        if "lora_" in key:  # B is drawn too: at its usual zero the gradient of A would be zero
            scale = 0.3 / math.sqrt(p.shape[1] if "lora_A" in key else settings["r"])
            p.data.copy_(scale * torch.from_numpy(rng.standard_normal(tuple(p.shape))).float())
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text())
    saved["base_model_name_or_path"] = f"../{base}"
    for key, value in saved.items():  # peft keeps sets, whose order differs from run to run
        if isinstance(value, list):
            saved[key] = sorted(value)
    path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")


def load_model(folder, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.train()  # no dropout anywhere; train() only to be sure that nothing depends on it


def load_case(name, root, dtype):
    if name in MODELS:
        return load_model(root / name, dtype)
    base = load_model(root / ADAPTERS[name][0], dtype)
    return PeftModel.from_pretrained(base, root / name, is_trainable=True).train()


def trained(model):
    """Trained parameters by the name they have on disk."""
    return {name.replace(".default.", "."): p for name, p in model.named_parameters() if p.requires_grad}


def draw_batches(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    batches = []
    for _ in range(2):
        text = rng.integers(0, VOCAB, (BATCH, TIME + 1))
        targets = text[:, 1:].copy()
        targets[rng.random(targets.shape) < 0.25] = IGNORED
        batches.append((torch.from_numpy(text[:, :-1].copy()), torch.from_numpy(targets)))
    prompt = torch.from_numpy(rng.integers(0, VOCAB, (1, PROMPT)))
    return batches, prompt


def loss_of(logits, targets):
    return F.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1), ignore_index=IGNORED)


def decode(model, prompt):
    """Greedy continuation with the key-value cache: the tokens, and the logits that chose each of them."""
    tokens, logits, cache, feed = [], [], None, prompt
    for _ in range(CONTINUATION):
        out = model(feed, past_key_values=cache, use_cache=True)
        cache, last = out.past_key_values, out.logits[0, -1]
        feed = last.argmax().reshape(1, 1)
        tokens.append(feed.item())
        logits.append(last)
    whole = torch.cat([prompt, torch.tensor([tokens])], 1)
    uncached = model(whole, use_cache=False).logits[0, PROMPT - 1:-1]
    assert (torch.stack(logits) - uncached).abs().max() < 1e-4, "the cache changes the logits"
    return torch.tensor(tokens), torch.stack(logits)


def compute(name, root, batches, prompt, dtype):
    """Returns the golden tensors and figures, computed in dtype."""
    model = load_case(name, root, dtype)
    to_merge = load_case(name, root, dtype) if name in ADAPTERS else None
    params = trained(model)
    tensors, figures = {}, {}
    strict = NoFloat32() if dtype == torch.float64 else contextlib.nullcontext()
    with strict:
        with torch.no_grad():
            tensors["decode.tokens"], tensors["decode.logits"] = decode(model, prompt)
        tokens, targets = batches[0]
        tensors["logits"] = model(tokens).logits.detach()
        tensors["loss"] = loss_of(tensors["logits"], targets)

        decayed = [p for p in params.values() if p.dim() >= 2]
        other = [p for p in params.values() if p.dim() < 2]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": ADAMW["weight_decay"]}, {"params": other, "weight_decay": 0.0}],
            lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"], foreach=False)
        before = {key: p.detach().clone() for key, p in params.items()}
        losses = []
        for step in range(STEPS):
            tokens, targets = batches[step % len(batches)]
            loss = loss_of(model(tokens).logits, targets)
            optimizer.zero_grad()
            loss.backward()
            if step == 0:
                tensors |= {f"grad.{key}": p.grad.clone() for key, p in params.items()}
            optimizer.step()
            losses.append(loss.item())

        figures["losses"] = losses
        figures["after"] = {}
        for key, p in params.items():
            now = p.detach().double()
            moved = now - before[key].double()
            figures["after"][key] = {"sum": now.sum().item(), "l2": now.norm().item(), "moved_l2": moved.norm().item(),
                                     "head": now.flatten()[:HEAD].tolist()}
        if to_merge is not None:
            with torch.no_grad():
                tensors["merged.logits"] = to_merge.merge_and_unload()(batches[0][0]).logits
    return tensors, figures


def relative(a, b):
    """Largest difference over the root mean square of b."""
    a, b = a.double(), b.double()
    return ((a - b).abs().max() / b.square().mean().sqrt()).item()


def golden(name, root, batches, prompt):
    with everything_in_float64():
        tensors, figures = compute(name, root, batches, prompt, torch.float64)
    single, single_figures = compute(name, root, batches, prompt, torch.float32)

    top = tensors["decode.logits"].topk(2).values
    margin = (top[:, 0] - top[:, 1]).min().item()
    assert margin > MARGIN, f"{name}: greedy choice too close to call ({margin}): change the seed"
    assert torch.equal(tensors["decode.tokens"], single["decode.tokens"])
    for key, value in tensors.items():
        assert value.double().norm() > 1e-3, f"{name}: {key} is almost zero and proves nothing"
    gaps = {key: relative(single[key], value) for key, value in tensors.items() if key != "decode.tokens"}
    losses_gap = max(abs(a - b) for a, b in zip(single_figures["losses"], figures["losses"]))
    after_gap = max(abs(a - b) for key, value in figures["after"].items()
                    for a, b in zip(single_figures["after"][key]["head"], value["head"]))
    gradients = [value for key, value in gaps.items() if key.startswith("grad.")]
    figures = {
        "case": name,
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                     "peft": peft.__version__, "safetensors": safetensors.__version__, "numpy": np.__version__},
        "computed_in": "float64, then rounded to float32 (tensors) or written in full (this file)",
        "ignored_target": IGNORED,
        "counted_targets": int((batches[0][1] != IGNORED).sum()),
        "trained_parameters": sum(v.numel() for k, v in tensors.items() if k.startswith("grad.")),
        "loss": tensors["loss"].item(),
        "adamw": {**ADAMW, "steps": STEPS, "decayed": "tensors with two dimensions", "clip": None,
                  "batches": "step i (from 0) trains on tokens.0 when i is even, on tokens.1 when odd"},
        **figures,
        "decode_margin": float(f"{margin:.2g}"),
        "torch_float32_gap": {
            "meaning": "what PyTorch's own float32 differs by on the machine that wrote this; tensors: largest "
                       "difference over the root mean square of the tensor; losses, after.head: absolute",
            "logits": float(f"{gaps['logits']:.2g}"), "decode.logits": float(f"{gaps['decode.logits']:.2g}"),
            "loss": float(f"{gaps['loss']:.2g}"), "grad": float(f"{max(gradients):.2g}"),
            "losses": float(f"{losses_gap:.2g}"), "after.head": float(f"{after_gap:.2g}"),
        },
    }
    if name in ADAPTERS:
        figures = {"case": name, "base": f"../{ADAPTERS[name][0]}", **figures}
    tensors["decode.prompt"] = prompt
    for i, (tokens, targets) in enumerate(batches):
        tensors[f"tokens.{i}"], tensors[f"targets.{i}"] = tokens, targets
    tensors = {key: value.to(torch.float32 if value.is_floating_point() else torch.int32).contiguous()
               for key, value in tensors.items()}
    return tensors, figures


def assert_rope_scaling_bites(root, name, batches):
    config = AutoConfig.from_pretrained(root / name)
    assert config.rope_parameters == AutoConfig.from_pretrained(root / name / "config_v4.json").rope_parameters
    if config.rope_parameters["rope_type"] == "default":
        return
    scaled = load_model(root / name, torch.float32)(batches[0][0]).logits
    config.rope_parameters = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"]}
    plain = AutoModelForCausalLM.from_pretrained(root / name, config=config, attn_implementation="eager")
    gap = relative(plain(batches[0][0]).logits, scaled)
    assert gap > 0.1, f"{name}: rope scaling hardly changes the logits ({gap})"


def write(root):
    for name, seed in SEEDS.items():
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        batches, prompt = draw_batches(1000 + seed)
        if name in MODELS:
            make_model(name, folder, seed)
        else:
            make_adapter(name, folder, root / ADAPTERS[name][0], seed)
        if (folder / "config_v4.json").exists():
            assert_rope_scaling_bites(root, name, batches)
        tensors, figures = golden(name, root, batches, prompt)
        save_file(tensors, folder / "golden.safetensors", metadata={"format": "pt"})
        (folder / "golden.json").write_text(json.dumps(figures, indent=1) + "\n")
        print(f"{name}: loss {figures['loss']:.6f} -> {figures['losses'][-1]:.6f}, "
              f"margin {figures['decode_margin']}, gap {list(figures['torch_float32_gap'].values())[1:]}")
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{size} bytes")
    assert size < 1_000_000


def check(root):
    """Recomputes every golden figure from the weights on disk. Rounding may differ from machine to machine."""
    for name in SEEDS:
        stored = load_file(root / name / "golden.safetensors")
        figures = json.loads((root / name / "golden.json").read_text())
        batches = [(stored[f"tokens.{i}"].long(), stored[f"targets.{i}"].long()) for i in range(2)]
        tensors, again = golden(name, root, batches, stored["decode.prompt"].long())
        assert stored.keys() == tensors.keys(), name
        for key, value in tensors.items():
            if value.dtype == torch.int32:
                assert torch.equal(value, stored[key]), f"{name}: {key}"
            else:
                assert relative(stored[key], value) < 1e-6, f"{name}: {key}"
        np.testing.assert_allclose(again["losses"], figures["losses"], rtol=1e-9, err_msg=name)
        for key, value in again["after"].items():
            for what in value:
                np.testing.assert_allclose(value[what], figures["after"][key][what], rtol=1e-6, atol=1e-9)
        print(f"{name}: {len(tensors)} tensors agree")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--check", action="store_true", help="recompute from the weights in the folder and compare")
    options = parser.parse_args()
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    (check if options.check else write)(options.folder)


if __name__ == "__main__":
    sys.exit(main())
