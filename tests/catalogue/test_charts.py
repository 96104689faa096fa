"""What a chart shows does not depend on how many points the screen has room for."""

from __future__ import annotations

import pytest
from tests.support.plans import planned

from watchroom.promql.parse import parse
from watchroom.promql.syntax import RangeSelector, Selector, walk


def queries():
    plan = planned()
    return [
        pytest.param(expr, id=f"{chart.chart.title}: {legend}")
        for vital in plan.vitals
        for chart in vital.charts
        for expr, legend in chart.queries
    ]


@pytest.mark.parametrize("expr", queries())
def test_every_query_looks_at_all_of_its_step_and_not_at_its_end_alone(expr):
    filled = expr.replace("$__rate_interval", "7m")
    nodes = list(walk(parse(filled)))
    seen = [node for node in nodes if isinstance(node, Selector)]
    ranges = [node for node in nodes if isinstance(node, RangeSelector)]
    assert {node.range_ms for node in ranges} == {7 * 60_000}
    assert {id(node) for node in seen} == {id(node.selector) for node in ranges}
