from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from watchroom.monitor.store import Store
from watchroom.promql.model import ABSENT, STALE_CELL, is_stale, matches_all


class Clock:
    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        return self.seconds


class Naive:
    """What a store should answer, from a dict."""

    def __init__(self):
        self.series = {}

    def append(self, at_ms, labels, values):
        accepted = late = same = 0
        for one, value in zip(labels, values, strict=True):
            samples = self.series.setdefault(one, [])
            if samples and samples[-1][0] > at_ms:
                late += 1
            elif samples and samples[-1][0] == at_ms:
                same += 1
            else:
                samples.append((at_ms, value))
                accepted += 1
        return accepted, late, same

    def select(self, matchers, start_ms, end_ms, _reserve=None):
        found = {}
        for labels, samples in self.series.items():
            if matches_all(matchers, labels):
                inside = [(t, bits(v)) for t, v in samples if start_ms < t <= end_ms]
                if inside:
                    found[labels] = inside
        return found


def bits(value):
    return int(np.array([value], np.float64).view(np.uint64)[0])


def flat(groups, start_ms, end_ms):
    """Return a select's groups as `Naive.select` returns them."""
    found = {}
    for group in groups:
        assert (np.diff(group.timestamps) > 0).all()
        shape = (len(group.labels), len(group.timestamps))
        assert group.values.shape == shape
        if group.state is None:
            assert not is_stale(group.values).any()
        for row, labels in enumerate(group.labels):
            assert labels not in found, "a series stands in two groups"
            samples = []
            for column, at in enumerate(group.timestamps.tolist()):
                state = 0 if group.state is None else int(group.state[row, column])
                if not start_ms < at <= end_ms or state == ABSENT:
                    continue
                value = group.values[row, column]
                if state == STALE_CELL:
                    samples.append((at, 0x7FF0000000000002))
                else:
                    samples.append((at, bits(value)))
            if samples:
                found[labels] = samples
    return found


@pytest.fixture
def clock():
    return Clock(1_800_000_000.0)


@pytest.fixture
def naive():
    return Naive()


@pytest.fixture
def answers():
    """Return a function: what a store or snapshot answers, as plain dicts."""

    def ask(source, matchers, start_ms=0, end_ms=10**16):
        view = source.snapshot() if isinstance(source, Store) else source
        return flat(view.select(matchers, start_ms, end_ms), start_ms, end_ms)

    return ask


@pytest.fixture
def open_store(tmp_path, clock):
    """Open stores in one directory, and close what a test leaves open."""
    opened = []

    def make(path=None, **options):
        store = Store(path or tmp_path / "state", now=clock, **options)
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


def _fails(command):
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def small_disk(tmp_path):
    """Mount a tmpfs of the asked size; skip where that is not allowed."""
    mounted = []

    def mount(size):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if os.geteuid() != 0 or _fails(command):
            pytest.skip("mounting a small tmpfs needs root and the right to mount")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
