"""What follows from what: named at the vital, closed, and made into inhibitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import planned

from watchroom.catalogue.standard import VITALS
from watchroom.derive import causes, rules
from watchroom.derive.routing import routing
from watchroom.errors import ConfigError

BY_NAME = {vital.name: vital for vital in VITALS}


def own(name, *symptom_of):
    vital = BY_NAME["DatabaseDown"]
    alert = replace(vital.alerts[0], name=name)
    return replace(vital, alerts=(alert,), blind=None, symptom_of=symptom_of)


def test_a_cause_s_causes_are_causes_too():
    found = causes.closed(VITALS)
    assert {"DatabaseDown", "DiskSpaceLow"} <= found["HighErrorRate"]
    assert "HighErrorRate" not in found["DatabaseDown"]


def test_a_project_s_own_vital_is_part_of_what_it_names():
    made = planned(own("LedgerDown", "DatabaseDown"))
    assert "LedgerDown" in str(routing(made).inhibit_rules) + str(
        [rule.labels for rule in causes.rules(made)]
    )
    (rule,) = [
        rule
        for group in rules.rules(made).groups
        for rule in group.rules
        if rule.alert == "LedgerDown"
    ]
    assert rule.annotations["symptom_of"] == "DatabaseDown DiskSpaceLow MemoryHigh"


@pytest.mark.parametrize(
    ("vitals", "words"),
    [
        ([own("LedgerDown", "DatabaseDwon")], "did you mean 'DatabaseDown'?"),
        ([own("A", "B"), own("B", "A")], "remove one of them"),
        ([own("A", "A")], "remove one of them"),
    ],
)
def test_an_invalid_cause_is_refused(vitals, words):
    with pytest.raises(ConfigError) as error:
        routing(planned(*vitals))
    assert words in error.value.hint


def test_what_empties_late_stays_part_of_its_fault_for_so_long():
    slow = replace(own("LedgerLate", "DatabaseDown"), drains="30m")
    (rule,) = [
        rule
        for rule in causes.rules(planned(slow))
        if rule.labels.get("vital") == "LedgerLate"
    ]
    assert "[2100s]" in rule.expr
