"""`watchroom run DIR`: the embedded monitor."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from watchroom.cli.options import DURATION, SIZE
from watchroom.errors import ConfigError
from watchroom.listen import parse_listen


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--listen",
    default="127.0.0.1:9700",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on. Addresses other than loopback need "
    "WATCHROOM_TOKEN[_FILE].",
)
@click.option(
    "--storage.path",
    "storage",
    metavar="PATH",
    help="The state directory. Default: $STATE_DIRECTORY, else "
    "~/.local/state/watchroom/<project>.",
)
@click.option(
    "--storage.retention",
    "retention",
    default="31d",
    type=DURATION,
    show_default=True,
    help="How long samples are kept.",
)
@click.option(
    "--storage.size",
    "size",
    default="2GiB",
    type=SIZE,
    show_default=True,
    help="Size limit for samples.",
)
@click.option(
    "--token.group",
    "token_group",
    default="",
    metavar="GROUP",
    help="Group that may also read the monitor's token file.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also run `watchroom exporter` for the Django project in this directory.",
)
@click.option(
    "--settings", default="", metavar="MODULE", help="The project's settings module."
)
def run(
    directory: Path,
    listen: str,
    storage: str | None,
    retention: float,
    size: int,
    token_group: str,
    project: Path | None,
    settings: str,
) -> None:
    """Run the monitor: scrape, evaluate rules, notify, and serve the console.

    DIRECTORY is what `watchroom build` wrote.

    \b
    Examples:
      watchroom run monitoring/
      watchroom run monitoring/ --project . --settings shop.settings
      WATCHROOM_TOKEN_FILE=token watchroom run monitoring/ --listen 0.0.0.0:9700

    On this machine, viewing needs no login. Changes (acknowledge, silence, reload) need
    the access token: commands run by the same user find it; in a browser, log in with
    the link that is printed at the start, or with one from `watchroom login`.

    SIGHUP, POST /-/reload and `watchroom reload` reload the files. The monitor never
    imports the project's code, so a broken deploy doesn't stop the monitoring.

    Exit codes: 0 stopped by a signal, 2 invalid files or options.
    """  # noqa: D301 - click reads \b as the control character
    from watchroom.monitor.main import Options
    from watchroom.monitor.main import run as watch

    if settings and project is None:
        raise ConfigError("--settings needs --project", field="--settings")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    options = Options(
        files=directory,
        listen=parse_listen(listen),
        storage=storage,
        retention_seconds=retention,
        retention_bytes=size,
        project=project,
        settings=settings,
        token_group=token_group,
        offers_login=sys.stdout.isatty(),
    )
    watch(options, os.environ, click.echo)
