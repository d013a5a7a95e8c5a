"""Puts forja's and the peers' lines of JSON side by side: one Markdown table on stdout, everything in one JSON file.

    python gpu_report.py FOLDER [--json OUT.json]

Reads FOLDER/*.jsonl, as gpu.sh leaves them. Of every figure the best of all rounds counts; a ratio above 1 is forja's.
Needs nothing but Python.
"""

import argparse
import json
import sys
from pathlib import Path


def lines(path):
    for text in path.read_text().splitlines():
        if text.startswith("{"):
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                print(f"gpu_report: {path}: not JSON: {text[:80]}", file=sys.stderr)


def key(line):
    """A figure's name, with the model where its name does not say it."""
    name, model = line["name"], line.get("model") or line.get("decode_model")
    return f"{name}/{model}" if model and not name.endswith(model) else name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write everything here")
    o = parser.parse_args()
    ours, theirs, missing, about = {}, {}, {}, []
    for path in sorted(o.folder.glob("*.jsonl")):
        for line in lines(path):
            if "rate" in line and "variant" in line:
                best = theirs.setdefault(key(line), {})
                best[line["variant"]] = max(best.get(line["variant"], 0), line["rate"])
            elif "rate" in line:
                if line["rate"] > ours.get(key(line), {"rate": 0})["rate"]:
                    ours[key(line)] = line
            elif "missing" in line and "variant" in line:
                missing.setdefault(key(line), {})[line["variant"]] = line["missing"]
            elif line not in about:
                about.append(line)
    units = {name: line["unit"] for name, line in ours.items()}
    print("| what | forja | peer | ratio |\n|---|---:|---:|---:|")
    for name, line in ours.items():
        rivals = theirs.get(name, {})
        scale, unit = (1e3, "T" + units[name][1:]) if units[name] == "GFLOP/s" else (1, units[name])
        if not rivals:
            print(f"| {name} | {line['rate'] / scale:,.1f} {unit} | – | – |")
        for variant, rate in sorted(rivals.items(), key=lambda item: -item[1]):
            print(f"| {name} | {line['rate'] / scale:,.1f} {unit} | {rate / scale:,.1f} {variant} | {line['rate'] / rate:.2f} |")
    for name, why in missing.items():
        for variant, problem in why.items():
            print(f"\n{name}: {variant} did not run: {problem}")
    if o.json:
        o.json.write_text(json.dumps({"about": about, "forja": ours, "peers": theirs, "missing": missing}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
