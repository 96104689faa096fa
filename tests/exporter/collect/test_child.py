"""A project's gauges: asked in a child that may hang, crash or print."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support import waiting

from watchroom.exporter.collect import supervisor
from watchroom.exporter.collect.child import samples
from watchroom.exporter.collect.groups import GROUPS
from watchroom.exporter.collect.supervisor import Child
from watchroom.exporter.failures import Failures
from watchroom.exporter.metrics import PARTS
from watchroom.registry.declared import Gauge

PROJECT = next(group for group in GROUPS if group.name == "project")
RESTARTS = ("watchroom_exporter_child_restarts_total", "project")
SOURCE = str(Path(supervisor.__file__).parents[3])


@pytest.fixture
def project(tmp_path):
    """Return a function that writes a project with this vitals.py."""

    def write(vitals, app="", apps=()):
        for package, code in (("shop", vitals), ("till", app)):
            folder = tmp_path / package
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
            text = "import watchroom, os, time\n" + textwrap.dedent(code)
            (folder / "vitals.py").write_text(text)
        (tmp_path / "shop" / "settings.py").write_text(
            f"SECRET_KEY = 'x'\nINSTALLED_APPS = {list(apps)}\n"
        )
        return tmp_path

    return write


@pytest.fixture
def child():
    """Return a function that starts the child of a project; all are stopped."""
    running = []

    def start(directory):
        paths = os.pathsep.join([str(directory), SOURCE])
        environ = {
            **os.environ,
            "PYTHONPATH": paths,
            "DJANGO_SETTINGS_MODULE": "shop.settings",
        }
        one = Child(PROJECT, environ, Failures(PARTS))
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()


def values(child):
    return {
        (sample.name, *(value for _, value in sample.labels)): sample.value
        for family in child.families()
        for sample in family.samples
    }


def until(child, key, wanted=None, seconds=20.0):
    """Wait for a value; return all values of that moment."""
    return waiting.until(
        lambda: values(child),
        seconds,
        f"{key} is {wanted}",
        good=lambda found: key in found and wanted in {None, found[key]},
    )


def failures(child, part="project"):
    for sample in child._failures.family().samples:
        if sample.labels == (("part", part),):
            return sample.value
    return 0


def descendants():
    """Return the live processes whose parent is this one, zombies included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == os.getpid():
            found.append(int(stat.parent.name))
    return found


def test_gauges_of_apps_and_beside_the_settings_are_asked(project, child):
    running = child(
        project(
            """
            @watchroom.gauge("books", every="1s")
            def books():
                "How many."
                print("what is printed is not in the way")
                from django.apps import apps
                return len(list(apps.get_app_configs()))
            """,
            """
            @watchroom.gauge("by_kind", every="1s", labels=("kind",))
            def by_kind():
                return {"a": 1, ("b",): 2.5}
            """,
            apps=["till"],
        )
    )
    found = until(running, ("by_kind", "b"))
    found = until(running, ("books",))
    assert found["books",] == 1
    assert found["by_kind", "a"] == 1
    assert found["by_kind", "b"] == 2.5
    assert found["watchroom_gauge_errors_total", "books"] == 0
    books = next(one for one in running.families() if one.name == "books")
    assert (books.kind, books.help) == ("gauge", "How many.")


def test_a_gauge_is_asked_again_and_again(project, child):
    running = child(
        project(
            """
            asked = []
            @watchroom.gauge("asked", every="1s")
            def ask():
                asked.append(1)
                return len(asked)
            """
        )
    )
    until(running, ("asked",), 2)


def test_a_hanging_gauge_costs_the_child_and_not_the_others(project, child):
    running = child(
        project(
            """
            @watchroom.gauge("fine", every="1s")
            def fine():
                return os.getpid()
            @watchroom.gauge("hung", every="1s")
            def hung():
                time.sleep(60)
            """
        )
    )
    first = until(running, ("fine",))["fine",]
    found = until(running, ("watchroom_gauge_errors_total", "hung"), 1)
    assert ("hung",) not in found
    end = time.monotonic() + 20
    while until(running, ("fine",))["fine",] == first:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not Path(f"/proc/{int(first)}").exists()
    assert values(running)[RESTARTS] >= 1
    assert values(running)["watchroom_gauge_errors_total", "fine"] == 0
    assert failures(running) >= 1


