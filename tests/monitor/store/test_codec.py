from __future__ import annotations

import numpy as np
import pytest

from watchroom.monitor.store import block, journal
from watchroom.monitor.store.codec import (
    CorruptError,
    pack_integers,
    seal,
    unpack_integers,
    unseal,
)
from watchroom.promql.model import ABSENT, STALE_CELL, VALUE

_SPECIAL = [
    np.nan,
    np.inf,
    -np.inf,
    -0.0,
    0.0,
    5e-324,
    2.0**53,
    2.0**53 + 2,
    -(2.0**60),
]


def row(rng, columns):
    kind = rng.integers(0, 9)
    steps = rng.integers(0, 3, columns)
    return [
        lambda: np.full(columns, rng.choice(_SPECIAL)),
        lambda: np.cumsum(steps).astype(float),
        lambda: np.cumsum(rng.integers(-300, 30_000, columns)).astype(float),
        lambda: np.cumsum(rng.integers(-(2**31), 2**33, columns)).astype(float),
        lambda: np.where(steps == 2, 0.0, np.cumsum(steps) * 1e15),  # resets, beyond
        lambda: rng.normal(size=columns),
        lambda: rng.choice(_SPECIAL, columns),
        lambda: np.cumsum(steps) + 2.0**53 - 10,
        lambda: np.where(steps == 0, -0.0, steps.astype(float)),
    ][kind]()


def same(found, wanted, held):
    return np.array_equal(
        found.view(np.uint64)[held], np.ascontiguousarray(wanted).view(np.uint64)[held]
    )


@pytest.mark.parametrize("seed", range(60))
def test_every_cell_comes_back_bit_by_bit(seed):
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 40)), int(rng.integers(1, 200))
    values = np.array([row(rng, columns) for _ in range(rows)])
    states = None
    if seed % 3:
        states = rng.choice(
            [VALUE, ABSENT, STALE_CELL], (rows, columns), p=[0.8, 0.15, 0.05]
        ).astype(np.uint8)
        states[rng.random(rows) < 0.5] = VALUE
        if seed % 3 == 2:
            states[0] = ABSENT
    held = np.ones((rows, columns), bool) if states is None else states == VALUE
    body = block.encode(values, states)
    found = block.Block(body)
    everything = np.arange(rows)
    assert same(found.values(everything, 0, columns), values, held)
    for _ in range(5):
        asked = np.flatnonzero(rng.random(rows) < 0.4)
        low = int(rng.integers(0, columns))
        high = int(rng.integers(low + 1, columns + 1))
        part = found.values(asked, low, high)
        assert same(part, values[asked, low:high], held[asked, low:high])
        cells = found.states(asked, low, high)
        if cells is None:
            cells = np.zeros((len(asked), high - low), np.uint8)
        wanted = np.zeros_like(held, np.uint8) if states is None else states
        assert np.array_equal(cells, wanted[asked, low:high])


def test_any_flipped_bit_of_a_block_is_noticed():
    rng = np.random.default_rng(1)
    body = block.encode(np.array([row(rng, 50) for _ in range(9)]), None)
    for place in range(len(body)):
        damaged = bytearray(body)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptError):
            block.Block(bytes(damaged))


@pytest.mark.parametrize("size", [0, 3, 5, 20])
def test_a_torn_block_is_noticed(size):
    body = block.encode(np.ones((3, 3)), None)
    with pytest.raises(CorruptError):
        block.Block(body[:size])


def test_a_body_of_another_version_is_refused_by_its_number():
    body = b"\x09" + seal(b"payload")[1:]
    with pytest.raises(CorruptError, match="format 9"):
        unseal(body)


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_timestamps_come_back(count):
    rng = np.random.default_rng(count)
    times = np.cumsum(rng.integers(1, 20_000, count)) + 1_800_000_000_000
    assert np.array_equal(unpack_integers(pack_integers(times)), times)


def test_a_write_ahead_row_needs_the_row_before_unless_it_is_whole():
    before = np.array([1.0, np.nan])
    values = np.array([2.0, np.inf, -0.0])
    ids = np.array([7, 9, 11])
    states = np.array([VALUE, STALE_CELL, ABSENT], np.uint8)
    made = journal.JournalRow(5, False, False, ids[2:], values, states)
    body = journal.encode(made, before)
    found = journal.decode(body, before)
    assert found.at_ms == 5
    assert found.series_ids.tolist() == [11]
    assert found.states.tolist() == states.tolist()
    assert found.values.tobytes() == values.tobytes()
    with pytest.raises(CorruptError, match="before"):
        journal.decode(body, None)
    whole = journal.JournalRow(6, True, True, ids, values, None)
    found = journal.decode(journal.encode(whole, before), None)
    assert found.start
    assert found.whole
    assert found.values.tobytes() == values.tobytes()
