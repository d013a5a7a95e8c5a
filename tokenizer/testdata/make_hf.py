"""Makes hf_bpe.json and hf_bpe.ids.json with Hugging Face tokenizers 0.23.

    python3 make_hf.py

trains a small tokenizer on the text below and encodes samples with it; the Go
tests hold TrainBPE, ReadJSON and the ids against these files.
"""

import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT = [
    "The theme of the thesis is that they bathe there; breathe, lather, father!\n\n  It's 2026, isn't it?  " * 4,
    "línguas e números: ação, coração, mañana. A raposa marrom salta sobre o cão preguiçoso.\r\n" * 3,
    "func main() {\n\tfmt.Println(\"olá, 世界\") // 世界 means world\n}\n" * 3,
    "東京都と京都は日本の都市です。東京は首都です。 Мама мыла раму, рама мыта.",
    "aaaaaaaaaaaaaaaa aaaaaaa abababababab 😀😀 👩‍👩‍👧 e\u0301 \u00a0\u3000",
]
SAMPLES = TEXT + [
    "", " ", "   leading", "trailing   ", "\n\n\n", "a\n b\n  c", "I'LL we'll they'd 'tis", "0123456789 ½ ٣",
    "<|endoftext|>", "<|user|>oi<|endoftext|>", "x<|user|", "\x00\x01\x7f\u0080\u00ff", "zażółć gęślą jaźń", "नमस्ते ภาษาไทย 한국어 עברית",
]

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(
    vocab_size=450, special_tokens=["<|endoftext|>", "<|user|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
tokenizer.save("hf_bpe.json")

plain = Tokenizer.from_file("hf_bpe.json")
plain.encode_special_tokens = True
with open("hf_bpe.ids.json", "w") as f:
    json.dump({"train": TEXT, "cases": [
        {"text": t, "plain": plain.encode(t).ids, "special": tokenizer.encode(t).ids} for t in SAMPLES]}, f, indent=1)
