"""Somebody is woken by a drill: what the seconds say."""

from __future__ import annotations

import pytest

from watchroom.prove.drills.drill import DrilledRule, Stage, Verdict
from watchroom.prove.drills.wake import WakeResult


@pytest.mark.parametrize(
    ("told", "answered", "knew"),
    [(3.4, 3.3, 3.3), (3.4, 20.0, 3.4), (3.4, None, 3.4), (None, None, None)],
)
def test_who_answers_before_the_service_has_said_that_it_took_the_page_knew_by_then(
    told, answered, knew
):
    stages = [] if told is None else [Stage("told", told, "Ann, by ops")]
    ran = DrilledRule("HighErrorRate", "3s", "")
    verdict = Verdict("HighErrorRate", "n", stages, "", "", 1.0, ran, ["ops"], [])

    assert WakeResult("Ann", verdict, answered, "Ann", "").knew == knew
