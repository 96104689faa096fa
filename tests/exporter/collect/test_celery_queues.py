"""Queues are read from the configuration, and what waits in them from the broker."""

import os
import socket
import time

import pytest
from celery import Celery
from kombu import Queue
from tests.support import waiting
from tests.support.celery_project import Shop
from tests.support.redis_server import redis_server

from watchroom.exporter.collect.celery_app import schedule, unseen
from watchroom.exporter.collect.celery_queues import Broker, QueueState, configured
from watchroom.exporter.collect.groups import GROUPS
from watchroom.exporter.collect.supervisor import Child
from watchroom.exporter.failures import Failures
from watchroom.instrument import celery as instrument


def made(broker="memory://", **conf):
    app = Celery("shop", broker=broker, set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.fixture(scope="module")
def redis():
    with redis_server() as url:
        yield url


def routed(name, *_, **__):
    return {"queue": "by-hand"} if name == "shop.routed" else None


def nothing():
    pass


def less():
    pass


@pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")
def test_every_queue_that_the_configuration_names_is_known_without_a_worker():
    app = made(
        task_default_queue="usual",
        task_queues=[Queue("one"), Queue("two")],
        task_routes=[
            {"a.*": {"queue": "three"}, "b.*": "four"},
            [("c.*", {"queue": Queue("five")})],
            routed,
        ],
        beat_schedule={
            "e": {"task": "t", "schedule": 1, "options": {"queue": "six"}},
            "celery.own": {"task": "t", "schedule": 1},
        },
    )
    app.task(name="shop.routed", shared=False)(nothing)
    app.task(name="shop.own", queue="seven", shared=False)(less)
    app.finalize()
    assert set(configured(app, ["urgent"])) == {
        *("one", "two", "usual", "three", "four", "five", "six", "seven"),
        *("by-hand", "urgent"),
    }
    assert set(schedule(app)) == {"e"}
    assert configured(made()) == ("celery",)


def test_lengths_and_ages_are_those_of_the_broker_with_no_worker_alive(redis):
    app = made(redis, broker_transport_options={"global_keyprefix": "shop:"})
    broker = Broker(app, ("celery", "nobody-declared"))
    assert broker.ask() == {
        "celery": QueueState(0, 0.0),
        "nobody-declared": QueueState(0, 0.0),
    }
    hour_ago = time.time() - 3600
    app.send_task("t", headers={instrument.PUBLISHED: hour_ago})
    app.send_task("t", headers={instrument.PUBLISHED: hour_ago + 1800}, priority=9)
    found = broker.ask()["celery"]
    assert found.length == 2
    assert found.oldest == pytest.approx(3600, abs=60)
    with app.connection_for_write() as connection:
        app.amqp.queues["celery"](connection).purge()
    assert broker.ask()["celery"] == QueueState(0, 0.0)


def test_a_message_that_says_no_time_waits_since_it_was_first_seen(redis):
    app, now = made(redis), time.time()
    clock = [now]
    broker = Broker(app, ("unstamped",), lambda: clock[0])
    app.send_task("t", queue="unstamped")
    assert broker.ask()["unstamped"] == QueueState(1, 0.0)
    clock[0] += 400
    assert broker.ask()["unstamped"] == QueueState(1, 400.0)


def test_a_folder_of_messages_is_as_old_as_its_oldest_file(tmp_path):
    options = {
        "data_folder_in": str(tmp_path),
        "data_folder_out": str(tmp_path),
        "control_folder": str(tmp_path / "control"),
    }
    (tmp_path / "control").mkdir()
    app = made("filesystem://", broker_transport_options=options)
    for _ in range(3):
        app.send_task("t")
    app.send_task("t", queue="other")
    file = min(tmp_path.glob("*.celery.msg"))
    then = time.time() - 600
    os.utime(file, (then, then))
    found = Broker(app, ("celery", "other", "empty")).ask()
    assert found["celery"].length == 3
    assert found["celery"].oldest == pytest.approx(600, abs=30)
    assert found["other"].oldest < 30
    assert found["empty"] == QueueState(0, 0.0)


def test_a_broker_that_is_gone_answers_nothing_and_its_password_is_not_said(capsys):
    with redis_server() as url:
        app = made(url.replace("//", "//user:hunter2@"))
        away = made(url)
        broker = Broker(away, ("celery",))
        assert broker.ask() is not None
    assert broker.ask() is None
    assert Broker(app, ("celery",)).ask() is None
    said = capsys.readouterr().err
    assert "can't reach " in said
    assert "hunter2" not in said


def test_what_no_other_process_can_see_is_refused_with_the_reason():
    assert "exists inside one process" in unseen(made())
    assert "task_always_eager" in unseen(made("redis://x", task_always_eager=True))
    assert not unseen(made("redis://x"))


def asked(shop, failures):
    (group,) = [group for group in GROUPS if group.name == "celery"]
    return Child(group, shop.environ, failures)


def values(child):
    return {
        (sample.name, *(value for _, value in sample.labels)): sample.value
        for family in child.families()
        for sample in family.samples
    }


def until(child, key, wanted):
    return waiting.until(
        lambda: values(child),
        40,
        f"{key} is {wanted}",
        good=lambda found: found.get(key) == wanted,
    )


def test_the_exporters_child_knows_queues_and_schedule_of_a_project(redis, tmp_path):
    shop = Shop(tmp_path, redis)
    shop.python("tasks.report.delay(); tasks.report.delay()")
    child = asked(shop, Failures())
    child.start()
    try:
        found = until(child, ("celery_beat_overdue_seconds", "nightly"), 0)
        found |= until(child, ("celery_queue_length", "reports"), 2)
    finally:
        child.stop()
    assert found["celery_broker_up",] == 1
    assert found["celery_queue_length", "urgent"] == 0
    assert 0 <= found["celery_queue_oldest_seconds", "reports"] < 60
    assert ("celery_beat_overdue_seconds", "often") in found


IN_A_DATABASE = """
INSTALLED_APPS += ["django_celery_beat"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BEAT_FILE"]}}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
"""


@pytest.mark.slow
def test_the_schedule_is_beat_s_own_database_and_blind_without_it(redis, tmp_path):
    pytest.importorskip("django_celery_beat")
    shop = Shop(tmp_path, redis)
    with (tmp_path / "shop" / "settings.py").open("a") as settings:
        settings.write(IN_A_DATABASE)
    file, away = tmp_path / "beat.sqlite3", tmp_path / "away.sqlite3"
    shop.environ["BEAT_FILE"] = str(file)
    shop.python("from django.core.management import call_command as c; c('migrate')")
    often, nightly = (("celery_beat_overdue_seconds", n) for n in ("often", "nightly"))
    admin = "from django_celery_beat.models import PeriodicTask as Task\n"
    nightly_queue = ("celery_queue_length", "of the admin")
    errors = ("watchroom_gauge_errors_total", "celery_schedule")
    child = asked(shop, Failures())
    with shop.children:
        child.start()
        try:
            until(child, nightly, 0)  # of the settings: beat has never started
            shop.celery("beat", "beat", "--max-interval", "1")
            published = "celery_beat_last_published_timestamp_seconds"
            shop.children.wait_until(
                lambda: (published, "often") in values(child), "beat publishes", 40
            )
            shop.python(f"{admin}Task.objects.filter(name='often').update(enabled=0)")
            shop.python(f"{admin}Task.objects.update(queue='of the admin')")
            until(child, often, None)
            assert until(child, nightly_queue, 0)[nightly] == 0
            shop.children.stop()
            file.rename(away)
            until(child, nightly, None)
            found = values(child)
            assert found[errors] >= 1
            assert found["celery_broker_up",] == 1
            assert ("celery_beat_entries",) not in found  # so ScheduleUnobserved fires
            away.rename(file)
            found = until(child, nightly, 0)
        finally:
            child.stop()
    assert found["celery_beat_entries",] == 1


def test_a_broker_that_takes_the_connection_and_never_answers_is_down(tmp_path):
    # The kernel takes connections for it, and nobody ever reads.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        child = asked(Shop(tmp_path, f"redis://127.0.0.1:{port}/0"), Failures())
        child.start()
        try:
            until(child, ("celery_broker_up",), 0)
            # The schedule is known all the same: it asks no broker.
            found = until(child, ("celery_beat_overdue_seconds", "nightly"), 0)
        finally:
            child.stop()
    assert not [key for key in found if key[0] == "celery_queue_length"]
    assert found["watchroom_gauge_errors_total", "celery_broker"] >= 1
