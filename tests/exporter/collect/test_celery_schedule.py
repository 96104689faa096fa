"""How late an entry is: by its own schedule, from what beat and workers noted."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.schedules import crontab

from watchroom.exporter.collect.celery_schedule import Schedule
from watchroom.runtime import runs

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notes(tmp_path):
    return runs.directory(tmp_path, "shop")


def watching(clock, notes, timezone="UTC", **schedules):
    app = Celery("shop", set_as_current=False)
    app.conf.timezone = timezone
    entries = {name: {"task": "t", "schedule": one} for name, one in schedules.items()}
    return Schedule(app, entries, notes, clock)


def overdue(schedule, name="entry"):
    return round(schedule.entry_states()[name].overdue, 3)


@pytest.mark.parametrize("hourly", [HOUR, timedelta(hours=1), crontab(minute=0)])
def test_an_entry_is_late_from_when_its_schedule_says(clock, notes, hourly):
    schedule = watching(clock, notes, entry=hourly)
    runs.note(notes, runs.BEGUN, runs.Run("entry", NOON))
    assert overdue(schedule) == 0
    clock.now += HOUR - 1
    assert overdue(schedule) == 0
    clock.now += 91
    assert overdue(schedule) == 90
    runs.note(notes, runs.BEGUN, runs.Run("entry", clock.now))
    assert overdue(schedule) == 0


def test_an_entry_that_never_ran_is_due_since_it_was_first_seen(clock, notes):
    schedule = watching(clock, notes, entry=HOUR)
    assert overdue(schedule) == 0
    clock.now += 2 * HOUR
    assert overdue(schedule) == HOUR
    # An exporter that starts again has not forgotten, and another schedule begins anew.
    assert overdue(watching(clock, notes, entry=HOUR)) == HOUR
    assert overdue(watching(clock, notes, entry=HOUR / 2)) == 0


def test_what_beat_published_and_no_worker_began_is_late(clock, notes):
    schedule = watching(clock, notes, entry=60.0)
    schedule.entry_states()
    for _ in range(3):
        clock.now += 60
        runs.note(notes, runs.PUBLISHED, runs.Run("entry", clock.now))
    (standing,) = schedule.entry_states().values()
    assert standing.overdue == pytest.approx(120)
    assert (standing.last_run, standing.last_published) == (None, clock.now)


def test_an_entry_whose_schedule_has_an_error_leaves_the_others_watched(clock, notes):
    class Odd(crontab):
        def remaining_estimate(self, last_run_at):
            raise RuntimeError(f"no such day after {last_run_at}")

    schedule = watching(clock, notes, odd=Odd(), entry=HOUR)
    assert set(schedule.entry_states()) == {"entry"}
    assert set(schedule.entry_states()) == {"entry"}
    assert schedule.unwatched == 1


def test_a_nightly_entry_is_nightly_where_the_project_lives(clock, notes):
    schedule = watching(clock, notes, "Europe/Berlin", entry=crontab(hour=2, minute=30))
    assert overdue(schedule) == 0
    clock.now = datetime(2026, 3, 3, 1, 29, tzinfo=UTC).timestamp()
    assert overdue(schedule) == 0
    clock.now += 120
    assert overdue(schedule) == 60


def test_a_directory_that_cannot_be_written_is_no_reason_to_see_nothing(
    clock, tmp_path
):
    schedule = watching(clock, tmp_path / "missing" / "shop.schedule", entry=HOUR)
    assert overdue(schedule) == 0
    clock.now += 2 * HOUR
    assert overdue(schedule) == HOUR


def test_a_task_that_ran_is_not_late_when_its_notes_are_removed(clock, notes):
    schedule = watching(clock, notes, entry=24 * HOUR)
    schedule.entry_states()
    clock.now += 5 * 24 * HOUR
    for kind in (runs.PUBLISHED, runs.BEGUN):
        runs.note(notes, kind, runs.Run("entry", clock.now))
    assert overdue(schedule) == 0
    ran = clock.now
    shutil.rmtree(notes)  # a cleaner, or logind's RemoveIPC
    clock.now += HOUR
    (standing,) = schedule.entry_states().values()
    assert standing == (0, ran, ran)
    clock.now += 24 * HOUR
    assert overdue(schedule) == HOUR
    runs.note(notes, runs.BEGUN, runs.Run("entry", clock.now))
    assert overdue(schedule) == 0


def test_a_note_is_replaced_by_newer_ones_only_and_odd_files_are_no_notes(notes):
    runs.note(notes, runs.BEGUN, runs.Run("a/b ü", 5.0))
    runs.note(notes, runs.BEGUN, runs.Run("a/b ü", 4.0))
    assert runs.read(notes, runs.BEGUN, "a/b ü") == runs.Run("a/b ü", 5.0)
    (path,) = notes.iterdir()
    path.write_text("{")
    assert runs.read(notes, runs.BEGUN, "a/b ü") is None
    with pytest.raises(ValueError, match="too long"):
        runs.note(notes, runs.BEGUN, runs.Run("x" * 300, 1.0))
