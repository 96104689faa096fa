"""Prometheus' own test scripts, run block by block; what they say is right.

The scripts run as Prometheus runs them: with delayed name removal, each instant query
also inside a range query, pinned by ``@`` and asked at other times. Each runs over
series in groups by timestamps and again over one group with gaps.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.support import promqltest
from tests.support.one_group import OneGroup

from watchroom.errors import QuerySyntaxError
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable

EXAM = Path(__file__).parents[2] / "../shared/exam/promqltest"
OWN = Path(__file__).parent / "scripts"

# Blocks that may fail, each with its reason; one that begins to pass must be removed.
ALLOWED: dict[tuple[str, int], str] = {}


def _files() -> list[Path]:
    return [*sorted(EXAM.resolve().glob("*.test")), *sorted(OWN.glob("*.test"))]


def _blocks() -> list[tuple[Path, promqltest.Eval]]:
    return [
        (path, block)
        for path in _files()
        for block in promqltest.read(path.read_text())
    ]


def _floats() -> list[object]:
    return [
        pytest.param(
            path.name, block, id=f"{path.parent.name}/{path.stem}:{block.line}"
        )
        for path, block in _blocks()
        if promqltest.experimental(block) is None
        and not promqltest.is_native(block)
        and promqltest.refusal(block) is None
    ]


@pytest.mark.parametrize(("name", "block"), _floats())
def test_block_is_answered_as_the_script_expects(name, block):
    reason = ALLOWED.get((name, block.line))
    failed = None
    for queryable in (MemoryQueryable, OneGroup):
        memory = queryable(promqltest.stored(block.loads).series)
        try:
            promqltest.run(block, Engine(delayed_name_removal=True), memory)
        except Exception as error:
            if reason is None:
                raise
            failed = error
    assert reason is None or failed is not None, f"passes now, though {reason}"


def test_blocks_that_prometheus_refuses_without_a_flag_are_refused_by_name():
    refused = Counter()
    for path, block in _blocks():
        name = promqltest.experimental(block)
        if name is None:
            continue
        with pytest.raises(QuerySyntaxError, match=re.escape(name)):
            Engine().instant(MemoryQueryable([]), block.expr, block.start_ms)
        refused[f"{path.name}: {name}"] += 1
    print(f"\n{refused.total()} blocks refused:")
    for name, count in refused.items():
        print(f"  {name}: {count}")
    if EXAM.is_dir():
        assert refused.total() > 100


def test_what_the_scripts_ask_and_is_not_run_is_counted():
    if not EXAM.is_dir():
        pytest.skip("no ../shared/exam/promqltest beside the repository")
    left_out: Counter[str] = Counter()
    total = 0
    for path, block in _blocks():
        total += 1
        refusal = promqltest.refusal(block)
        name = promqltest.experimental(block)
        if name is not None:
            left_out[f"{path.name}: experimental, {name}"] += 1
        elif promqltest.is_native(block):
            left_out[f"{path.name}: native histograms"] += 1
        elif refusal is not None:
            left_out[f"{path.name}: {refusal}"] += 1
    print(f"\n{total} blocks, {left_out.total()} left out:")
    for reason, count in left_out.items():
        print(f"  {reason}: {count}")

    assert left_out.total() < total * 0.6
