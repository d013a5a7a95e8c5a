"""Writes hf_parts.json.gz: small tokenizers of every kind of part, with what Hugging Face tokenizers makes of texts.

    pip install tokenizers sentencepiece && python make_hf_parts.py ../../../shared/data/vocab
"""

import base64
import gzip
import json
import sys

from tokenizers import AddedToken, Regex, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers, processors, trainers

TRAIN = ["The quick brown fox jumps over the lazy dog. It's 1234 o'clock!", "não é açúcar, café à noite — œuvre",
         "Привет, мир! Как дела?", "今日は世界、漢字 中文字符", "नमस्ते दुनिया", "def f(x):\n    return x**2 + 10\n", "the theme of the thesis the the"] * 3
TEXTS = ["", " ", "  ", "a", "The quick brown fox", " leading and trailing  ", "two  blanks   and\ttab\n\nlines\r\n", "It's O'CLOCK don't we'll",
         "Café ÀÉÎ Œuvre ǅ İstanbul ΣΑΣ ß", "e\u0301 n\u0303 o\u0308\u0323 \ufb01 \u2460 \u00bd ½", "Привет, МИР", "今日は世界、漢字ひらがなカタカナ", "नमस्ते क्षि",
         "12345 6.78 ٣٤٥ ²³ Ⅷ", "!!! ... ?! (a) [b] {c} $5 <d> `e` ~f ^g |h", "a\u00a0b\u3000c\u200bd\ufeffe\u2028f\u0085g", "x\x00y\x07z\x7f\ufffd", "😀 👩‍👩‍👧 🇩🇪 ❤️",
         "한국어 각 \u1100\u1161\u11a8", "a▁b ▁c __d", "<unk> <s> </s> [CLS] [SEP] [MASK] <tool>", "pre<s>post </s>  x<tool> y", "def f(x):\n\treturn x**2", "the" * 30, "aaaaaaaaaaaaaaaaaaaaaaaa",
         "supercalifragilistic " * 3, "\U0001d54f\U0001d550 \ufdfa", "ab\u0301\u0302\u0303" + "\u0300\u0316" * 20 + "c", "zażółć gęślą jaźń", "ქართული Հայերեն עברית العربية ไทย"]


def bpe(trainer_args=None, **kw):
    t = Tokenizer(models.BPE(**kw))
    return t, trainers.BpeTrainer(vocab_size=400, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], **(trainer_args or {}))


def wordpiece(**kw):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", **kw))
    return t, trainers.WordPieceTrainer(vocab_size=300, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])


