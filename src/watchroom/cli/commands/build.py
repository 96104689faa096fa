"""`watchroom build`: from the catalogue to the files of monitoring."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.cli.tree import Change
    from watchroom.derive.plan import Plan
    from watchroom.formats.manifest import Manifest


def _report_diff(changes: Iterable[Change]) -> None:
    for change in changes:
        click.echo(change.diff, nl=False)


def _report_check(root: Path, stale: list[Change]) -> None:
    if not stale:
        click.echo(f"{root} is up to date")
        return
    for change in stale:
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
    check: bool,
    diff: bool,
    force: bool,
    **options: Any,
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
    from importlib.metadata import version

    from watchroom.cli import build_plan, project, tree
    from watchroom.cli.build_notes import notes
    from watchroom.derive.files import files

    last = tree.recorded(directory)
    if check and last is None:
        click.echo(
            f"{directory} has not been built yet: run `watchroom build {directory}`",
            err=True,
        )
        sys.exit(1)
    inputs = build_plan.inputs(last, **options)
    loaded = project.load(project_dir, inputs.settings or None)
    planned = build_plan.planned(loaded, inputs)
    built = files(planned, version("watchroom"), tree.fragments(directory))
    if check:
        _report_check(directory, tree.changes(directory, built, last))
    elif diff:
        _report_diff(tree.changes(directory, built, last))
    else:
        if not force:
            tree.refuse_edits(directory, built, last)
        _write(directory, built, last, planned)
        for note in notes(planned, directory, loaded.settings):
            click.echo(f"note: {note}", err=True)


def _write(
    root: Path, built: dict[str, str], last: Manifest | None, planned: Plan
) -> None:
    from watchroom.cli import tree

    changed = tree.write(root, built, last)
    site = planned.site
    if any(receiver.secret for receiver in (*site.active_receivers, *site.heartbeat)):
        tree.guard_secrets(root)
    click.echo(
        f"{len(built)} files in {root}, {len(changed)} changed; interval "
        f"{site.inputs.interval}"
    )