def test_a_crash_is_counted_and_the_child_comes_back(project, child):
    running = child(
        project(
            """
            @watchroom.gauge("crashing", every="1s")
            def crashing():
                os._exit(3)
            @watchroom.gauge("fine", every="1s")
            def fine():
                return 1
            """
        )
    )
    until(running, ("watchroom_gauge_errors_total", "crashing"), 1)
    until(running, ("fine",))
    assert failures(running) >= 1


def test_an_exception_is_counted_and_the_last_value_ages_away(project, child):
    running = child(
        project(
            """
            asked = []
            @watchroom.gauge("once", every="1s")
            def once():
                asked.append(1)
                if len(asked) > 1:
                    raise ValueError("no more")
                return 7
            """
        )
    )
    began = time.monotonic()
    until(running, ("once",), 7)
    until(running, ("watchroom_gauge_errors_total", "once"), 1)
    assert values(running)["once",] == 7
    while ("once",) in values(running):
        assert time.monotonic() < began + 15
        time.sleep(0.05)
    assert values(running)[RESTARTS] == 0


def test_a_broken_vitals_file_is_reported_and_the_others_are_read(
    project, child, caplog
):
    running = child(
        project(
            """
            @watchroom.gauge("fine", every="1s")
            def fine():
                return 1
            """,
            "import nothing_of_this_name",
            apps=["till"],
        )
    )
    until(running, ("fine",))
    assert failures(running) == 1
    assert "till.vitals can't be imported: ModuleNotFoundError" in caplog.text


def test_no_secret_of_the_project_stands_in_the_exporters_log(project, child, caplog):
    directory = project(
        """
        @watchroom.gauge("open_payments", every="1s")
        def open_payments():
            from django.conf import settings
            raise RuntimeError(
                "401 for https://pay.example/v1/open?api_key=planted-in-query"
                f"{' ' * 200}{settings.PAYMENT_API_KEY}{' ' * 300}"
            )
        """,
        "raise ValueError('password=planted-in-import')",
        apps=["till"],
    )
    settings = directory / "shop" / "settings.py"
    settings.write_text(
        f"{settings.read_text()}PAYMENT_API_KEY = 'planted-in-settings-4711-and-more'\n"
    )
    running = child(directory)
    until(running, ("watchroom_gauge_errors_total", "open_payments"), 1)

    assert "401 for https://pay.example/v1/open?api_key=[redacted]" in caplog.text
    assert "till.vitals can't be imported: ValueError: password=[redac" in caplog.text
    assert "planted" not in caplog.text


def test_a_project_that_does_not_set_up_is_counted(project, child, caplog):
    running = child(project("", apps=["no_such_app"]))
    end = time.monotonic() + 20
    while failures(running) < 2:  # and tried again
        assert time.monotonic() < end
        time.sleep(0.05)
    assert set(values(running)) == {RESTARTS}
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        (
            "project: django.setup() failed: "
            "ModuleNotFoundError: No module named 'no_such_app'"
        )
    ]


COLLECTORS = """
import time
from watchroom.catalogue.metrics import Metric
from watchroom.exporter.collect import Collector

UP = Metric("up_there", "gauge", "Whether.", ("alias",))
SEEN = Metric("seen_total", "counter", "How many.")
asked = []

def good():
    asked.append(1)
    return {"up_there": {"a": 1}, "seen_total": len(asked)}

def collectors(broken):
    broken("third", "is missing")
    return [
        Collector("good", 1.0, (UP, SEEN), good),
        Collector("dead", 1.0, (UP,), lambda: time.sleep(60), 0.5,
                  {"up_there": {"b": 0}}),
    ]
"""


def test_one_question_has_several_answers_and_a_hang_may_be_one(tmp_path):
    (tmp_path / "asking.py").write_text(COLLECTORS)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), SOURCE])}
    group = SimpleNamespace(name="servers", module="asking")
    running = Child(group, environ, Failures(PARTS))
    running.start()
    try:
        until(running, ("seen_total",))
        until(running, ("up_there", "b"), 0)
        found = until(running, ("watchroom_gauge_errors_total", "dead"), 2)
        assert found["up_there", "a"] == 1  # still fresh, while the other one hangs
        assert found["up_there", "b"] == 0
        kinds = {one.name: one.kind for one in running.families()}
        assert (kinds["seen_total"], kinds["up_there"]) == ("counter", "gauge")
        assert failures(running, "servers") >= 1
    finally:
        running.stop()