def unigram(**kw):
    t = Tokenizer(models.Unigram())
    return t, trainers.UnigramTrainer(vocab_size=300, show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", **kw)


def with_bytes(t):
    """Adds the byte pieces to a trained vocabulary and turns byte fallback on."""
    f = json.loads(t.to_str())
    m = f["model"]
    for i in range(256):
        piece = f"<0x{i:02X}>"
        if m["type"] == "BPE":
            m["vocab"][piece] = len(m["vocab"])
        else:
            m["vocab"].append([piece, -20.0])
    m["byte_fallback"] = True
    if m["type"] == "BPE":
        m["fuse_unk"] = True
        m["unk_token"] = "<unk>"
    return Tokenizer.from_str(json.dumps(f))


def charsmap(path):
    import sentencepiece.sentencepiece_model_pb2 as pb
    m = pb.ModelProto()
    m.ParseFromString(open(path, "rb").read())
    return m.normalizer_spec.precompiled_charsmap


def build(vocab):
    P, N, D = pre_tokenizers, normalizers, decoders
    cm = charsmap(vocab + "/spm_unigram_8k.model")
    gpt4o = r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    alphabet = {"initial_alphabet": P.ByteLevel.alphabet()}

    def make(name, pair, norm=None, pre=None, dec=None, post=None, added=(), finish=None):
        t, trainer = pair
        if norm is not None:
            t.normalizer = norm
        if pre is not None:
            t.pre_tokenizer = pre
        t.train_from_iterator(TRAIN, trainer)
        if finish:
            t = finish(t)
        if dec is not None:
            t.decoder = dec
        if post is not None:
            t.post_processor = post
        if added:
            t.add_tokens(list(added))
        return name, t

    yield make("byte-level with prefix space", bpe(alphabet), pre=P.ByteLevel(add_prefix_space=True), dec=D.ByteLevel())
    yield make("digits before byte-level", bpe(alphabet), pre=P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)]), dec=D.ByteLevel())
    yield make("three splits", bpe(alphabet), pre=P.Sequence([P.Split(Regex(r"\p{N}{1,3}"), "isolated"), P.Split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
                                                             P.Split(Regex(gpt4o), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), dec=D.ByteLevel())
    yield make("unknown expression", bpe(alphabet), pre=P.Sequence([P.Split(Regex(r"\s?\w+|\d|[^\s\w]+(?=\s)|\s+"), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), dec=D.ByteLevel())
    yield make("lower case and byte-level", bpe(alphabet), norm=N.Sequence([N.NFKC(), N.Lowercase()]), pre=P.ByteLevel(add_prefix_space=False), dec=D.ByteLevel())
    yield make("byte-level with nfc", bpe(alphabet), norm=N.NFC(), pre=P.ByteLevel(add_prefix_space=False), dec=D.ByteLevel())
    yield make("byte-level normalizer", bpe(alphabet), norm=N.ByteLevel(), pre=P.Split(Regex(r"Ġ?[^Ġ]+|Ġ"), "isolated"), dec=D.ByteLevel())
    llama = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    yield make("llama", bpe(unk_token="<unk>", fuse_unk=True), norm=N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), dec=llama, finish=with_bytes,
               post=processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]))
    yield make("llama with metaspace first", bpe(unk_token="<unk>", fuse_unk=True), pre=P.Metaspace(prepend_scheme="first", split=False), dec=llama, finish=with_bytes)
    yield make("gemma", bpe(unk_token="<unk>", fuse_unk=True), norm=N.Replace(" ", "▁"), pre=P.Split(" ", "merged_with_previous"),
               dec=D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]), finish=with_bytes)
    yield make("bpe unknown fused", bpe(unk_token="<unk>", fuse_unk=True), pre=P.WhitespaceSplit())
    yield make("bpe unknown apart", bpe(unk_token="<unk>"), pre=P.Whitespace())
    yield make("bpe unknown dropped", bpe(), pre=P.Whitespace())
    yield make("bpe with suffix", bpe({"end_of_word_suffix": "</w>"}, unk_token="<unk>", end_of_word_suffix="</w>"), norm=N.Lowercase(), pre=P.BertPreTokenizer(), dec=D.BPEDecoder())
    yield make("bpe with prefix", bpe({"continuing_subword_prefix": "##"}, unk_token="<unk>", continuing_subword_prefix="##"), pre=P.BertPreTokenizer(), dec=D.WordPiece())
    yield make("ignore merges", bpe(unk_token="<unk>", ignore_merges=True), pre=P.Whitespace())
    bert = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    yield make("bert uncased", wordpiece(), norm=N.BertNormalizer(), pre=P.BertPreTokenizer(), dec=D.WordPiece(), post=bert)
    yield make("bert cased", wordpiece(), norm=N.BertNormalizer(lowercase=False), pre=P.BertPreTokenizer(), dec=D.WordPiece(cleanup=False), post=bert)
    yield make("bert without cleaning", wordpiece(max_input_chars_per_word=8), norm=N.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False), pre=P.Sequence([P.WhitespaceSplit(), P.Punctuation("contiguous")]))
    meta = P.Metaspace()
    yield make("t5", unigram(), norm=N.Sequence([N.Precompiled(cm), N.Replace(Regex(" {2,}"), " ")]), pre=P.Sequence([P.WhitespaceSplit(), meta]), dec=D.Metaspace(),
               post=processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]))
    yield make("unigram with bytes", unigram(), norm=N.Sequence([N.Nmt(), N.NFKC()]), pre=P.Metaspace(prepend_scheme="never"), dec=D.Sequence([D.ByteFallback(), D.Metaspace(prepend_scheme="never")]), finish=with_bytes)
    yield make("strip and accents", unigram(), norm=N.Sequence([N.NFD(), N.StripAccents(), N.Strip(), N.Lowercase()]), pre=P.Sequence([P.Digits(), P.Punctuation("removed"), meta]), dec=D.Metaspace())
    yield make("nfkd", unigram(), norm=N.Sequence([N.NFKD(), N.Strip(True, False)]), pre=P.CharDelimiterSplit(" "))
    yield make("roberta post", bpe(alphabet), pre=P.ByteLevel(add_prefix_space=False), dec=D.ByteLevel(), post=processors.RobertaProcessing(("</s>", 2), ("<s>", 1)))
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            yield make(f"split {behavior} {invert}", bpe(unk_token="<unk>"), pre=P.Split(Regex(r"[aeiou .]"), behavior, invert))
        yield make(f"punctuation {behavior}", bpe(unk_token="<unk>"), pre=P.Punctuation(behavior))
    added = [AddedToken("<tool>", special=False, normalized=True), AddedToken("thesis", single_word=True, normalized=False),
             AddedToken("[MASK]", lstrip=True, special=True), AddedToken("Café", normalized=True, rstrip=True)]
    yield make("llama with added tokens", bpe(unk_token="<unk>", fuse_unk=True), norm=N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), dec=llama, finish=with_bytes, added=added)
    yield make("first metaspace with added tokens", unigram(), pre=P.Metaspace(prepend_scheme="first"), dec=D.Metaspace(prepend_scheme="first"), added=added)
    yield make("lower case with added tokens", wordpiece(), norm=N.BertNormalizer(), pre=P.BertPreTokenizer(), dec=D.WordPiece(), added=added)


def main():
    out = []
    for name, t in build(sys.argv[1]):
        file = json.loads(t.to_str())
        bare = dict(file, added_tokens=[], post_processor=None)
        bare = Tokenizer.from_str(json.dumps(bare))
        cases = []
        for text in TEXTS:
            plain = bare.encode(text, add_special_tokens=False)
            whole = t.encode(text, add_special_tokens=False)
            framed = t.encode(text)
            pair = t.encode(text, "the fox")
            cases.append({"text": text, "plain": plain.ids, "offsets": [len(text[:b].encode()) for a in plain.offsets for b in a],
                          "special": whole.ids, "framed": framed.ids, "pair": pair.ids, "types": pair.type_ids,
                          "decoded": bare.decode(plain.ids, skip_special_tokens=False)})
        out.append({"name": name, "file": json.dumps(file, ensure_ascii=False), "cases": cases})
    with open("hf_parts.json.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
        f.write(json.dumps({"tokenizers": __version__, "files": out}, ensure_ascii=False).encode())
    print(len(out), "tokenizers,", sum(len(o["cases"]) for o in out), "cases")


if __name__ == "__main__":
    main()
