"""`watchroom login`: a link that logs a browser in, once; as a QR code for a phone."""

from __future__ import annotations

import io
import json
import urllib.parse
from typing import TYPE_CHECKING

import click

from watchroom.cli.ask import Monitor
from watchroom.cli.options import one_monitor
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_HERE = {"localhost", "127.0.0.1", "::1"}


@click.command()
@one_monitor
@click.option("--phone", is_flag=True, help="Also show the link as a QR code.")
@click.option("--json", "as_json", is_flag=True, help="Print the link as JSON.")
def login(directory: Path | None, url: str | None, phone: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Print a link that logs a browser in. It works once, within ten minutes.

    The link opens a page with a button, so a link preview doesn't use it up. DIRECTORY
    is what `watchroom build` wrote; it selects which local monitor to use.

    \b
    Examples:
      watchroom login
      watchroom login monitoring/ --phone
      watchroom login --json

    Exit codes: 0 printed, 1 the monitor refused, 2 the monitor can't be reached, or a
    phone couldn't open the link.
    """  # noqa: D301 - click reads \b as the control character
    monitor = Monitor(directory, url)
    offered = monitor.json(monitor.raw("/-/login-link", data={}))
    link = f"{offered['url'].rstrip('/')}/{offered['path']}"
    if as_json:
        click.echo(json.dumps({"url": link, "seconds": offered["seconds"]}))
        return
    if phone:
        import segno

        _refuse_loopback(link)
        code = io.StringIO()
        segno.make(link, micro=False).terminal(code, border=2, compact=True)
        click.echo(code.getvalue())
    click.echo(link)
    click.echo(
        f"The link works once, within {offered['seconds'] // 60} minutes.", err=True
    )


def _refuse_loopback(link: str) -> None:
    host = urllib.parse.urlsplit(link).hostname
    if host in _HERE:
        raise ConfigError(
            f"a phone can't open http://{host}",
            field="WATCHROOM['MONITOR_URL']",
            hint="set it to an address at which phones reach this monitor, then "
            "build and reload",
        )
