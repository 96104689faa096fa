"""The metrics of a process: its threads, its children, its file, its limits."""

import json
import os
import subprocess
import sys
import threading

import pytest
from tests.support.app import Counts, counts, run

from watchroom.exporter.processes.merge import Merger
from watchroom.registry import process
from watchroom.runtime.slots import Arena, Definition

REQUESTS = "http_requests_total"
ROUTE = "fine/<int:number>/"


@pytest.mark.parametrize("add", [process._add, process._add_locked])
def test_threads_lose_no_count(add):
    """Unlocked on builds with a GIL: the day this fails, LOCKED must learn why."""
    view, at = Arena().series(Definition("c_total", "counter", "", ()), ())
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def count():
        for _ in range(100_000):
            add(view, at, 1.0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    if add is process._add and process.LOCKED:
        pytest.skip("this build has no GIL: only the locked way is used")
    assert view[at] == 400_000


def test_a_forked_child_counts_in_its_own_file_and_frees_the_parents(tmp_path):
    files = run(
        tmp_path,
        """
import signal
call("/fine/1/")
from watchroom.registry.process import PROCESS
mine = PROCESS._file.path
ready, told = os.pipe()
if not os.fork():
    os.close(1); os.close(2)
    call("/fine/2/"); call("/fine/3/")
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
show([mine.name, os.getpid(), [int(n.split(".")[2]) for n in os.listdir(mine.parent)]])
sys.stdout.flush()
os._exit(0)   # the child lives on, and must not hold this file's lock
""",
    )
    name, parent, pids = files
    child = next(pid for pid in pids if pid != parent)
    merger = Merger(tmp_path, "testapp")
    try:
        assert merger.processes()["web"] == 1
        found = Counts.of(merger.render())
        assert found.get(REQUESTS, method="GET", route=ROUTE, status="200") == 3
        assert not (tmp_path / name).exists()
    finally:
        os.kill(child, 9)
        merger.close()
    assert counts(tmp_path).get(REQUESTS, method="GET", route=ROUTE, status="200") == 3


def test_a_preloading_master_is_no_web_process_and_its_children_are(tmp_path):
    seen = run(
        tmp_path,
        """
import signal, time
from watchroom.registry.process import PROCESS
before = len(os.listdir(os.environ["WATCHROOM_RUNTIME_DIR"]))
ready, told = os.pipe()
children = []
for _ in range(2):
    pid = os.fork()
    if not pid:
        os.write(told, b"x")
        signal.pause()
    children.append(pid)
    os.read(ready, 1)
from pathlib import Path
from watchroom.exporter.processes.merge import Merger
merger = Merger(Path(os.environ["WATCHROOM_RUNTIME_DIR"]), "testapp")
roles = merger.processes()
merger.close()
for pid in children:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
show([before, roles, PROCESS.on])
""",
    )

    assert seen == [1, {"web": 2, "worker": 0}, False]


HELPED = """
import multiprocessing, os, signal, subprocess, sys
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()

def help_out():
    from django.db import connection
    connection.cursor().execute("select 1")  # a helper that counts shows itself
    os.write(told, b"x")
    signal.pause()

if __name__ == "helped_wsgi":
    ready, told = os.pipe()
    helpers = [multiprocessing.get_context("fork").Process(target=help_out)]
    helpers[0].start()
    pid = os.fork()
    if not pid:
        help_out()
    subprocess.run([sys.executable, "-c", ""], preexec_fn=lambda: None)
    for _ in range(2):
        os.read(ready, 1)
"""


def test_what_the_app_s_module_forks_is_no_web_process(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "helped_wsgi.py").write_text(HELPED)
    before, on, roles, after = run(
        tmp_path,
        """
import signal
sys.path.insert(0, os.environ["WATCHROOM_RUNTIME_DIR"] + "/code")
import warnings
warnings.simplefilter("ignore")  # of forks, on some versions
import helped_wsgi
from pathlib import Path
from watchroom.exporter.processes.merge import Merger
from watchroom.registry.process import PROCESS
merger = Merger(Path(os.environ["WATCHROOM_RUNTIME_DIR"]), "testapp")
before, on = merger.processes(), PROCESS.on
# Now the server makes its workers.
ready, told = os.pipe()
worker = os.fork()
if not worker:
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
roles = merger.processes()
os.kill(worker, signal.SIGKILL)
os.waitpid(worker, 0)
after = merger.processes()
for pid in (helped_wsgi.helpers[0].pid, helped_wsgi.pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
merger.close()
show([before, on, roles, after])
sys.stdout.flush()
os._exit(0)
""",
        serve=False,
    )

    assert before == {"web": 1, "worker": 0, "command": 2}
    assert on
    assert roles == {"web": 1, "worker": 0, "command": 2}
    assert after == {"web": 0, "worker": 0, "command": 2}  # AppDown is not fooled


def test_what_a_task_forks_is_no_worker(tmp_path):
    roles = run(
        tmp_path,
        """
import signal
from pathlib import Path
from watchroom.exporter.processes.merge import Merger
from watchroom.registry import roles
roles.work()
ready, told = os.pipe()
helper = os.fork()
if not helper:
    connection.cursor().execute("select 1")
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
merger = Merger(Path(os.environ["WATCHROOM_RUNTIME_DIR"]), "testapp")
found = merger.processes()
os.kill(helper, signal.SIGKILL)
os.waitpid(helper, 0)
merger.close()
show(found)
""",
        serve=False,
    )

    assert roles == {"web": 0, "worker": 1, "command": 1}


def test_a_helper_that_is_spawned_is_no_web_process(tmp_path):
    """It imports the app's module, handler and all, to find the function it runs."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "spawning_wsgi.py").write_text(
        "import sys\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "application = get_wsgi_application()\n"
        "def look():\n"
        "    from watchroom.registry.process import PROCESS\n"
        "    sys.exit(int(PROCESS.on))\n"
    )
    code = run(
        tmp_path,
        """
sys.path.insert(0, os.environ["WATCHROOM_RUNTIME_DIR"] + "/code")
import multiprocessing, spawning_wsgi
helper = multiprocessing.get_context("spawn").Process(target=spawning_wsgi.look)
helper.start()
helper.join()
show(helper.exitcode)
""",
        serve=False,
    )

    assert code == 0


def test_a_process_forked_behind_python_s_back_opens_its_own_file(tmp_path):
    pids = run(
        tmp_path,
        """
call("/fine/1/")
from watchroom.registry.process import PROCESS
PROCESS.pid = 1   # as after a fork in C: the hooks have not run
call("/fine/2/")
show([name for name in os.listdir(os.environ["WATCHROOM_RUNTIME_DIR"])])
""",
    )

    assert len(pids) == 2
    found = counts(tmp_path)
    assert found.get(REQUESTS, method="GET", route=ROUTE, status="200") == 2


def test_a_lost_file_is_replaced_and_nothing_is_lost_with_it(tmp_path):
    run(
        tmp_path,
        """
call("/fine/1/")
import shutil
from watchroom.registry.process import PROCESS
shutil.rmtree(os.environ["WATCHROOM_RUNTIME_DIR"])
call("/fine/2/")
PROCESS.next_check = 0.0
call("/fine/3/")
""",
    )

    found = counts(tmp_path)
    assert found.get(REQUESTS, method="GET", route=ROUTE, status="200") == 3
    assert found.sum(REQUESTS, status="lost") == 0


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/file"])
def test_without_a_directory_the_answers_stand(tmp_path, place):
    said = run(
        tmp_path,
        """
from watchroom.registry.process import PROCESS
answers = [call("/fine/1/"), call("/work/")]
PROCESS.next_check = 0.0
answers.append(call("/fine/2/"))
view, at = PROCESS._series["watchroom_instrument_errors_total", ("registry",)].cell
show([*answers, view[at], PROCESS.on])
""",
        WATCHROOM_RUNTIME_DIR=place,
    )

    assert said[0] == ["200 OK", "fine 1"]
    assert said[2] == ["200 OK", "fine 2"]
    assert said[3] == 2  # one per attempt
    assert said[4] is True


def test_counts_kept_in_memory_reach_the_file_that_comes_later(tmp_path):
    late = tmp_path / "late"
    late.write_text("in the way")
    run(
        late,
        f"""
from watchroom.registry.process import PROCESS
call("/fine/1/")
os.unlink({str(late)!r})
PROCESS.next_check = 0.0
call("/fine/2/")
""",
    )

    found = counts(late)
    assert found.get(REQUESTS, method="GET", route=ROUTE, status="200") == 2
    assert found.get("watchroom_instrument_errors_total", instrument="registry") == 1


def test_beyond_the_cap_a_series_is_overflow_and_keeps_its_status(tmp_path):
    run(
        tmp_path,
        """
from django.conf import settings
settings.WATCHROOM = {"PROJECT": "testapp", "MAX_SERIES": 100}
from watchroom import conf
conf.settings.cache_clear()
import watchroom
from watchroom.registry.process import PROCESS
application = get_wsgi_application()
orders = watchroom.counter("orders_total", labels=("customer",))
for number in range(5000):
    orders.inc(customer=number)
call("/boom/")
show(None)
assert len(PROCESS.cells) <= 200
""",
        serve=False,
    )

    found = counts(tmp_path)
    assert found.sum("orders_total") == 5000
    assert found.get("orders_total", customer="overflow") > 4900
    assert found.sum("watchroom_series_dropped_total", metric="orders_total") > 4900
    assert found.sum(REQUESTS, route="overflow", status="500") == 1


def test_a_test_run_counts_nothing_unless_told_to(tmp_path):
    script = """
from django.test.utils import setup_test_environment
setup_test_environment()
application = get_wsgi_application()
call("/fine/1/")
"""
    run(tmp_path, script, serve=False)
    assert list(tmp_path.iterdir()) == []

    run(tmp_path, script, serve=False, WATCHROOM_IN_TESTS="1")
    assert counts(tmp_path).sum(REQUESTS, route=ROUTE, status="200") == 1


def test_a_signal_handler_may_count_while_a_series_is_made(tmp_path):
    run(
        tmp_path,
        """
import signal, time
import watchroom
ticks = watchroom.counter("ticks_total", labels=("n",))
heard = 0
def tick(*_):
    global heard
    heard += 1
    ticks.inc(n=f"h{heard % 50}")
signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for number in range(3000):
    ticks.inc(n=number)
signal.setitimer(signal.ITIMER_REAL, 0)
from watchroom.registry.process import PROCESS
PROCESS.check(0.0)
""",
    )

    assert counts(tmp_path).sum("ticks_total") >= 3000


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_full_tmpfs_kills_nobody_and_changes_no_answer(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "none", place], check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        said = run(
            place,
            """
import watchroom
many = watchroom.counter("many_total", labels=("n",))
for number in range(3000):
    many.inc(n=number)
answers = [call("/fine/1/"), call("/work/")]
open(os.environ["WATCHROOM_RUNTIME_DIR"] + "/filler", "wb").close()
show(answers)
""",
        )
        found = counts(place)
        assert said == [["200 OK", "fine 1"], ["200 OK", '{"a": 1, "b": 0}']]
        stored = found.sum("many_total")
        assert 0 < stored < 3000
        dropped = found.sum("watchroom_series_dropped_total", metric="many_total")
        assert stored + dropped == 3000
    finally:
        subprocess.run(["umount", place], check=True)


PROBE = """
import json, sys
import django
django.setup()
before = set(sys.modules)
import watchroom.apps, watchroom.middleware
from watchroom.instrument import cache, celery, database, http
added = {m for m in sys.modules if m not in before and not m.startswith("watchroom")}
top = {m.partition(".")[0] for m in added}
print(json.dumps([
    sorted(added),
    sorted(top - sys.stdlib_module_names - {"django"}),
    [m for m in sys.modules if m.startswith((
        "watchroom.monitor", "watchroom.derive", "watchroom.promql",
        "watchroom.exporter", "watchroom.catalogue.model", "yaml", "numpy", "click"))],
]))
"""


def test_the_app_side_imports_little_and_nothing_of_others(tmp_path):
    from tests.support.app import ROOT, environ

    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environ(tmp_path, TESTS_APP_BARE="1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    added, third_party, forbidden = json.loads(done.stdout)
    assert third_party == []
    assert forbidden == []
    assert len(added) <= 15, added
