"""`watchroom exporter`: the app's metrics, probes and drills over HTTP."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--listen",
    default="",
    metavar="HOST:PORT",
    help="Address to listen on. Default: the EXPORTER setting, else 127.0.0.1:9000. "
    "Addresses other than loopback need WATCHROOM_TOKEN[_FILE].",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The Django project. Default: the current directory.",
)
@click.option(
    "--settings",
    default="",
    metavar="MODULE",
    help="The project's settings module. Default: DJANGO_SETTINGS_MODULE, else the "
    "one in manage.py.",
)
@click.option(
    "--local",
    is_flag=True,
    help="Only this host's metrics: its processes, memory and disks.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Only metrics that all hosts share: databases, brokers, the project's own "
    "gauges.",
)
def exporter(
    *, listen: str, project: Path, settings: str, local: bool, shared: bool
) -> None:
    """Serve the app's metrics, probe its sites, and run drills.

    The exporter loads the project's settings and none of its other code, so it works
    even when the app can't start. Work that can hang, such as a database query, runs in
    a child process. With several hosts, run one exporter on each, with --local on all
    but one, so that shared servers are queried only once.

    \b
    Examples:
      watchroom exporter
      watchroom exporter --project /srv/shop --settings shop.settings.production
      watchroom exporter --local
      WATCHROOM_TOKEN_FILE=token watchroom exporter --listen 0.0.0.0:9000
      curl http://127.0.0.1:9000/metrics
      curl 'http://127.0.0.1:9000/probe?target=https://shop.example/'

    Exit codes: 0 stopped by a signal, 2 invalid settings or address.
    """  # noqa: D301 - click's \b is a backspace
    from watchroom.cli.project import enter
    from watchroom.exporter.main import Scope, log_in_utc, serve, settings_of
    from watchroom.listen import parse_listen

    log_in_utc()
    exporter_settings = settings_of(enter(project, settings or None))
    where = parse_listen(listen or exporter_settings.exporter)
    scope = Scope(local=local or not shared, shared=shared or not local)
    serve(exporter_settings, where, scope)