SLOW = """
import time
from watchroom.catalogue.metrics import Metric
from watchroom.exporter.collect import Collector

UP = Metric("up_there", "gauge", "Whether.", ("alias",))

def collectors(broken):
    time.sleep(1.5)  # as long as a value is served
    dead = [
        Collector(f"dead {alias}", 0.5, (UP,), lambda: time.sleep(60), 0.2,
                  {"up_there": {alias: 0}})
        for alias in "bcd"
    ]
    good = Collector("good", 0.5, (UP,), lambda: {"up_there": {"a": 1}})
    return [*dead, good]
"""


def test_what_hangs_takes_no_answer_but_its_own_however_long_the_set_up_takes(tmp_path):
    (tmp_path / "asking.py").write_text(SLOW)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), SOURCE])}
    running = Child(
        SimpleNamespace(name="servers", module="asking"), environ, Failures()
    )
    running.start()
    known = {("up_there", alias): float(alias == "a") for alias in "abcd"}
    try:
        for key, value in known.items():
            until(running, key, value, 40.0)
        end = time.monotonic() + 7
        while time.monotonic() < end:
            found = values(running)
            assert {key: found.get(key) for key in known} == known
            time.sleep(0.05)
    finally:
        running.stop()


def test_without_gauges_no_child_stays(project, child):
    running = child(project(""))
    running._thread.join(20)
    assert not running._thread.is_alive()
    assert failures(running) == 0
    assert values(running) == {RESTARTS: 0}


def test_stopping_leaves_no_process_even_while_a_gauge_hangs(project, child):
    before = set(descendants())
    directory = project(
        """
        import pathlib, subprocess
        @watchroom.gauge("hung", every="1m")
        def hung():
            helper = subprocess.Popen(["sleep", "60"])
            pathlib.Path(__file__).with_name("pids").write_text(
                f"{os.getpid()} {helper.pid}")
            time.sleep(60)
        """
    )
    running = child(directory)
    pids = directory / "shop" / "pids"
    end = time.monotonic() + 20
    while not (pids.exists() and len(pids.read_text().split()) == 2):
        assert time.monotonic() < end
        time.sleep(0.05)
    began = time.monotonic()
    running._stopping = True
    os.write(running._woken, b".")
    running._thread.join(5)
    assert time.monotonic() - began < 2
    end = time.monotonic() + 5  # the kernel buries them a moment later
    while not all(gone(pid) for pid in pids.read_text().split()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert set(descendants()) <= before


def gone(pid):
    """Say whether a process is dead, or a zombie that only its parent may bury."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in {"Z", "X"}


@pytest.mark.parametrize(
    ("labels", "value", "expected"),
    [
        ((), 3, [[[], 3.0]]),
        ((), True, [[[], 1.0]]),
        (("a",), {"x": 1}, [[["x"], 1.0]]),
        (("a",), {}, []),
        (("a", "b"), {("x", 2): 1}, [[["x", "2"], 1.0]]),
    ],
)
def test_what_a_gauge_may_return(labels, value, expected):
    assert samples(Gauge("g", 1.0, labels, "", lambda: None), value) == expected


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ((), None),
        ((), "3"),
        ((), {"x": 1}),
        (("a",), 3),
        (("a",), {("x", "y"): 1}),
        (("a", "b"), {"x": 1}),
        (("a",), {"x": "1"}),
        (("a",), dict.fromkeys(range(1001), 1)),
    ],
)
def test_what_a_gauge_may_not_return(labels, value):
    with pytest.raises((TypeError, ValueError)):
        samples(Gauge("g", 1.0, labels, "", lambda: None), value)


def test_the_child_dies_with_an_exporter_that_is_killed(project, tmp_path):
    directory = project(
        """
        import ctypes, pathlib
        @watchroom.gauge("deaf", every="1m")
        def deaf():
            pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
            ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock
        """
    )
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from watchroom.exporter.failures import Failures\n"
        "from watchroom.exporter.collect.groups import GROUPS\n"
        "from watchroom.exporter.collect.supervisor import Child\n"
        "Child(GROUPS[0], os.environ, Failures()).start()\n"
        "time.sleep(60)\n"
    )
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(directory), SOURCE]),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
    }
    with subprocess.Popen([sys.executable, script], env=environ) as parent:
        try:
            pid = directory / "shop" / "pid"
            end = time.monotonic() + 20
            while not (pid.exists() and pid.read_text()):
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            parent.kill()
    end = time.monotonic() + 5
    while not gone(pid.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
