"""Writes golden.json: what Python's Jinja2 (3.1.6) makes of the templates in cases.json.

The environment is the one that Hugging Face transformers renders chat templates in. Run: python3 render.py
"""
import datetime, json, pathlib
from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller):
        return "\ufdd0" + caller() + "\ufdd1"


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 3, 4, 5, 6, 7).strftime(f)
    return env


def main():
    here = pathlib.Path(__file__).parent
    cases = json.loads((here / "cases.json").read_text())
    for case in cases:
        try:
            case["want"] = environment().from_string(case["template"]).render(
                messages=case.get("messages", []), bos_token="<s>", eos_token="</s>",
                add_generation_prompt=case.get("prompt", False), **case.get("variables", {}))
        except TemplateError as e:
            case["error"] = str(e)
    (here / "golden.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
