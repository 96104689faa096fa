"""Which servers drills and checks use, and where their results are stored."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchroom.cli.ask import exporter_token, token_for, url_of
from watchroom.cli.options import MONITORING
from watchroom.errors import ConfigError
from watchroom.formats import alertmanager as alertmanager_file
from watchroom.formats import manifest as manifest_file
from watchroom.formats.reading import text_of
from watchroom.prove.chain import find_chain
from watchroom.prove.checklist.world import PLACES, Given
from watchroom.prove.drills.drill import Built
from watchroom.prove.records import FileRecords, MonitorRecords
from watchroom.runtime.state import state_path

if TYPE_CHECKING:
    from watchroom.prove.chain import Chain
    from watchroom.prove.records import Records


def read_built(directory: Path) -> Built:
    """Return what was built into a directory.

    Raises:
        ConfigError: Nothing was, or it is damaged.
    """
    manifest, config = directory / "watchroom.json", directory / "alertmanager.yml"
    hint = (
        "give the directory that `watchroom build` wrote, or build it: watchroom "
        f"build {directory}"
    )
    return Built(
        directory,
        manifest_file.load(text_of(manifest, hint), str(manifest)),
        alertmanager_file.load(text_of(config, hint), str(config)),
    )


def given(directory: Path, prometheus: str, alertmanager: str, exporter: str) -> Given:
    """Return a command's options; the default directory isn't repeated."""
    shown = "" if directory == MONITORING else str(directory)
    return Given(
        shown,
        prometheus,
        alertmanager,
        exporter,
        program=_program(),
        environment=tuple(
            (name, os.environ[name]) for name in PLACES if os.environ.get(name)
        ),
    )


def _program() -> tuple[str, ...]:
    """Return how a shell with another PATH starts watchroom."""
    if shutil.which("watchroom"):
        return ("watchroom",)
    beside = Path(sys.executable).parent / "watchroom"
    if beside.is_file():
        return (str(beside),)
    return (sys.executable, "-m", "watchroom")


def chain_of(built: Built, urls: Given) -> Chain:
    """Return the servers that drills and checks of a build use.

    Raises:
        ConfigError: The monitor can't be reached, a URL is invalid, or a token can't
            be read.
    """
    for option, url in (
        ("--url", urls.prometheus),
        ("--alertmanager", urls.alertmanager),
        ("--exporter", urls.exporter),
    ):
        parts = urlsplit(url)
        if url and not (parts.scheme in {"http", "https"} and parts.hostname):
            raise ConfigError(
                f"{url!r} is not an HTTP URL",
                field=option,
                hint="write http://HOST:PORT",
            )
    name = built.manifest.name
    prometheus, _ = url_of(built.directory, urls.prometheus or None)
    return find_chain(
        prometheus,
        urls.alertmanager,
        urls.exporter or built.manifest.exporter,
        exporter_token(name, os.environ),
        token_for(prometheus, name),
    )


def records_of(chain: Chain, name: str) -> Records:
    """Return the records of a chain: the monitor's own, or a file of this machine.

    A real Prometheus has no place for them; the file stands where the state of this
    deployment's monitor would.
    """
    if chain.embedded:
        return MonitorRecords(chain.prometheus, chain.watch_token)
    return FileRecords(state_path(None, name, os.environ) / "proofs.json")
