"""No file, however made, ends a command in a traceback, a hang or a dead process."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time

import pytest
from tests.support import corpus

from watchroom import cli
from watchroom.errors import ConfigError
from watchroom.formats import (
    alertmanager,
    caps,
    contacts,
    grafana,
    grafana_import,
    manifest,
    prometheus,
    rulefile,
    yamlfile,
)
from watchroom.formats.reading import text_of
from watchroom.monitor.config import load
from watchroom.monitor.scrape.discovery import _decode
from watchroom.monitor.templates import Template, TemplateSyntaxError

DEEP = 50_000
BOMB = "\n".join(
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]",
        *(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]"
            for a, b in zip("abcdefg", "bcdefgh", strict=True)
        ),
    ]
)
HOSTILE = {
    "brackets": "[" * DEEP,
    "brackets that close": "[" * DEEP + "]" * DEEP,
    "mappings": '{"a":' * DEEP + "1" + "}" * DEEP,
    "block lists": "- " * DEEP + "x",
    "block mappings": "\n".join(" " * i + "a:" for i in range(400)),
    "keys of keys": "? " * DEEP + "x",
    "aliases that repeat": BOMB,
    "an alias of itself": "a: &a [*a]",
    "an alias of itself as a key": "&a ? *a : x",
    "aliases that nest": "a: &a [x]\n"
    + "\n".join(
        f"k{i}: &k{i} [*{'a' if i == 0 else f'k{i - 1}'}]" for i in range(2000)
    ),
    "a merge of itself": "a: &a {<<: *a}",
    "a long number": "a: " + "9" * 20_000,
    "a long text without an end": 'a: "' + "x" * 100_000,
    "many anchors": "\n".join(f"- &a{i} x" for i in range(5_000)),
    "more than the limit": "#" * (caps.MOST_BYTES + 1),
}
READERS = {
    "prometheus.yml": prometheus.load,
    "rules": rulefile.load,
    "alertmanager.yml": alertmanager.load,
    "contacts.yml": lambda text, file: contacts.load(text, file, []),
    "watchroom.json": manifest.load,
    "grafana": grafana.load,
    "grafana of the team": grafana_import.read,
    "plain": yamlfile.parse,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_text_is_refused_at_once_by_every_reader(what):
    for name, read in READERS.items():
        if what in {"a long number", "many anchors"} and name == "plain":
            continue  # nothing is wrong with it
        begun = time.thread_time()
        with pytest.raises(ConfigError) as caught:
            read(HOSTILE[what], name)
        assert caught.value.file == name
        assert time.thread_time() - begun < 2.0, name


@pytest.mark.parametrize("text", ["[" * DEEP, '[{"targets":' * DEEP, '{"a": [5' * DEEP])
def test_a_hostile_target_list_is_refused(text):
    with pytest.raises(ConfigError, match="levels"):
        _decode(text, ())


@pytest.mark.parametrize(
    "text",
    [
        "{{ if true }}" * 2000 + "{{ end }}" * 2000,
        "{{ if true }}" + "{{ else if true }}" * 2000 + "{{ end }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        r'{{ "\U99999999" }}',
    ],
)
def test_a_hostile_template_is_refused(text):
    with pytest.raises(TemplateSyntaxError):
        Template(text, "t")


@pytest.mark.parametrize("depth", [1, caps.MOST_LEVELS])
def test_what_keeps_the_limits_is_read(depth):
    text = "[" * depth + "]" * depth
    caps.json_within(text, "f")
    assert yamlfile.parse(text, "f")[0] == json.loads(text)
    with pytest.raises(ConfigError, match="more than 100 levels"):
        caps.json_within(f"[{'[' * caps.MOST_LEVELS}", "f")


def test_brackets_within_texts_are_not_levels():
    caps.json_within(json.dumps({"a": "[" * 1000, 'b\\"': '{"' * 1000}), "f")


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match="isn't a file"):
        text_of(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="isn't a file"):
        text_of(tmp_path)
    with pytest.raises(ConfigError) as caught:
        text_of(tmp_path / "latin")
    assert str(caught.value) == f"{tmp_path / 'latin'}:2: isn't UTF-8 text"


@pytest.fixture
def built(tmp_path):
    """A directory that `watchroom run` would take."""
    for name, text in corpus.LEAST.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "prometheus.yml").write_text("rule_files: [rules.yml]")
    (tmp_path / "local" / "grafana").mkdir(parents=True)
    load(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "content", [b"[" * DEEP, b"\xff\xfe", b"", b"5", b'{"panels": 5}']
)
def test_a_dashboard_of_the_team_stops_nothing(built, content):
    (built / "local" / "grafana" / "x.json").write_bytes(content)
    loaded = load(built)
    (why,) = loaded.refused_dashboards
    assert "local/grafana/x.json" in why


def test_no_damaged_dashboard_stops_anything(built):
    chance = random.Random(7)
    board = {
        "uid": "u",
        "title": "t",
        "templating": {"list": [{"name": "v", "type": "custom", "query": "a,b"}]},
        "panels": [
            {
                "id": 1,
                "type": "stat",
                "gridPos": {"h": 1, "w": 1, "x": 0, "y": 0},
                "targets": [{"refId": "A", "expr": "up"}],
                "fieldConfig": {
                    "defaults": {"thresholds": {"steps": [{"color": "r"}]}}
                },
            },
            {"id": 2, "type": "row", "panels": [{"id": 3, "type": "text"}]},
        ],
    }
    odd = [None, 5, "x", [], {}, [5], [None], {"a": 1}, True, 1e308, [[[]]]]
    path = built / "local" / "grafana" / "x.json"
    for _ in range(300):
        made = json.loads(json.dumps(board))
        at, steps = made, chance.randint(1, 5)
        for step in range(steps):
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = chance.choice(keys)
            if step == steps - 1 or not isinstance(at[key], (dict, list)):
                at[key] = chance.choice(odd)
                break
            at = at[key]
        path.write_text(json.dumps(made))
        load(built)


COMMANDS = {
    "run": ["run", "{}"],
    "drill": ["drill", "--dir", "{}", "--all"],
    "check": ["check", "{}"],
    "build": ["build", "{}", "--check"],
    "reload": ["reload", "{}"],
}
SPOILT = {
    "run": ["prometheus.yml", "rules.yml", "alertmanager.yml", "watchroom.json"],
    "drill": ["watchroom.json"],
    "check": ["watchroom.json"],
    "build": ["watchroom.json"],
    "reload": ["watchroom.json"],
}


@pytest.mark.parametrize(
    ("command", "file"),
    [(one, file) for one, files in SPOILT.items() for file in files],
)
@pytest.mark.parametrize("content", [b"[" * DEEP, b"\xff", b"a: &a [*a]", b"{}}"])
def test_a_command_ends_with_2_and_one_line_about_the_file(
    command, file, content, built, monkeypatch, capsys
):
    (built / file).write_bytes(content)
    monkeypatch.chdir(built)
    words = [word.format(built) for word in COMMANDS[command]]
    monkeypatch.setattr("sys.argv", ["watchroom", *words])  # the process is ours
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("watchroom: "), said
    assert str(built / file) in said
    assert "Traceback" not in said


def test_an_expression_too_deep_for_its_parser_is_refused_with_its_line():
    deep = json.dumps(
        {"groups": [{"name": "g", "rules": [{"record": "a", "expr": "(" * 9000}]}]}
    )
    with pytest.raises(ConfigError) as caught:
        rulefile.load(deep, "r.yml")
    assert caught.value.line == 1


def test_mutilated_json_of_a_build_is_refused():
    chance = random.Random(3)
    whole = json.dumps({"format": 1, "version": "0", "project": "p", "vitals": [{}]})
    for _ in range(300):
        at = chance.randrange(len(whole))
        piece = chance.choice(["[", "{", '"', ":", "null", "1e999", "\\", ""])
        with contextlib.suppress(ConfigError):
            manifest.load(whole[:at] + piece + whole[at + 1 :], "watchroom.json")
