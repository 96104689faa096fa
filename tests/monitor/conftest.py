"""Rules on a clock of the test's own; a real monitor process, a target, a receiver."""

from __future__ import annotations

import shutil
import textwrap

import pytest
from tests.support.listener import listening
from tests.support.sample_rows import SampleRows
from tests.support.watched import Files, Monitor, Target

from watchroom.formats import rulefile
from watchroom.monitor.rules.manager import RuleManager
from watchroom.monitor.state.database import StateDB
from watchroom.promql.engine import Engine


@pytest.fixture
def target():
    found = Target()
    yield found
    found.close()


@pytest.fixture
def pages():
    with listening() as listener:
        yield listener


@pytest.fixture
def files(tmp_path, pages):
    return Files(tmp_path / "monitoring", pages.url())


@pytest.fixture
def monitor(files, tmp_path):
    found = Monitor(files, tmp_path)
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def _judged(request):
    """Skip, by name, what needs a program that is not installed."""
    marker = request.node.get_closest_marker("judge")
    for program in marker.args if marker else ():
        if shutil.which(program) is None:
            pytest.skip(f"needs Debian's {program}")


class Bench:
    """A rule manager over samples in memory and a real state.db.

    `restart` does what a kill and a new process do: a new state, a new manager.
    """

    def __init__(self, directory, files, interval=5.0, **loaded):
        self.directory = directory
        self.interval = interval
        self.loaded = {"external_labels": {}, **loaded}
        self.store = SampleRows()
        self.sent = []
        self.files = {}
        self.state = None
        self.start(files, 0)

    def start(self, files, at):
        """Start a process at `at` seconds over the state directory."""
        self.state = StateDB(self.directory)
        self.rules = RuleManager(
            state=self.state,
            store=self.store,
            engine=Engine(),
            sink=self.sent.append,
            external_url="http://watch.example",
        )
        self.load(files, at)

    def load(self, files, at):
        """Take rule files (name → YAML text) at `at` seconds."""
        self.files = {"r.yml": files} if isinstance(files, str) else files
        self.rules.load(
            {
                name: rulefile.load(textwrap.dedent(text), name)
                for name, text in self.files.items()
            },
            at_ms=round(at * 1000),
            interval_seconds=self.interval,
            **self.loaded,
        )

    def restart(self, at, files=None):
        """End the process without a word and start another."""
        self.state.close()
        self.start(files or self.files, at)

    def tick(self, at, *samples):
        """Write ``(name, value, labels)`` at `at` seconds and evaluate all groups."""
        for name, value, labels in samples:
            self.store.put(round(at * 1000), name, value, **labels)
        return [
            self.rules.evaluate(key, round(at * 1000)) for key, _ in self.rules.groups()
        ]

    def run(self, start, stop, value, step=5, name="x", **labels):
        """Tick from `start` to `stop` (excluded) with one series at one value."""
        for at in range(start, stop, step):
            self.tick(at, *([] if value is None else [(name, value, labels)]))

    def states(self):
        """Return alert name → state of what is pending or firing."""
        return {
            dict(a.labels)["alertname"]: a.state for a in self.rules.loaded.alerts()
        }

    def errors(self):
        """Return rule name → last error, of rules that failed."""
        return {
            rule.name: rule.last_error
            for group in self.rules.loaded.views()
            for rule in group.rules
            if rule.health == "err"
        }

    def heard(self):
        """Return what the dispatcher was told: (alertname, fires), no repeats."""
        found = []
        for alerts in self.sent:
            for alert in alerts:
                said = (dict(alert.labels)["alertname"], alert.ends_at_ms is None)
                if not found or found[-1] != said:
                    found.append(said)
        return found


@pytest.fixture
def bench(tmp_path):
    """Return a maker of benches; all are closed at the end."""
    made = []

    def make(files, **options):
        directory = tmp_path / f"state{len(made)}"
        directory.mkdir()
        made.append(Bench(directory, files, **options))
        return made[-1]

    yield make
    for each in made:
        each.state.close()
