"""Drills reach nobody in earnest and mute no real alert, whatever is built."""

from __future__ import annotations

import pytest
from tests.support.plans import built, planned

from watchroom.formats import alertmanager, rulefile

SHAPES = [{}, {"interval": "1s", "for_": "5s"}, {"select": 'namespace="shop"'}]


@pytest.fixture(params=SHAPES, ids=str)
def files(request):
    return built(planned(**request.param))


def test_no_inhibition_begins_or_ends_with_a_drill(files):
    config = alertmanager.load(files["alertmanager.yml"], "alertmanager.yml")
    assert config.inhibit_rules
    for rule in config.inhibit_rules:
        assert 'job!~"drill-.+"' in rule.source_matchers
        assert 'job!~"drill-.+"' in rule.target_matchers


def test_drills_are_routed_before_all_others_and_no_further(files):
    first = alertmanager.load(files["alertmanager.yml"], "a").route.routes[0]
    assert (first.receiver, first.matchers) == ("drill", ['job=~"drill-.+"'])
    assert not first.continue_


def test_a_copy_is_its_rule_but_for_the_hold_and_who_may_fire_it(files):
    if "rules/drills.yml" not in files:
        pytest.skip("every rule fires within a minute")
    rules = {
        (rule.alert, rule.labels["severity"]): rule
        for group in rulefile.load(files["rules/watchroom.yml"], "r").groups
        for rule in group.rules
        if rule.alert
    }
    (group,) = rulefile.load(files["rules/drills.yml"], "d").groups
    assert len(group.rules) >= 5
    for copy in group.rules:
        rule = rules[copy.alert.removesuffix("Accelerated"), copy.labels["severity"]]
        expr, _, guard = copy.expr.rpartition(" and on (job) ")
        assert expr == f"({rule.expr})"
        assert 'job=~"drill-fast-.+"' in guard
        assert copy.labels == {**rule.labels, "drill": "accelerated"}
        assert copy.for_ != rule.for_
