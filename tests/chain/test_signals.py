"""The machine's and the servers' signals, caused for real: metric, rule and page."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.support.certificates import Certificate
from tests.support.certificates import Site as Https
from tests.support.hook import Hook
from tests.support.plans import put
from tests.support.postgres import server
from tests.support.waiting import until
from tests.support.watched import Monitor

from watchroom.catalogue import load
from watchroom.conf.receivers import Receiver
from watchroom.derive.files import files
from watchroom.derive.plan import plan
from watchroom.derive.site import Site
from watchroom.exporter.collect.supervisor import Child
from watchroom.exporter.drills import Drills
from watchroom.exporter.failures import Failures
from watchroom.exporter.machine.disks import Disks
from watchroom.exporter.machine.workload import LiveProcess, Workload
from watchroom.exporter.metrics import PARTS, Scrape
from watchroom.exporter.probe.site import Sites
from watchroom.exporter.processes.merge import Merger
from watchroom.exporter.server import ExporterServices, Server
from watchroom.exporter.sources import Sources
from watchroom.exporter.token import Token
from watchroom.formats.manifest import Inputs
from watchroom.listen import Listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.hook import Message

pytestmark = pytest.mark.slow
MIB = 1 << 20
GOOD = ("20200101000000Z", "20491231235959Z")
EXPIRED = ("20200101000000Z", "20200201123456Z")
GROUP = "system.slice/shop.service"
OFTEN = """
from watchroom.exporter.collect import database
database.EVERY_SECONDS = 1.0
collectors = database.collectors
"""


@contextmanager
def tmpfs(point: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB, or skip."""
    point.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(point)]
    done = os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False)
    if not done or done.returncode:
        pytest.skip("needs root to mount a tmpfs")
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def fill(file: Path) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as big, suppress(OSError):
        while True:
            big.write(bytes(65536))


def remember(root: Path, used: int, limit: int | str) -> None:
    """Write a tree of control groups in which a service uses so much of so much."""
    put(
        root,
        {
            "proc/42/cgroup": f"0::/{GROUP}\n",
            "proc/42/stat": f"42 (shop) S 1 {'0 ' * 19}1000 0\n",
            "proc/meminfo": (f"MemTotal: {8 << 20} kB\nMemAvailable: {4 << 20} kB\n"),
            f"cgroup/{GROUP}/memory.current": f"{used}\n",
            f"cgroup/{GROUP}/memory.max": f"{limit}\n",
            f"cgroup/{GROUP}/memory.stat": "inactive_file 0\n",
        },
    )


# There is no web process to be seen here, and one page is enough for a fault.
NO_APP = {"AppDown": load.Override(severity="warning")}


@contextmanager
def exporter(root: Path, disk: Path, database: str, sites: Sites) -> Iterator[str]:
    """Serve the real sources, their roots in `root`; yield the address."""
    put(
        root / "project",
        {
            "asked/__init__.py": "",
            "asked/often.py": OFTEN,
            "asked/settings.py": f"SECRET_KEY = 'x'\nDATABASES = {{{database}}}\n",
        },
    )
    path = os.pathsep.join([str(root / "project"), os.environ.get("PYTHONPATH", "")])
    environ = {
        **os.environ,
        "PYTHONPATH": path,
        "DJANGO_SETTINGS_MODULE": "asked.settings",
    }
    failures = Failures(PARTS)
    child = Child(
        SimpleNamespace(name="database", module="asked.often"), environ, failures
    )
    workload = Workload(
        lambda: [LiveProcess(42, "web")], root / "proc", root / "cgroup"
    )
    sources = Sources([workload, Disks([disk], failures), child], failures)
    merger = Merger(root / "run", "shop")
    drills = Drills(lambda: 0.0, lambda: 0.0)

    def services(refused):
        scrape = Scrape(merger, sources, drills, failures, refused)
        return ExporterServices(scrape, sites, drills, failures, Token({}, root))

    serving = Server(Listen("127.0.0.1", 0), services)
    thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
    thread.start()
    child.start()
    try:
        yield str(serving.listen)
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()
        child.stop()
        merger.close()


