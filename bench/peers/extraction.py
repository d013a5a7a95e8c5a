"""Pages of independent sets with the text that each should give: gather them from registries, score extractors, compare two.

    python extraction.py gather SETS                       # with `go` and `pip` on the path
    python extraction.py score SETS FORJA.jsonl PEER.jsonl # word-F1 of each set, by kind; predictions are {"id", "text"}
    python extraction.py compare SETS OLD.jsonl NEW.jsonl  # mean difference per set with a bootstrap interval
    python extraction.py worst SETS NEW.jsonl -n 30        # the pages with the lowest scores
    python extraction.py disguise SETS OUT                 # copies of the pages whose names and elements tell nothing
    python extraction.py pages SETS                        # the pages' files, one a line, for an extractor's arguments

Word-F1 is the overlap of two texts as bags of words. trafilatura's set has no texts but segments that must and must not be in
the result; a page's score is the F1 of those.
--wcxb DIR adds the folder of WCXB pages of the shared data, --half seen|unseen takes half of each set by a hash of the host.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import zlib
from html.parser import HTMLParser

MODULES = {
    "trafilatura": "github.com/markusmobius/go-trafilatura@v1.12.2",
    "readability": "codeberg.org/readeck/go-readability/v2@v2.1.3",
}
SDISTS = {"newspaper4k": "newspaper4k==0.9.6", "domdown": "domdown==0.3.6"}
WORD = re.compile(r"\w+")


class Text(HTMLParser):
    """All text of an expected document, which has no boilerplate."""

    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    def handle_starttag(self, tag, attrs):
        if tag not in ("a", "b", "i", "em", "strong", "span", "code", "sup", "sub", "font", "mark", "u", "abbr", "small"):
            self.parts.append(" ")


def text_of(html):
    p = Text()
    p.feed(html)
    p.close()
    return "".join(p.parts)


def host_of(page, fallback=""):
    """The host that a page names as its own, to keep pages of a site in one half."""
    for pattern in (rb'rel="?canonical"?[^>]*?href="([^"]+)"', rb'og:url"[^>]*?content="([^"]+)"'):
        if m := re.search(pattern, page):
            host = urllib.parse.urlsplit(m.group(1).decode("utf-8", "replace")).hostname
            if host:
                return host.removeprefix("www.")
    return fallback


def module(name):
    out = subprocess.run(["go", "mod", "download", "-json", name], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir())
    return pathlib.Path(json.loads(out.stdout)["Dir"])


def sdist(name):
    into = pathlib.Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name.split("==")[0], "-d", into, name], check=True)
    with tarfile.open(next(into.glob("*.tar.gz"))) as t:
        t.extractall(into, filter="data")
    return next(p for p in into.iterdir() if p.is_dir())


def go_strings(source):
    return [json.loads(s) if "\\x" not in s else s[1:-1] for s in re.findall(r'"(?:[^"\\]|\\.)*"', source)]


def gather(sets):
    def add(rows, name, key, page, **truth):
        into = sets / name / "pages"
        into.mkdir(parents=True, exist_ok=True)
        key = re.sub(r"[^\w.-]", "_", key)[:120]
        (into / (key + ".html")).write_bytes(page)
        rows.append({"id": f"{name}/pages/{key}.html", **truth})

    def close(rows, name):
        with open(sets / name / "truth.jsonl", "w", encoding="utf-8") as f:
            for r in sorted(rows, key=lambda r: r["id"]):
                f.write(json.dumps(r, ensure_ascii=False) + "\n")
        print(name, len(rows))

    rows, at = [], module(MODULES["trafilatura"])
    source = (at / "scripts/comparison/data.go").read_text()
    for m in re.finditer(r'\n\t"((?:[^"\\]|\\.)+)": \{\n(.*?)\n\t\},', source, re.S):
        url, body = m.groups()
        field = dict(re.findall(r"(\w+):\s*(.+?),?(?=\n|$)", body))
        file = go_strings(field["File"])[0]
        with_, without = go_strings(field.get("With", "")), go_strings(field.get("Without", ""))
        for folder in ("comparison", "mock", "simple"):
            if (at / "test-files" / folder / file).exists():
                host = (urllib.parse.urlsplit(url).hostname or file).removeprefix("www.")
                add(rows, "trafilatura", file.removesuffix(".html"), (at / "test-files" / folder / file).read_bytes(), host=host,
                    **{"kind": "segments", "with": with_, "without": without})
                break
    close(rows, "trafilatura")

    rows, at = [], module(MODULES["readability"])
    for d in sorted((at / "test-pages").iterdir()):
        if (d / "expected.html").exists():
            page = (d / "source.html").read_bytes()
            add(rows, "readability", d.name, page, host=host_of(page, d.name), kind="article",
                text=text_of((d / "expected.html").read_text(encoding="utf-8")))
    close(rows, "readability")

    rows, at = [], sdist(SDISTS["newspaper4k"]) / "tests/data"
    for f in sorted((at / "txt").glob("*.txt")):
        page = at / "html" / (f.stem + ".html")
        if page.exists() and "summary" not in f.name:
            raw = page.read_bytes()
            add(rows, "newspaper4k", f.stem, raw, host=host_of(raw, f.stem), kind="article", text=f.read_text(encoding="utf-8"))
    close(rows, "newspaper4k")

    rows, at = [], sdist(SDISTS["domdown"]) / "tests/real"
    for f in sorted((at / "raw").glob("*.md")):
        page = at / "html" / (f.stem + ".html")
        if page.exists():
            raw, text = page.read_bytes(), f.read_text(encoding="utf-8")
            text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
            text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
            add(rows, "domdown", f.stem, raw, host=host_of(raw, f.stem), kind="article", text=text)
    close(rows, "domdown")


NAMES = re.compile(r"""(\s(?:class|id|data-testid|itemprop)\s*=\s*)(["'])(.*?)\2""", re.I | re.S)
MEANING = re.compile(r"<(/?)(article|main|section|nav|header|footer|aside|figure|figcaption|time)\b(?!-)([^>]*)>", re.I)
ROLE = re.compile(r"""\srole=("[^"]*"|'[^']*'|[^\s>]*)""", re.I)


def disguise(page):
    """As CSS modules and unthinking templates make pages: names are hashes, and what has a meaning in HTML is a div."""
    try:
        text, encoding = page.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = page.decode("latin-1"), "latin-1"
    parts = re.split(r"(<(?:script|style)\b.*?</(?:script|style)>)", text, flags=re.I | re.S)
    for i in range(0, len(parts), 2):
        def hashed(m):
            return m[1] + m[2] + " ".join(f"x{zlib.crc32(w.encode()):08x}" for w in m[3].split()) + m[2]

        def plain(m):
            name = "span" if m[2].lower() == "time" else "div"
            return f"<{m[1]}{name}{'' if m[1] else ROLE.sub('', m[3])}>"

        part = re.sub(r"<[a-zA-Z][^<>]*>", lambda m: NAMES.sub(hashed, m[0]), parts[i], flags=re.S)
        parts[i] = MEANING.sub(plain, part)
    return "".join(parts).encode(encoding)


def load(sets, wcxb, half):
    truth = {}
    for f in sorted(sets.glob("*/truth.jsonl")):
        for line in open(f, encoding="utf-8"):
            r = json.loads(line)
            truth[r["id"]] = {**r, "set": f.parent.name, "file": str(sets / r["id"])}
    if wcxb:
        with gzip.open(wcxb / "truth.jsonl.gz", "rt", encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                host = (urllib.parse.urlsplit(r["url"]).hostname or "").removeprefix("www.")
                r = {"id": f"wcxb/{r['id']}", "host": host, "kind": r["type"], "text": r["text"], "set": "wcxb",
                     "file": str(wcxb / "pages" / (r["id"] + ".html.gz"))}
                truth[r["id"]] = r
    if half:
        truth = {k: r for k, r in truth.items() if (zlib.crc32(r["host"].encode()) % 2 == 0) == (half == "seen")}
    return truth


def word_f1(got, want):
    a, b = (collections.Counter(WORD.findall(s.lower())) for s in (got, want))
    both = sum(min(n, b[w]) for w, n in a.items())
    if not both:
        return float(not a and not b)
    return 2 * both / (a.total() + b.total())


def page_score(r, got):
    if "text" in r:
        return word_f1(got, r["text"])
    found, kept = segments(r, got)
    return 2 * found / max(found + len(r["with"]) + kept, 1)


def segments(r, got):
    """How many of the segments that a text must have, and of those that it must not have, are in it. White space is one."""
    got = " ".join(got.split())
    return (sum(" ".join(s.split()) in got for s in r[k]) for k in ("with", "without"))


def predictions(file, truth):
    by_file = {os.path.basename(r["file"]): k for k, r in truth.items()}
    out = {}
    for line in open(file, encoding="utf-8"):
        r = json.loads(line)
        if (k := by_file.get(os.path.basename(r["id"]))) is not None:
            out[k] = r.get("text") or ""
    return out


def scores(file, truth):
    got = predictions(file, truth)
    return {k: page_score(r, got.get(k, "")) for k, r in truth.items()}


def official(truth, got):
    """trafilatura's own F: segments over all pages, not a mean over pages."""
    tp = fp = fn = 0
    for k, r in truth.items():
        if "with" in r:
            found, kept = segments(r, got.get(k, ""))
            tp, fn, fp = tp + found, fn + len(r["with"]) - found, fp + kept
    return 2 * tp / max(2 * tp + fp + fn, 1)


def groups(truth):
    g = collections.defaultdict(list)
    for k, r in truth.items():
        g[r["set"]].append(k)
        if r["set"] == "wcxb":
            g[r["set"] + " " + r["kind"]].append(k)
    return dict(sorted(g.items()))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["gather", "score", "compare", "pages", "worst", "disguise"])
    ap.add_argument("sets", type=pathlib.Path)
    ap.add_argument("predictions", nargs="*")
    ap.add_argument("--wcxb", type=pathlib.Path)
    ap.add_argument("--half", choices=["seen", "unseen"])
    ap.add_argument("-n", type=int, default=30)
    ap.add_argument("--set")
    a = ap.parse_args()
    if a.what == "gather":
        return gather(a.sets)
    truth = load(a.sets, a.wcxb, a.half)
    if a.what == "disguise":
        out = pathlib.Path(a.predictions[0])
        out.mkdir(parents=True, exist_ok=True)
        for r in truth.values():
            pack = r["file"].endswith(".gz")
            page = disguise((gzip.open if pack else open)(r["file"], "rb").read())
            (out / os.path.basename(r["file"])).write_bytes(gzip.compress(page, 1) if pack else page)
        return
    if a.what == "pages":
        return print("\n".join(r["file"] for r in truth.values()))
    if a.what == "worst":
        s = scores(a.predictions[0], truth)
        for k in sorted(s, key=s.get):
            if not a.set or (truth[k]["set"] + " " + truth[k]["kind"]).startswith(a.set):
                print(f"{s[k]:.3f} {truth[k]['kind']:<13} {k} {truth[k]['host']}")
                a.n -= 1
                if not a.n:
                    break
        return
    by = [scores(f, truth) for f in a.predictions]
    width = max(len(os.path.basename(f)) for f in a.predictions) + 2
    print(f"{'':<24}{'pages':>6}" + "".join(f"{os.path.basename(f).removesuffix('.jsonl'):>{width}}" for f in a.predictions))
    for name, keys in groups(truth).items():
        line = f"{name:<24}{len(keys):>6}" + "".join(f"{sum(s[k] for k in keys) / len(keys):>{width}.4f}" for s in by)
        if a.what == "compare":
            d = [by[1][k] - by[0][k] for k in keys]
            rng = random.Random(1)
            means = sorted(sum(rng.choices(d, k=len(d))) / len(d) for _ in range(1000))
            line += f"  {sum(d) / len(d):+.4f} [{means[25]:+.4f} {means[974]:+.4f}]  {sum(x > .01 for x in d)} better, {sum(x < -.01 for x in d)} worse"
        print(line)
    if any("with" in r for r in truth.values()):
        print(f"{'trafilatura, segments':<30}" + "".join(f"{official(truth, predictions(f, truth)):>{width}.4f}" for f in a.predictions))


if __name__ == "__main__":
    main()
