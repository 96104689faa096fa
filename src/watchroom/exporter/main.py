"""The exporter's life: started, serving until a signal, stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom import conf
from watchroom.conf import redaction
from watchroom.errors import ConfigError, WatchroomError
from watchroom.exporter.collect.groups import configured
from watchroom.exporter.collect.supervisor import Child
from watchroom.exporter.drills import Drills
from watchroom.exporter.failures import Failures
from watchroom.exporter.machine.disks import Disks
from watchroom.exporter.machine.places import places
from watchroom.exporter.machine.workload import Workload
from watchroom.exporter.metrics import PARTS, Scrape
from watchroom.exporter.probe.health import AppHealth, address
from watchroom.exporter.probe.site import Sites
from watchroom.exporter.processes.merge import Merger
from watchroom.exporter.processes.roll import roll
from watchroom.exporter.server import ExporterServices, Server
from watchroom.exporter.sources import Sources
from watchroom.exporter.token import Token, refuse_open
from watchroom.listen import raise_descriptors
from watchroom.runtime import directory as rundir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watchroom.listen import Listen

log = logging.getLogger("watchroom.exporter")
_MOST_DESCRIPTORS = 4096


class Scope(NamedTuple):
    """What an exporter answers for.

    Attributes:
        local: This host's processes, memory and disks.
        shared: What is the same whichever host asks.
    """

    local: bool = True
    shared: bool = True


def serve(settings: conf.Settings, listen: Listen, scope: Scope) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: The address is taken or may not be used, the runtime directory is
            not fit, or the token is not.
    """
    asked = _asked_to_end()
    raise_descriptors(_MOST_DESCRIPTORS)
    failures = Failures(PARTS)
    directory = _runtime_directory(settings, failures)
    token = Token(os.environ, directory)
    refuse_open(listen, token)
    merger = Merger(directory, settings.name, code_directory=conf.code_directory())
    children = list(_children(failures)) if scope.shared else []
    sources = Sources(
        [
            *(_host(settings, merger, token, failures) if scope.local else ()),
            *children,
        ],
        failures,
    )
    app = merger if scope.local else None

    def services(refused: Callable[[], int]) -> ExporterServices:
        drills = Drills(time.monotonic, time.time)
        scrape = Scrape(app, sources, drills, failures, refused)

        def seen() -> dict[str, Any]:
            return {**roll(directory, settings), "mixed": merger.mixed()}

        return ExporterServices(
            scrape, Sites(settings.sites), drills, failures, token, seen
        )

    try:
        server = Server(listen, services)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {listen}: {error.strerror or error}",
            hint="if another exporter is running, stop it, or use another port "
            "with --listen HOST:PORT",
        ) from None
    try:
        token.current()
    except ConfigError as error:
        log.warning("drills can't be started: %s", error)
    answering = threading.Thread(target=server.serve_forever, name="http")
    answering.start()
    for child in children:
        child.start()
    details = settings.project, server.listen, directory
    log.info("project %s: http://%s/metrics over %s", *details)
    os.read(asked, 1)
    server.shutdown()
    answering.join()
    server.server_close()
    for child in children:
        child.stop()
    log.info("stopped")


def _asked_to_end() -> int:
    """Return a descriptor that can be read once SIGTERM or SIGINT has come.

    Not an Event or a queue: Python runs handlers when its main thread wakes up, and one
    that is about to wait for a lock as the signal comes does not (1 start of 7 on a
    busy machine).
    """
    asked, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return asked


def _children(failures: Failures) -> Iterator[Child]:
    from django.conf import settings as django_settings

    python_path = os.pathsep.join(path for path in sys.path if path)
    environ = {**os.environ, "PYTHONPATH": python_path}
    for group in configured(django_settings):
        yield Child(group, environ, failures)


def _host(
    settings: conf.Settings, merger: Merger, token: Token, failures: Failures
) -> Iterator[Workload | Disks | AppHealth]:
    from django.conf import settings as django_settings

    yield Workload(merger.live)
    yield Disks(places(django_settings, settings), failures)
    if where := address(settings.health, settings.sites):
        yield AppHealth(where, settings.health, token.current, failures)


def log_in_utc() -> None:
    """Log to stderr, with the time in UTC."""
    # Loading the settings moves the process to the project's time zone.
    handler = logging.StreamHandler()
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    form.converter = time.gmtime
    handler.setFormatter(form)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def settings_of(module: str) -> conf.Settings:
    """Return what the project's settings say.

    Raises:
        ConfigError: They do not load.
    """
    try:
        return conf.settings()
    except WatchroomError:
        raise
    except Exception as error:
        text = redaction.clean(f"{type(error).__name__}: {error}")
        raise ConfigError(
            f"the settings {module!r} can't be loaded: {text}",
            hint="the exporter needs them: they name the project, its sites and "
            "its gauges",
        ) from error


def _runtime_directory(settings: conf.Settings, failures: Failures) -> Path:
    directory = conf.runtime_dir(settings)
    try:
        rundir.prepare(directory)
    except OSError as error:
        # Served all the same: the processes may make it later, as another user.
        failures.count("merge", error)
    return directory
