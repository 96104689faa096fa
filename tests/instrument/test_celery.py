"""What tasks come to, counted in real workers over a real broker."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.support.celery_project import Shop
from tests.support.redis_server import redis_server

FAILED, SUCCEEDED, RETRIED = (
    f"celery_task_{what}_total" for what in ("failed", "succeeded", "retried")
)
RUNS = "celery_task_runtime_seconds_count"
ERRORS = "watchroom_instrument_errors_total"
TASKS = {
    f"shop.tasks.{name}"
    for name in (
        *("fine", "broken", "again", "endless", "killed", "report"),
        *("poison", "stubborn", "exits", "unstored", "long"),
    )
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A prefork worker with two processes, nothing sent to it yet."""
    with redis_server() as url:
        shop = Shop(tmp_path_factory.mktemp("shop"), url)
        with shop.children:
            shop.work("worker", "--concurrency", "2")
            shop.ready("worker")
            yield shop


def test_every_task_stands_at_zero_when_a_worker_starts_and_celerys_own_do_not(shop):
    found = shop.until(
        {
            ("watchroom_processes", "worker"): 2,
            ("watchroom_processes", "supervisor"): 1,
        }
    )
    for metric in (FAILED, SUCCEEDED, RETRIED):
        names = {key[1] for key in found if key[0] == metric}
        assert names - {"unregistered", "unreadable"} == TASKS
    assert (FAILED, "unregistered") in found


def test_every_end_of_a_task_is_counted_once_and_none_is_changed(shop):
    before = shop.counts()
    said = shop.python(
        """
        import json
        sent = [tasks.fine.delay(n) for n in range(5)]
        # A header that nobody of ours wrote.
        sent.append(tasks.fine.apply_async((5,), headers={"watchroom_entry": 5}))
        failing = [tasks.broken.delay(), tasks.broken.delay()]
        again = [tasks.again.delay(1), tasks.again.delay(9)]
        lost = [tasks.endless.delay(), tasks.killed.delay()]
        tasks.app.send_task("no.such.task")
        def end(result):
            return repr(result.get(timeout=40, propagate=False))
        print(json.dumps([[end(one) for one in some]
                          for some in (sent, failing, again, lost)]))
        """
    )
    sent, failing, again, lost = json.loads(said)
    assert sent == ["1", "2", "3", "4", "5", "6"]
    assert failing == ["ValueError('as it was meant to')"] * 2
    assert again[0] == "1"
    assert "MaxRetriesExceededError" in again[1] or "Retry" in again[1]
    assert "TimeLimitExceeded" in lost[0]
    assert "WorkerLostError" in lost[1]

    wanted = {
        (SUCCEEDED, "shop.tasks.fine"): 6,
        (SUCCEEDED, "shop.tasks.again"): 1,
        (FAILED, "shop.tasks.broken"): 2,
        (FAILED, "shop.tasks.again"): 1,
        (FAILED, "shop.tasks.endless"): 1,
        (FAILED, "shop.tasks.killed"): 1,
        (FAILED, "unregistered"): 1,
        (RETRIED, "shop.tasks.again"): 3,
        (RUNS, "shop.tasks.fine"): 6,
        (RUNS, "shop.tasks.again"): 5,
        (ERRORS, "celery"): 1,
        # Two were killed, and others stand in their place.
        ("watchroom_processes", "worker"): 2,
    }
    found = shop.until(wanted)
    changed = {
        key: value
        for key, value in found.items()
        if key[0] in {FAILED, SUCCEEDED, RETRIED} and value != before.get(key, 0)
    }
    assert changed.items() <= wanted.items()
    # The pool may be replacing a process right now; the counts stay as they are.
    del wanted["watchroom_processes", "worker"]
    assert shop.counts().items() >= wanted.items()


