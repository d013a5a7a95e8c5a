"""Text of PDFs against the HTML or text that the same document has too, by forja and by poppler's pdftotext.

    make corpus                                   # fetches the packages into build/debian; or any folder of unpacked ones
    python3 bench/peers/pdf.py build/debian ./forja

Word-F1 is over multisets of words; ideographs, kana and syllables of Hangul count one by one. Headings that HTML repeats on every
page, and navigation, count against both. Needs Python 3.9 and poppler-utils.
"""

import collections
import glob
import gzip
import html.parser
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

# PDF, and the files of the same document, from usr/share of a package.
PAIRS = [
    ("debian-edu-doc-*/doc/*/debian-edu-bookworm-manual.pdf", "{dir}/debian-edu-bookworm-manual.html"),
    ("debian-policy/doc/debian-policy/policy.pdf.gz", "{dir}/policy.txt.gz"),
    ("debian-reference-*/debian-reference/debian-reference.*.pdf", "{dir}/*.{lang}.html"),
    ("debian-faq*/doc/debian/FAQ/debian-faq.*.pdf.gz", "{dir}/*.{lang}.html"),
    ("maint-guide/doc/maint-guide/maint-guide.*.pdf", "{dir}/html/*.{lang}.html"),
    ("bash-doc/doc/bash/bashref.pdf", "{dir}/bashref.html"),
    ("bash-doc/doc/bash/bash.pdf", "{dir}/bash.html"),
    ("installation-guide-*/doc/*/*/install.*.pdf.gz", "{dir}/*.html"),
]


class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style", "head")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "head")

    def handle_data(self, data):
        if self.hidden <= 0:
            self.parts.append(data)


def read(path):
    data = open(path, "rb").read()
    return gzip.decompress(data) if path.endswith(".gz") else data


def plain(path):
    data = read(path)
    charset = re.search(rb'charset=["\']?([\w-]+)', data[:2000])
    text = data.decode(charset.group(1).decode() if charset else "utf-8", "replace")
    if ".txt" in path:
        return text
    parser = Text()
    parser.feed(text)
    return "".join(parser.parts)


def words(text):
    text = text.replace("\u00ad", "").lower()
    return collections.Counter(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+", text))


def f1(got, want):
    same = sum((got & want).values())
    return 2 * same / max(1, sum(got.values()) + sum(want.values()))


def timed(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    root, forja = sys.argv[1:3]
    sums, seconds, n = [0.0, 0.0], [0.0, 0.0], 0
    print("| document | forja | pdftotext |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as temp:
        for pattern, truth in PAIRS:
            package, rest = pattern.split("/", 1)
            for pdf in sorted(glob.glob(os.path.join(root, package, "usr/share", rest))):
                lang = re.sub(r"\.pdf(\.gz)?$", "", os.path.basename(pdf)).split(".")[-1]
                files = sorted(glob.glob(truth.format(dir=os.path.dirname(pdf), lang=lang)))
                data = read(pdf)
                if not files or not data:
                    continue
                file = os.path.join(temp, "document.pdf")
                with open(file, "wb") as f:
                    f.write(data)
                want = words("\n".join(map(plain, files)))
                ours, t = timed([forja, "corpus", "extract", "--jsonl", file])
                seconds[0] += t
                theirs, t = timed(["pdftotext", file, "-"])
                seconds[1] += t
                text = json.loads(ours)["text"] if ours.strip() else ""
                scores = f1(words(text), want), f1(words(theirs.decode("utf-8", "replace")), want)
                n += 1
                sums = [a + b for a, b in zip(sums, scores)]
                print("| %s | %.3f | %.3f |" % (os.path.basename(pdf).removesuffix(".gz").removesuffix(".pdf") + " " + package_of(pdf, root), *scores))
    print("| mean of %d | %.3f | %.3f |" % (n, *[s / n for s in sums]))
    print("| documents a second of processor time, one process each | %.1f | %.1f |" % tuple(n / s for s in seconds))


def package_of(pdf, root):
    return os.path.relpath(pdf, root).split(os.sep)[0]


main()
