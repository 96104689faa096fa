"""The loaders take, refuse or name as not supported what today's servers take.

The corpus is of small files, good and bad; outcomes.json has what promtool and amtool
say of them (tests/support/corpus.py says which, and how to ask them again).
"""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from tests.support import corpus

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import alertmanager, contacts, prometheus, rulefile
from watchroom.formats.routes import compile_matchers, written
from watchroom.monitor.config import load

OUTCOMES = json.loads(corpus.OUTCOMES.read_text())
DOCUMENTS = corpus.documents()
KINDS = sorted({one.kind for one in DOCUMENTS})
NOT_SUPPORTED = set((corpus.HERE.parent / "not_supported.txt").read_text().splitlines())


def outcome(one, root):
    """Return what the monitor's loader says of a document, and its words."""
    files = {**corpus.LEAST, one.target: one.text}
    if one.target == "rules.yml":
        files["prometheus.yml"] = "rule_files: [rules.yml]"
    for name, text in files.items():
        (root / name).write_text(text)
    try:
        load(root)
    except NotSupportedError as error:
        return "not supported", error
    except ConfigError as error:
        return "refused", error
    return "accepted", None


def test_the_outcomes_are_of_this_corpus_and_of_todays_tools():
    assert OUTCOMES["corpus"] == corpus.digest(DOCUMENTS), "ask the tools again"
    assert OUTCOMES["versions"] == corpus.TODAY
    names = [(one.kind, one.name) for one in DOCUMENTS]
    assert len(set(names)) == len(names) >= 300


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_taken_as_the_servers_take_it(kind, tmp_path):
    refused = OUTCOMES["refused"].get(kind, {})
    wrong = []
    for one in (each for each in DOCUMENTS if each.kind == kind):
        ours, error = outcome(one, tmp_path)
        expected = "refused" if one.name in refused else "accepted"
        if f"{kind}: {one.name}" in NOT_SUPPORTED:
            expected = "not supported"
        if expected == "refused" and ours == "not supported":
            continue
        if ours != expected:
            wrong.append((one.name, ours, expected, str(error)))
        elif error is not None and not (
            error.file == str(tmp_path / one.target) and error.line
        ):
            wrong.append((one.name, "names no line", str(error)))
    assert not wrong


def test_what_is_not_supported_is_what_todays_servers_take():
    refused = {
        f"{kind}: {name}"
        for kind, names in OUTCOMES["refused"].items()
        for name in names
    }
    known = {f"{one.kind}: {one.name}" for one in DOCUMENTS}
    assert known - refused >= NOT_SUPPORTED


def test_matchers_mean_what_alertmanager_reads_in_them():
    read = {
        text: written(compile_matchers([text], "matchers"))
        for text in OUTCOMES["meanings"]
    }
    assert read == OUTCOMES["meanings"]


@pytest.mark.parametrize("tool", ["promtool", "amtool"])
def test_the_tools_of_this_machine_differ_only_where_it_is_known(tool, tmp_path):
    version = corpus.versions().get(tool)
    known = OUTCOMES["differences"].get(f"{tool} {version}")
    if known is None:
        pytest.skip(f"no outcomes of {tool} {version}")
    mine = [one for one in DOCUMENTS if corpus.tool_of(one) == tool]
    said = corpus.judged(mine, {tool: tool}, tmp_path)
    other = {
        (one.kind, one.name)
        for one in mine
        if bool(said[one.kind, one.name])
        is not (one.name in OUTCOMES["refused"].get(one.kind, {}))
    }
    assert other == {(kind, name) for kind, names in known.items() for name in names}


def _mutilated(text, chance):
    """Return `text` with a few pieces cut, doubled, swapped or replaced."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        to = min(len(text), at + chance.randint(0, 6))
        new = chance.choice(
            [
                *(
                    "",
                    "[",
                    "]",
                    "{",
                    "}",
                    ":",
                    ": ",
                    "- ",
                    "\n",
                    "&a ",
                    "*a",
                    "!!",
                    "|",
                ),
                *("'", '"', "null", "~", "0", "-1", "1e999", "9" * 40, "2026-99-99"),
                *("é", "\x00", "\u2028", "\ud800", "<<: ", "? ", "%", "{{", "}}", "\\"),
                text[at:to] * 2,
            ]
        )
        text = text[:at] + new + text[to:]
    return text


@pytest.mark.parametrize(
    ("target", "read"),
    [
        ("prometheus.yml", prometheus.load),
        ("rules.yml", rulefile.load),
        ("alertmanager.yml", alertmanager.load),
        ("alertmanager.yml", lambda text, file: contacts.load(text, file, ["a"])),
    ],
)
def test_no_damaged_file_ends_in_anything_but_a_clear_refusal(target, read):
    chance = random.Random(target)
    texts = [one.text for one in DOCUMENTS if one.target == target and one.text]
    for _ in range(700):
        text = _mutilated(chance.choice(texts), chance)
        with contextlib.suppress(ConfigError):
            read(text, target)
