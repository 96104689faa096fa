"""Silences on disk: what outlives the process, and what is bounded."""

from __future__ import annotations

import pytest

from watchroom.monitor.routing import silences
from watchroom.monitor.routing.silences import Silence, SilenceError, Silences
from watchroom.monitor.state.database import StateDB
from watchroom.promql.model import Matcher, labels_of

HOUR = 3_600_000
A = labels_of({"alertname": "A", "job": "app"})


def silence(*matchers, start=0, end=HOUR):
    found = matchers or (Matcher("alertname", "=", "A"),)
    return Silence("", found, start, end, 0, "ann", "why")


def test_a_silence_outlives_the_process_and_so_does_its_end(tmp_path):
    with StateDB(tmp_path) as state:
        name = Silences(state).put(silence(), 0)
    with StateDB(tmp_path) as state:
        found = Silences(state)
        assert found.muted_by(A, 10) == [name]
        assert found.get(name).comment == "why"
        found.expire(name, 20)
        assert found.muted_by(A, 30) == []
    with StateDB(tmp_path) as state:
        assert Silences(state).muted_by(A, 30) == []


def test_what_is_remembered_of_a_label_set_follows_time_and_change():
    found = Silences()
    first = found.put(silence(start=100, end=200), 0)
    assert found.muted_by(A, 50) == []
    assert found.muted_by(A, 150) == [first]
    second = found.put(silence(Matcher("job", "=~", "a.*"), end=500), 0)
    assert found.muted_by(A, 150) == sorted([first, second])
    assert found.muted_by(A, 300) == [second]
    assert found.muted_by(labels_of({"alertname": "B"}), 150) == []


def test_there_is_room_for_so_many_and_expired_ones_make_room(monkeypatch):
    monkeypatch.setattr(silences, "MOST", 2)  # not 1,000
    found = Silences()
    name = found.put(silence(), 0)
    found.put(silence(), 0)
    with pytest.raises(SilenceError, match="there are 2 silences already"):
        found.put(silence(), 0)
    assert found.refused == 1
    found.expire(name, 1)
    found.put(silence(), 10)


def test_an_expired_silence_is_forgotten_after_five_days(tmp_path):
    with StateDB(tmp_path) as state:
        found = Silences(state)
        old = found.put(silence(end=1000), 0)
        late = silences.KEPT_MS + 2000
        found.put(silence(start=late, end=late + HOUR), late)
        assert found.get(old) is None
        assert state.read("SELECT count(*) FROM silence") == [(1,)]