def build(root: Path, address: str, url: str, hook: Hook) -> SimpleNamespace:
    """Write the files of the standard catalogue, quick, for this exporter and site."""
    site = Site(
        project="shop",
        environment="production",
        sites=(url,),
        exporter=address,
        monitor_url="http://127.0.0.1:9700",
        receivers=(Receiver("ops", hook.url),),
        inputs=Inputs(interval="1s", window="10s", for_="2s"),
        has=frozenset({"sites", "https", "database", "asked_database", "postgresql"}),
    )
    made = files(
        plan(load.catalogue((), NO_APP), site, load.series_labels()), "0.0.0", {}
    )
    routes = made["alertmanager.yml"].replace("group_wait: 30s", "group_wait: 0s")
    for slow in ("30s", "1m"):
        routes = routes.replace(f"group_interval: {slow}", "group_interval: 1s")
    put(root, {**made, "alertmanager.yml": routes})
    return SimpleNamespace(path=root)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Everything, up and calm."""
    with ExitStack() as stack:
        disk = stack.enter_context(tmpfs(tmp_path / "disk"))
        database = stack.enter_context(
            server("max_connections=10", "superuser_reserved_connections=3")
        )
        with psycopg.connect(database.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE shop LOGIN")
        hook = Hook()
        stack.callback(hook.close)
        good = Certificate(tmp_path / "good", *GOOD)
        expired = Certificate(tmp_path / "expired", *EXPIRED)
        https = Https(good)
        stack.callback(https.close)
        remember(tmp_path, 100 * MIB, 512 * MIB)
        settings = (
            "'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'ledger', "
            f"'USER': 'shop', 'HOST': '127.0.0.1', 'PORT': '{database.port}'}}"
        )
        sites = Sites([https.url], good.trusted())
        address = stack.enter_context(exporter(tmp_path, disk, settings, sites))
        built = build(tmp_path / "monitoring", address, https.url, hook)
        monitor = Monitor(built, tmp_path).start()
        stack.callback(monitor.kill)
        monitor.ready()
        yield SimpleNamespace(**locals())


CALM = {
    'min(db_up{job="app"})': 1,
    "max(job_alias:db_connections:used_ratio)": 0,
    "max(job_instance_name:container_memory:used_ratio)": 100 / 512,
    "min(job_instance_mountpoint:node_filesystem_avail:ratio)": 1,
    "min(job_instance:certificate:seconds_left) > bool 86400": 1,
    'count(up{job!~"drill.*"})': 3,
}


def move(watched: SimpleNamespace, wanted: dict[str, float]) -> None:
    """Wait until each expression has its value, as the monitor knows it."""
    for expr, value in wanted.items():
        until(
            lambda e=expr, v=value: watched.monitor.value(e) == pytest.approx(v),
            60,
            f"{expr} is {value}, not {watched.monitor.value(expr)}",
        )


def pages(watched: SimpleNamespace, status: str, *names: str) -> None:
    for name in names:
        watched.hook.wait("watchroom", name, status, 60)


def urgent(watched: SimpleNamespace) -> list[Message]:
    """Return the messages for which somebody is woken."""
    return [m for m in watched.hook.messages if m.labels.get("priority") == "P1"]


def test_each_signal_moves_metric_rule_and_page_and_back(watched) -> None:
    move(watched, CALM)
    held = ExitStack()
    with held:
        for _ in range(6):
            url = watched.database.url_of("shop")
            held.enter_context(psycopg.connect(url))
        remember(watched.tmp_path, 450 * MIB, 512 * MIB)
        fill(watched.disk / "big")
        watched.https.certificate = watched.expired
        move(
            watched,
            {
                "max(job_alias:db_connections:used_ratio)": 6 / 7,
                "max(job_instance_name:container_memory:used_ratio)": 450 / 512,
                "min(job_instance_mountpoint:node_filesystem_avail:ratio)": 0,
                "min(job_instance:certificate:seconds_left) < bool 0": 1,
                "max(probe_failed_due_to_certificate)": 1,
            },
        )
        names = ("DatabaseConnectionsHigh", "MemoryHigh", "DiskSpaceLow")
        pages(watched, "firing", *names)
        of_the_certificate = {
            *("CertificateExpiringSoon", "CertificateUntrusted", "SiteDown")
        }
        move(
            watched,
            {
                f'count(ALERTS{{alertname="{name}",alertstate="firing"}})': 1
                for name in of_the_certificate
            },
        )
        paged = until(
            lambda: {m.name for m in urgent(watched)}, 60, "the certificate is paged"
        )
        assert len(paged) == 1
        assert paged <= of_the_certificate
        remember(watched.tmp_path, 100 * MIB, 512 * MIB)
        (watched.disk / "big").unlink()
        watched.https.certificate = watched.good
    move(watched, CALM)
    pages(watched, "resolved", *names, *paged)
    assert {m.name for m in urgent(watched)} == paged
    unlimited_memory_is_the_machines(watched)
    a_stopped_database_is_one_page_and_not_five(watched)
    blind = {m.name for m in watched.hook.messages if m.labels.get("blind")}
    assert not blind


def unlimited_memory_is_the_machines(watched) -> None:
    remember(watched.tmp_path, 450 * MIB, "max")
    move(
        watched,
        {
            "count(container_spec_memory_limit_bytes) or vector(0)": 0,
            'job_instance_name:container_memory:used_ratio{name="machine"}': 0.5,
        },
    )


def a_stopped_database_is_one_page_and_not_five(watched) -> None:
    watched.database.stop()
    move(watched, {'min(db_up{job="app"})': 0})
    pages(watched, "firing", "DatabaseDown")
    watched.database.start()
    move(watched, {'min(db_up{job="app"})': 1})
    pages(watched, "resolved", "DatabaseDown")
    down = [m for m in watched.hook.messages if m.name == "DatabaseDown"]
    assert down[0].labels["priority"] == "P1"
    assert down[0].labels["alias"] == "default"
