"""The corpus of small files, and what promtool and amtool say of them.

Today's tools are built with

    go install github.com/prometheus/prometheus/cmd/promtool@v0.316.0
    go install github.com/prometheus/alertmanager/cmd/amtool@v0.31.1

and `python -m tests.support.corpus PROMTOOL AMTOOL` writes outcomes.json: what they
say, and where the tools on this machine's PATH say otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TODAY = {"promtool": "v0.316.0", "amtool": "v0.31.1"}
HERE = Path(__file__).parent.parent / "loaders" / "corpus"
OUTCOMES = HERE.parent / "outcomes.json"
ROUTING = "route: {receiver: a}\nreceivers: [{name: a}]\n"
LEAST = {
    "prometheus.yml": "",
    "alertmanager.yml": ROUTING,
    "rules.yml": "",
    "a.yml": "",
    "c": "",
}


class Document(NamedTuple):
    """One file of the corpus.

    Attributes:
        kind: Which file of the corpus holds it.
        name: What it is called there; of one line, that line.
        target: The file that it takes the place of.
        text: What it says.
    """

    kind: str
    name: str
    target: str
    text: str


def _rule(line, field):
    rule = {"alert": "a", "expr": "up", **({} if field is None else {field: line})}
    return json.dumps({"groups": [{"name": "g", "rules": [rule]}]})


# Of a kind of one line each: the file that the line is put into.
_LINES = {
    "matchers": (
        "alertmanager.yml",
        lambda line: (
            "receivers: [{name: a}]\nroute: {receiver: a, routes: [{matchers: ["
            + json.dumps(line)
            + "]}]}\n"
        ),
    ),
    "relabels": (
        "prometheus.yml",
        lambda line: (
            "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['h:1']}]\n"
            f"  relabel_configs:\n  - {line}\n"
        ),
    ),
    "durations": (
        "rules.yml",
        lambda line: (
            "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: up\n"
            f"    for: {line}\n"
        ),
    ),
    "expressions": ("rules.yml", lambda line: _rule(line, "expr")),
    "templates": ("rules.yml", lambda line: _rule({"a": line}, "annotations")),
}
_WHOLE = {
    "prometheus": "prometheus.yml",
    "rules": "rules.yml",
    "alertmanager": "alertmanager.yml",
}


def documents():
    """Return the whole corpus."""
    found = []
    for kind, (target, made) in _LINES.items():
        lines = (HERE / f"{kind}.txt").read_text().split("\n")[:-1]
        found += [Document(kind, line, target, made(line)) for line in lines]
    for kind, target in _WHOLE.items():
        parts = re.split(r"(?m)^=== (.*)\n", (HERE / f"{kind}.txt").read_text())
        pairs = zip(parts[1::2], parts[2::2], strict=True)
        found += [Document(kind, name, target, text) for name, text in pairs]
    return found


_COMMANDS = {
    "prometheus.yml": (
        "promtool",
        ["check", "config", "--syntax-only"],
        "Checking (.*)",
    ),
    "rules.yml": ("promtool", ["check", "rules", "--lint=none"], "Checking (.*)"),
    "alertmanager.yml": ("amtool", ["check-config"], "Checking '(.*?)' *"),
}


def judged(found, tools, directory):
    """Return what the tools say: (kind, name) → why it is refused, or "".

    One call for each kind of file; `tools` has the path of each tool.
    """
    said = {}
    for target, (tool, arguments, head) in _COMMANDS.items():
        ours = [one for one in found if one.target == target]
        if not ours:
            continue
        for number, one in enumerate(ours):
            (directory / f"{number}.{target}").write_text(one.text)
        names = [f"{number}.{target}" for number in range(len(ours))]
        words = _asked([tools[tool], *arguments], names, head, directory)
        for one, name in zip(ours, names, strict=True):
            said[one.kind, one.name] = _why(words[name].replace(name, "FILE"))
    return said


def _asked(command, names, head, directory):
    """Return the tool's words about each file; one that it dies of is the last."""
    words = {}
    while left := [name for name in names if name not in words]:
        done = subprocess.run(
            [*command, *left],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        parts = re.split(rf"(?m)^{head}", done.stdout)
        assert len(parts) > 1, done.stdout
        words |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return words


def _why(words):
    words = re.sub(r"(?m)^(time=|level=|ts=).*\n?", "", words)
    if "panic: " in words:
        return "panic"
    if "FAILED" not in words:
        assert "SUCCESS" in words, words
        return ""
    return " ".join(words.partition("FAILED")[2].lstrip(": ").split()) or "refused"


def digest(found):
    """Return what changes when a document does."""
    text = "\0".join("\0".join(one) for one in found)
    return hashlib.sha256(text.encode()).hexdigest()


def tool_of(one):
    """Return the tool that judges a document."""
    return _COMMANDS[one.target][0]


def versions():
    """Return tool → version, of those on this machine's PATH."""
    found = {}
    for tool in filter(shutil.which, TODAY):
        done = subprocess.run(
            [tool, "--version"], capture_output=True, text=True, check=True
        )
        words = re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)
        found[tool] = words[1] if words else "unknown"
    return found


def meanings(found, said, amtool, directory):
    """Return text → how amtool prints the matchers that it read in it."""
    good = [
        one.name
        for one in found
        if one.kind == "matchers" and not said[one.kind, one.name]
    ]
    receivers = ", ".join(f"{{name: r{i}}}" for i in range(len(good)))
    routes = ", ".join(
        f"{{receiver: r{i}, matchers: [{json.dumps(text)}]}}"
        for i, text in enumerate(good)
    )
    (directory / "all.yml").write_text(
        f"receivers: [{receivers}]\nroute: {{receiver: r0, routes: [{routes}]}}\n"
    )
    done = subprocess.run(
        [amtool, "config", "routes", "show", "--config.file=all.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if "receiver: r" in line][1:]
    printed = [re.sub(r"^\W*── |  receiver: r\d+$", "", line) for line in lines]
    return {
        text: "{}" if shown == "default-route" else shown
        for text, shown in zip(good, printed, strict=True)
    }


def _written(promtool, amtool):
    """Return what outcomes.json holds."""
    today = {"promtool": promtool, "amtool": amtool}
    for tool, path in today.items():
        asked = ["go", "version", "-m", path]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        assert TODAY[tool] in done.stdout, f"{path} is not {TODAY[tool]}"
    found = documents()
    with tempfile.TemporaryDirectory() as name:
        said = judged(found, today, Path(name))
        read = meanings(found, said, amtool, Path(name))
        known = versions()
        older = judged(found, {tool: tool for tool in known}, Path(name))
    differences = {}
    for one in found:
        why = older[one.kind, one.name]
        if bool(why) is not bool(said[one.kind, one.name]):
            tool = tool_of(one)
            at = differences.setdefault(f"{tool} {known[tool]}", {})
            at.setdefault(one.kind, {})[one.name] = why[:160]
    refused = {}
    for (kind, name), why in said.items():
        if why:
            refused.setdefault(kind, {})[name] = why[:160]
    return {
        "versions": TODAY,
        "corpus": digest(found),
        "refused": refused,
        "meanings": read,
        "differences": differences,
    }


if __name__ == "__main__":
    text = json.dumps(_written(*sys.argv[1:]), indent=1, ensure_ascii=False)
    OUTCOMES.write_text(text + "\n")