def test_a_loss_is_one_failure_whatever_becomes_of_its_message(shop, tmp_path):
    before = shop.counts()
    shop.python(
        f"""
        tasks.poison.delay({str(tmp_path / "poison")!r})
        tasks.stubborn.delay({str(tmp_path / "stubborn")!r})
        tasks.exits.delay()
        tasks.unstored.delay()
        """
    )
    wanted = {
        # Two runs each are lost and put back, the third is good.
        (FAILED, "shop.tasks.poison"): 2,
        (SUCCEEDED, "shop.tasks.poison"): 1,
        (FAILED, "shop.tasks.stubborn"): 2,
        (SUCCEEDED, "shop.tasks.stubborn"): 1,
        (FAILED, "shop.tasks.exits"): 1,
        (FAILED, "shop.tasks.unstored"): 1,
        ("celery_tasks_in_flight",): 0,
    }
    found = shop.until(wanted)
    names = ("poison", "stubborn", "exits", "unstored")
    for metric in (FAILED, SUCCEEDED, RETRIED):
        for name in names:
            key = (metric, f"shop.tasks.{name}")
            assert found[key] == wanted.get(key, 0), key
    assert found[ERRORS, "celery"] == before[ERRORS, "celery"]


def test_a_run_that_somebody_ended_is_no_failure(shop):
    key = ("celery_tasks_in_flight",)
    sent = shop.python("print(tasks.long.delay().id)").strip()
    shop.until({key: 1})
    shop.python(f"tasks.app.control.revoke({sent!r}, terminate=True)")
    assert shop.until({key: 0})[FAILED, "shop.tasks.long"] == 0


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_what_a_killed_worker_held_is_lost_once(shop, tmp_path, pool):
    runtime = tmp_path / "run"
    worker = shop.work(
        f"doomed-{pool}",
        *("--pool", pool, "--concurrency", "2", "-Q", f"doomed-{pool}"),
        WATCHROOM_RUNTIME_DIR=str(runtime),
    )
    shop.ready(f"doomed-{pool}")
    runs = 1 if pool == "solo" else 2
    shop.python(
        f"""
        tasks.fine.apply_async((1,), queue="doomed-{pool}").get(timeout=40)
        for _ in range({runs}):
            tasks.long.apply_async(queue="doomed-{pool}")
        """
    )
    shop.until({("celery_tasks_in_flight",): runs}, runtime=runtime)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    lost = {(FAILED, "shop.tasks.long"): runs}
    found = shop.until(lost, runtime=runtime)
    assert found[SUCCEEDED, "shop.tasks.fine"] == 1
    assert found[FAILED, "shop.tasks.fine"] == 0
    assert shop.counts(runtime).items() >= lost.items()


def test_threads_and_solo_count_in_the_one_process_they_have(shop, tmp_path):
    pools = ("threads", "solo")
    for pool in pools:
        shop.work(
            pool,
            *("--pool", pool, "--concurrency", "2", "-Q", pool),
            WATCHROOM_RUNTIME_DIR=str(tmp_path / pool),
        )
    for pool in pools:
        shop.ready(pool)
    shop.python(
        """
        for queue in ("threads", "solo"):
            sent = [tasks.fine.apply_async((n,), queue=queue) for n in range(4)]
            sent.append(tasks.broken.apply_async(queue=queue))
            for one in sent:
                one.get(timeout=40, propagate=False)
        """
    )
    for pool in pools:
        found = shop.counts(tmp_path / pool)
        assert found["watchroom_processes", "worker"] == 1
        assert ("watchroom_processes", "supervisor") not in found
        assert found[SUCCEEDED, "shop.tasks.fine"] == 4
        assert found[FAILED, "shop.tasks.broken"] == 1
        assert found[RETRIED, "shop.tasks.again"] == 0
        assert found[ERRORS, "celery"] == 0


def test_a_process_without_celery_imports_none_of_it(tmp_path):
    (tmp_path / "plain.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['watchroom']\n"
    )
    code = """
import sys, django
sys.path.insert(0, sys.argv[1])
from django.conf import settings
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "plain"
django.setup()
print([name for name in sys.modules
       if name.startswith(("celery", "kombu", "watchroom.instrument.celery_"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
