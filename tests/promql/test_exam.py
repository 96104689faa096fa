"""Prometheus' own test scripts, run block by block; what they say is right.

The scripts run as Prometheus runs them: with delayed name removal, each instant query
also inside a range query, pinned by ``@`` and asked at other times. Each runs over
series in groups by timestamps and again over one group with gaps.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.support import promqltest

from watchroom.promql.engine import Engine
from watchroom.promql.memory import Memory

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
        if not promqltest.is_native(block) and promqltest.refusal(block) is None
    ]


@pytest.mark.parametrize(("name", "block"), _floats())
def test_block_is_answered_as_the_script_expects(name, block):
    reason = ALLOWED.get((name, block.line))
    failed = None
    for union in (False, True):
        memory = Memory(promqltest.stored(block.loads).series, union=union)
        try:
            promqltest.run(block, Engine(delayed_name_removal=True), memory)
        except Exception as error:
            if reason is None:
                raise
            failed = error
    assert reason is None or failed is not None, f"passes now, though {reason}"


def test_what_the_scripts_ask_and_is_not_run_is_counted():
    if not EXAM.is_dir():
        pytest.skip("no ../shared/exam/promqltest beside the repository")
    left_out: Counter[str] = Counter()
    total = 0
    for path, block in _blocks():
        total += 1
        refusal = promqltest.refusal(block)
        if promqltest.is_native(block):
            left_out[f"{path.name}: native histograms"] += 1
        elif refusal is not None:
            left_out[f"{path.name}: {refusal}"] += 1
    print(f"\n{total} blocks, {left_out.total()} left out:")
    for reason, count in left_out.items():
        print(f"  {reason}: {count}")

    assert left_out.total() < total / 2
