"""Relabelling changes labels as Prometheus does."""

from __future__ import annotations

import pytest

from watchroom.errors import ConfigError
from watchroom.formats.relabel import RelabelConfig
from watchroom.monitor.scrape.relabel import compile_rules, relabel


def apply(labels, *configs):
    rules = compile_rules([RelabelConfig(**config) for config in configs])
    return relabel(labels, rules)


def test_replace_matches_the_whole_joined_value_and_refers_to_groups():
    config = {
        "source_labels": ["a", "b"],
        "regex": "(.*);x-(?P<rest>.*)",
        "target_label": "c",
        "replacement": "${rest}-$1-$$",
    }
    assert apply({"a": "1", "b": "x-2"}, config) == {"a": "1", "b": "x-2", "c": "2-1-$"}
    assert apply({"a": "1", "b": "yx-2"}, config) == {"a": "1", "b": "yx-2"}


def test_replace_with_nothing_removes_the_label():
    assert apply({"a": "1"}, {"target_label": "a", "replacement": ""}) == {}


def test_the_probe_recipe_moves_the_target_into_a_parameter():
    steps = (
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": "127.0.0.1:9000"},
    )
    assert apply({"__address__": "https://a.example/"}, *steps) == {
        "__address__": "127.0.0.1:9000",
        "__param_target": "https://a.example/",
        "instance": "https://a.example/",
    }


@pytest.mark.parametrize(
    ("action", "value", "kept"),
    [
        ("keep", "yes", True),
        ("keep", "no", False),
        ("drop", "yes", False),
        ("drop", "no", True),
    ],
)
def test_keep_and_drop_judge_the_whole_set(action, value, kept):
    config = {"source_labels": ["a"], "regex": "yes", "action": action}
    assert (apply({"a": value}, config) is not None) is kept


def test_label_actions_work_on_names():
    labels = {"__meta_zone": "z", "a": "1", "b": "2"}
    mapped = apply(labels, {"regex": "__meta_(.+)", "action": "labelmap"})
    assert mapped == {**labels, "zone": "z"}
    assert apply(labels, {"regex": "__.*|b", "action": "labeldrop"}) == {"a": "1"}
    assert apply(labels, {"regex": "a", "action": "labelkeep"}) == {"a": "1"}


def test_hashmod_agrees_with_prometheus():
    # Prometheus' own: the last eight bytes of the MD5, modulo.
    config = {
        "source_labels": ["a"],
        "target_label": "d",
        "action": "hashmod",
        "modulus": 1000,
    }
    assert apply({"a": "foo"}, config)["d"] == str(
        int("acbd18db4cc2f85cedef654fccc4a4d8"[16:], 16) % 1000
    )


def test_equal_and_case_actions():
    keep = {"source_labels": ["a"], "target_label": "b", "action": "keepequal"}
    assert apply({"a": "1", "b": "1"}, keep) is not None
    assert apply({"a": "1", "b": "2"}, keep) is None
    upper = {"source_labels": ["a"], "target_label": "a", "action": "uppercase"}
    assert apply({"a": "x"}, upper) == {"a": "X"}


def test_what_is_not_re2_is_refused():
    with pytest.raises(ConfigError, match="isn't a valid regular expression"):
        compile_rules([RelabelConfig(regex="(?<=x)y")])
