"""`watchroom build`: from the catalogue to the files of monitoring."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from watchroom.catalogue import load as catalogue
from watchroom.cli import project, tree
from watchroom.cli.build_notes import notes
from watchroom.derive import proof
from watchroom.derive import site as sites
from watchroom.derive.files import files
from watchroom.derive.plan import Plan, plan
from watchroom.errors import ConfigError
from watchroom.formats.manifest import Inputs
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom import conf
    from watchroom.formats.manifest import Manifest


def _inputs(
    last: Manifest | None,
    *,
    settings: str | None,
    interval: str | None,
    window: str | None,
    hold: str | None,
    select: str | None,
    labels: tuple[str, ...],
    alertmanager: str | None,
) -> Inputs:
    """Return what to build with: the options, else what the last build recorded.

    An empty option takes a recorded one back.
    """
    base = last.inputs if last else Inputs()
    found = Inputs(
        settings=base.settings if settings is None else settings,
        interval=base.interval if interval is None else interval,
        window=base.window if window is None else window or None,
        for_=base.for_ if hold is None else hold or None,
        select=base.select if select is None else select.strip(),
        labels=_labels(labels) if labels else base.labels,
        alertmanager=base.alertmanager if alertmanager is None else alertmanager,
    )
    for option, text in (
        ("--interval", found.interval),
        ("--window", found.window),
        ("--for", found.for_),
    ):
        if text is None:
            continue
        try:
            seconds = parse_duration(text)
        except ConfigError as error:
            raise ConfigError(error.what, field=option, hint=error.hint) from None
        if seconds <= 0 and option != "--for":
            raise ConfigError("must be longer than 0", field=option)
    return found


def _labels(given: Iterable[str]) -> dict[str, str]:
    labels = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not text:
            continue
        if not sign or not name.isidentifier() or not value or '"' in value:
            raise ConfigError(
                f"{text!r} is not a label", field="--label", hint="write team=shop"
            )
        labels[name] = value
    return labels


def _plan(found: project.Project, inputs: Inputs) -> Plan:
    settings = found.settings
    overrides = {
        name: catalogue.Override(*each) for name, each in settings.vitals.items()
    }
    site = sites.Site(
        project=settings.project,
        environment=settings.environment,
        sites=settings.sites,
        exporter=settings.exporter,
        monitor_url=settings.monitor_url,
        receivers=tuple(map(_told, settings.receivers.values())),
        inputs=msgspec.structs.replace(inputs, settings=found.module),
        has=found.has,
        heartbeat=tuple(map(_told, settings.heartbeat)),
        logs_url=settings.logs_url,
        sentry_url=settings.sentry_url,
    )
    vitals = catalogue.catalogue(
        found.vitals, overrides, found.metrics, settings.objective
    )
    known = catalogue.series_labels(found.metrics)
    made = plan(vitals, site, known)
    proof.check(plan(vitals, sites.unselected(site), known) if inputs.select else made)
    return made


def _told(one: conf.Receiver) -> sites.SiteReceiver:
    return sites.SiteReceiver(
        name=one.name,
        url=one.url or "",
        secret=one.secret or "",
        severities=one.severity,
        priorities=one.priority,
        kind=one.kind,
        environments=one.environments,
        channel=one.channel,
        to=one.to,
        sender=one.sender,
        smarthost=one.smarthost,
        username=one.username,
        tls=one.tls,
        ca=one.ca or "",
    )


def _report_diff(changes: Iterable[tree.Change]) -> None:
    for change in changes:
        click.echo(change.diff, nl=False)


def _report_check(root: Path, found: list[tree.Change]) -> None:
    if not found:
        click.echo(f"{root} is up to date")
        return
    for change in found:
        click.echo(f"{root / change.path}: {change.kind}", err=True)
    click.echo(f"{root} is stale: run `watchroom build {root}`", err=True)
    sys.exit(1)


@click.command(short_help="Write the monitoring files of a project.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--project",
    "project_dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The Django project (where manage.py is).",
)
@click.option("--settings", metavar="MODULE", help="The project's settings module.")
@click.option(
    "--interval", metavar="DURATION", help="Scrape and evaluation interval. [5s]"
)
@click.option(
    "--window", metavar="DURATION", help="Rate window of every rule (demos and tests)."
)
@click.option(
    "--for", "hold", metavar="DURATION", help="`for` of every alert (demos and tests)."
)
@click.option(
    "--select",
    metavar="MATCHERS",
    help="Matchers added to every selector: 'namespace=\"shop\"'.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Label added to every rule. Default: the equality matchers of --select. "
    "Repeatable.",
)
@click.option(
    "--alertmanager",
    metavar="HOST:PORT",
    help="Alertmanager's address, for Prometheus. [127.0.0.1:9093]",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 if the files are stale."
)
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.option("--force", is_flag=True, help="Overwrite hand-edited generated files.")
def build(
    *,
    directory: Path,
    project_dir: Path,
    settings: str | None,
    interval: str | None,
    window: str | None,
    hold: str | None,
    select: str | None,
    labels: tuple[str, ...],
    alertmanager: str | None,
    check: bool,
    diff: bool,
    force: bool,
) -> None:
    """Write the monitoring files of a project into DIRECTORY.

    The monitor (`watchroom run`) and the real Prometheus and Alertmanager read the same
    files. DIRECTORY/local/ is yours and is merged in.

    Options are recorded in watchroom.json, and the next build uses them again. To reset
    an option to its default, pass an empty value ('').

    \b
    Examples:
      watchroom build monitoring/
      watchroom build monitoring/ --interval 15s
      watchroom build monitoring/ --check                in CI: fail if stale
      watchroom build monitoring/ --diff                 show what would change
      watchroom build shop/ --select 'namespace="shop"'  for a shared Prometheus

    Exit codes: 0 written or up to date, 1 stale (--check), 2 invalid input.
    """  # noqa: D301 - click's \b is a backspace
    last = tree.recorded(directory)
    if check and last is None:
        click.echo(
            f"{directory} has not been built yet: run `watchroom build {directory}`",
            err=True,
        )
        sys.exit(1)
    inputs = _inputs(
        last,
        settings=settings,
        interval=interval,
        window=window,
        hold=hold,
        select=select,
        labels=labels,
        alertmanager=alertmanager,
    )
    found = project.load(project_dir, inputs.settings or None)
    planned = _plan(found, inputs)
    built = files(planned, version("watchroom"), tree.fragments(directory))
    if check:
        _report_check(directory, tree.changes(directory, built, last))
    elif diff:
        _report_diff(tree.changes(directory, built, last))
    else:
        if not force:
            tree.refuse_edits(directory, built, last)
        _write(directory, built, last, planned)
        for note in notes(planned, directory, found.settings):
            click.echo(f"note: {note}", err=True)


def _write(
    root: Path, built: dict[str, str], last: Manifest | None, planned: Plan
) -> None:
    changed = tree.write(root, built, last)
    site = planned.site
    if any(one.secret for one in (*site.active_receivers, *site.heartbeat)):
        tree.guard_secrets(root)
    click.echo(
        f"{len(built)} files in {root}, {len(changed)} changed; interval "
        f"{site.inputs.interval}"
    )
