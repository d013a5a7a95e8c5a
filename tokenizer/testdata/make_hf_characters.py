"""Prints SHA-256 sums of what Hugging Face tokenizers makes of every character, for the tests of normalize and pretokenize.

    pip install tokenizers && python make_hf_characters.py
"""

import hashlib

from tokenizers import __version__, normalizers as N, pre_tokenizers as P

# All planes that hold characters, and a few of the others.
CHARACTERS = [c for c in range(0x32000) if not 0xD800 <= c < 0xE000] + list(range(0xE0000, 0xE0200)) + [0xF0000, 0xFFFFD, 0xFFFFF, 0x10FFFD, 0x10FFFF]
print("tokenizers", __version__)
for name, n in {"Lowercase": N.Lowercase(), "NFD": N.NFD(), "NFC": N.NFC(), "NFKD": N.NFKD(), "NFKC": N.NFKC(), "Nmt": N.Nmt(),
                "StripAccents": N.StripAccents(), "Strip": N.Strip(), "Bert": N.BertNormalizer(), "Bert cased": N.BertNormalizer(lowercase=False),
                "Bert accents": N.BertNormalizer(False, False, True, False), "ByteLevel": N.ByteLevel()}.items():
    h = hashlib.sha256()
    for c in CHARACTERS:
        s = n.normalize_str(chr(c))
        if s != chr(c):
            h.update(f"{c:x} {s}\n".encode())
    print(name, h.hexdigest())
for name, p in {"Bert": P.BertPreTokenizer(), "Punctuation": P.Punctuation(), "Digits": P.Digits(False), "Digits individual": P.Digits(True),
                "Whitespace": P.Whitespace(), "WhitespaceSplit": P.WhitespaceSplit(), "Metaspace": P.Metaspace(), "ByteLevel": P.ByteLevel()}.items():
    h = hashlib.sha256()
    for c in CHARACTERS:
        pieces = [s for s, _ in p.pre_tokenize_str("a" + chr(c) + "b1")]
        h.update(f"{c:x} {'|'.join(pieces)}\n".encode())
    print("pre", name, h.hexdigest())
