"""`watchroom drill`: inject a fault and time the page, stage by stage."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from watchroom.cli.ask import url_of
from watchroom.cli.token import exporter_token
from watchroom.errors import ConfigError
from watchroom.formats import alertmanager as alertmanager_file
from watchroom.formats import manifest as manifest_file
from watchroom.prove.drill import DrillRun, Stage, Verdict, find_chain, real_pages

if TYPE_CHECKING:
    from rich.status import Status

    from watchroom.formats.manifest import Manifest


@click.command()
@click.argument("alerts", nargs=-1, required=True, metavar="ALERT...")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("monitoring"),
    show_default=True,
    help="The built directory.",
)
@click.option(
    "--prometheus",
    default="",
    metavar="URL",
    help="The monitor, or Prometheus. Default: the monitor on this machine.",
)
@click.option(
    "--alertmanager", default="", metavar="URL", help="Default: ask Prometheus."
)
@click.option("--exporter", default="", metavar="URL", help="Default: as built.")
@click.option(
    "--patience",
    default=1.0,
    show_default=True,
    help="Factor on the time each stage may take.",
)
@click.option("--force", is_flag=True, help="Also while a real P1 is firing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def drill(
    alerts: tuple[str, ...],
    directory: Path,
    prometheus: str,
    alertmanager: str,
    exporter: str,
    patience: float,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Prove an alert: fault, rule, route, page, and resolved again.

    The exporter serves faulty series under a job of their own; the unchanged rule must
    fire on them and the page must arrive. Real numbers are not touched, nobody is
    paged: each receiver that a real alert would reach gets a [DRILL] message.

    \b
    Examples:
      watchroom drill HighErrorRate
      watchroom drill HighErrorRate --prometheus http://127.0.0.1:9090
      watchroom drill HighErrorRate HighLatency --json | jq .passed

    The exporter's token comes from WATCHROOM_TOKEN, WATCHROOM_TOKEN_FILE, or its
    runtime directory on this machine.

    Exit codes: 0 every stage came true, 1 one did not (it is named), 2 bad input.
    """  # noqa: D301 - click's \b is a backspace
    manifest = manifest_file.load(
        _read(directory / "watchroom.json"), str(directory / "watchroom.json")
    )
    config = alertmanager_file.load(
        _read(directory / "alertmanager.yml"), str(directory / "alertmanager.yml")
    )
    token = exporter_token(manifest.project, os.environ)
    prometheus, _ = url_of(directory, prometheus or None)
    chain = find_chain(prometheus, alertmanager, exporter or manifest.exporter, token)
    if (real := real_pages(chain.prometheus)) and not force:
        raise ConfigError(
            f"a real P1 is firing: {', '.join(real)}",
            hint="drills wait for calm; --force drills all the same",
        )
    console = Console(highlight=False, stderr=as_json)
    if manifest.inputs.for_ or manifest.inputs.window:
        console.print(
            f"[dim]built with short windows ({manifest.inputs.window}) and for "
            f"({manifest.inputs.for_}): the times below are of those[/]"
        )
    verdicts = []
    for alert in alerts:
        _announce(console, chain.prometheus, manifest, alert)
        # A spinner on a terminal, nothing elsewhere: `for` alone may take minutes.
        with console.status("") as waiting:

            def wait(stage: str, status: Status = waiting) -> None:
                status.update(f"[dim]waiting until it is {stage}[/]")

            run = DrillRun(
                chain,
                manifest,
                config,
                directory,
                lambda stage: _show(console, stage),
                patience,
                wait,
            )
            verdicts.append(run.run(alert))
        _conclude(console, verdicts[-1])
    if as_json:
        click.echo(json.dumps(_document(verdicts), indent=2))
    sys.exit(0 if all(verdict.passed for verdict in verdicts) else 1)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", file=path, hint="watchroom build DIR"
        ) from None


def _announce(console: Console, server: str, manifest: Manifest, alert: str) -> None:
    built = [one for vital in manifest.vitals for one in vital.alerts]
    hold = next((one.for_ for one in built if one.name == alert), "")
    note = f"; its `for` is {hold}" if hold not in {"", "0s"} else ""
    console.print(f"[bold]{escape(alert)}[/] on {escape(server)}{note}", soft_wrap=True)


def _show(console: Console, stage: Stage) -> None:
    line = f"{stage.name:<10}{stage.seconds:7.1f} s   {escape(stage.detail)}"
    console.print(f"  [green]✓[/] {line}", soft_wrap=True)


def _conclude(console: Console, verdict: Verdict) -> None:
    if verdict.broken:
        console.print(
            f"  [red]✗ {verdict.broken:<10}[/]{escape(verdict.reason)}",
            soft_wrap=True,
        )
        return
    times = {stage.name: stage.seconds for stage in verdict.stages}
    console.print(
        f"  [bold green]passed[/]: the page arrived {times['delivered']:.1f} s after "
        f"the fault, resolved {times['resolved']:.1f} s after the recovery",
        soft_wrap=True,
    )


def _document(verdicts: list[Verdict]) -> dict[str, object]:
    return {
        "passed": all(verdict.passed for verdict in verdicts),
        "drills": [
            {
                "alert": verdict.alert,
                "nonce": verdict.nonce,
                "at": verdict.at,
                "passed": verdict.passed,
                "broken": verdict.broken,
                "reason": verdict.reason,
                "stages": [stage._asdict() for stage in verdict.stages],
            }
            for verdict in verdicts
        ],
    }
