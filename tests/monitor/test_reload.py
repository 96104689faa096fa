"""A reload takes all of the files or none: the monitor's own wiring, in process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest

from watchroom.listen import Listen
from watchroom.monitor.access.policy import Access
from watchroom.monitor.config import load
from watchroom.monitor.main import Options, _Monitor
from watchroom.monitor.reload import Reloader, load_rules
from watchroom.monitor.scrape.client import session
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.store import Store

CONTACTS = "contacts:\n- {{name: {}, receivers: [{}]}}\n"


def write(files, *, new):
    """Write one of two states of the files that differ in every part."""
    name = "new" if new else "old"
    files.jobs = []
    files.job("127.0.0.1:2" if new else "127.0.0.1:1", job_name=f"{name}-job")
    files.monitor_url = f"http://{name}.example.org"
    files.rules = f"groups:\n- {{name: {name}-group, rules: [{{alert: A, expr: m}}]}}\n"
    files.write()
    routes = json.loads((files.path / "alertmanager.yml").read_text())
    routes["route"] |= {"receiver": f"{name}-team", "group_by": [name]}
    routes["receivers"][0]["name"] = f"{name}-team"
    (files.path / "alertmanager.yml").write_text(json.dumps(routes))
    (files.path / "local" / "grafana").mkdir(parents=True, exist_ok=True)
    contacts = files.path / "local" / "contacts.yml"
    contacts.write_text(CONTACTS.format(name, f"{name}-team"))
    board = {"uid": f"{name}-board", "title": name, "panels": []}
    (files.path / "local" / "grafana" / "b.json").write_text(json.dumps(board))


def seen(services, evaluator):
    """Return what every part has in force."""
    labels = (("alertname", "A"), ("new", "1"), ("old", "1"))
    (place,) = services.dispatcher.routing.places([labels], 0)
    return {
        "targets": [one.target.url for one in services.scrapers.all()],
        "rules": [key.name for key, _ in services.rules.groups()],
        "evaluated": sorted(key.name for key, _ in evaluator._loops),
        "receivers": sorted({name for name, _ in services.notifier.notified()}),
        "groups": place.group,
        "contacts": [one.name for one in services.oncall.contacts.contacts],
        "dashboards": sorted(services.config.dashboards),
        "url": services.config.monitor_url,
    }


def within(files, tmp_path, script):
    """Run `script` with the parts of a monitor that has begun with the old files."""
    write(files, new=False)

    async def run(state, store):
        loaded, where = load(files.path), Listen("127.0.0.1", 9)
        access = Access("token", configured=False, listen=where)
        options = Options(files.path, where)
        monitor = _Monitor(options, loaded, access, state, store, "http://localhost")
        async with session() as one:
            services, jobs, evaluator = monitor._parts(one, one)
            reloader = Reloader(services, jobs, evaluator)
            load_rules(services, loaded)
            await reloader.begin(loaded)
            try:
                parts = {**vars(services), "jobs": jobs, "evaluator": evaluator}
                parts["manual"] = services.manual
                await script(reloader, services, parts)
            finally:
                await jobs.stop()
                await evaluator.stop()
                await asyncio.to_thread(services.queries.close)
                monitor._parse_pool.shutdown()

    with contextlib.closing(StateDB(tmp_path)) as state:
        store = Store(
            tmp_path, retention_seconds=60.0, retention_bytes=2**20, now=time.time
        )
        with contextlib.closing(store):
            asyncio.run(run(state, store))


# Each stage of applying, by the object that does it, and the method.
STAGES = {
    "scraping": ("jobs", "apply"),
    "scrapers": ("scrapers", "set"),
    "the monitor as a target": ("itself", "apply"),
    "rules": ("rules", "load"),
    "evaluation": ("evaluator", "apply"),
    "delivery": ("notifier", "reload"),
    "routing": ("dispatcher", "reload"),
    "incidents opened by hand": ("manual", "renew"),
}


def failing(part, method, times):
    """Make a method raise after it has done its work, so many times."""
    done = getattr(part, method)
    left = [times]

    def now():
        left[0] -= 1
        if left[0] >= 0:
            raise ZeroDivisionError("injected")

    def plain(*args, **kwargs):
        result = done(*args, **kwargs)
        now()
        return result

    async def waiting(*args, **kwargs):
        result = await done(*args, **kwargs)
        now()
        return result

    # A mock: no file makes this stage fail, every fault of a file is found before it.
    kind = waiting if asyncio.iscoroutinefunction(done) else plain
    setattr(part, method, kind)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_fails_leaves_everything_as_it_was(stage, files, tmp_path):
    async def script(reloader, services, parts):
        before = seen(services, parts["evaluator"])
        assert before["targets"] == ["http://127.0.0.1:1/metrics"]
        name, method = STAGES[stage]
        write(files, new=True)
        failing(parts[name], method, times=1)
        assert "ZeroDivisionError" in await reloader()
        assert seen(services, parts["evaluator"]) == before
        assert services.reloads.failures == 1
        assert "injected" in services.reloads.problem
        assert await reloader() == ""
        after = seen(services, parts["evaluator"])
        assert all(after[part] != before[part] for part in before), after
        assert (services.reloads.problem, services.reloads.failures) == ("", 1)

    within(files, tmp_path, script)


BAD = {
    "prometheus.yml": "scrape_configs: [{job_name: a, params: 5}]",
    "rules/r.yml": (
        "groups: [{name: g, rules: [{alert: a, expr: m, labels: {a: '{{'}}]}]"
    ),
    "rules/z.yml": "groups: [{name: g, rules: [{record: a, expr: sum(}]}]",
    "alertmanager.yml": "route: {receiver: nobody}\nreceivers: []",
    "local/contacts.yml": "contacts: [{name: a, receivers: [nobody]}]",
    "grafana/watchroom-overview.json": "[",
    "watchroom.json": "{}",
}


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_file_leaves_everything_as_it_was(bad, files, tmp_path):
    async def script(reloader, services, parts):
        before = seen(services, parts["evaluator"])
        write(files, new=True)
        (files.path / bad).write_text(BAD[bad])
        assert bad in await reloader()
        assert seen(services, parts["evaluator"]) == before
        assert services.reloads.failures == 1

    within(files, tmp_path, script)


def test_a_rollback_that_fails_too_is_reported_and_ends_nothing(files, tmp_path):
    async def script(reloader, services, parts):
        write(files, new=True)
        failing(services.scrapers, "set", times=2)
        assert "ZeroDivisionError" in await reloader()
        assert services.config.monitor_url == "http://old.example.org"
        assert await reloader() == ""
        assert seen(services, parts["evaluator"])["rules"] == ["new-group"]

    within(files, tmp_path, script)
