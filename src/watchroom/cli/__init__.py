"""The `watchroom` command: one module per command, loaded when it is called."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module
from typing import Any

import click

from watchroom.errors import MissingExtraError, WatchroomError

# command, which is a module in cli.commands too: one line of help.
# The line is here so that `watchroom --help` imports no command.
COMMANDS = {
    "ack": "Acknowledge an incident, or list the open ones.",
    "build": "Write the monitoring files of a project.",
    "check": "Verify the launch checklist, with evidence.",
    "demo": "Run the demo of a checkout (goes away in 0.2).",
    "deploy": "Mark a deployment.",
    "drill": "Test an alert end to end, from fault to page.",
    "exporter": "Serve the app's metrics, probes and drills.",
    "login": "Print a one-time link that logs a browser in.",
    "query": "Run a PromQL query.",
    "reload": "Reload a running monitor's configuration.",
    "silence": "Silence alerts for a limited time.",
    "run": "Run the monitor on the built files.",
}

# What a command may find missing once it runs; `--help` needs none of it.
EXTRAS = dict.fromkeys(
    (
        *("aiohttp", "jinja2", "markdown_it", "msgspec", "numpy", "promql_parser"),
        *("re2", "rich", "segno", "yaml", "zstandard"),
    ),
    "monitor",
)


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"watchroom.cli.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            command = ctx.invoked_subcommand or ""
            raise MissingExtraError(command, EXTRAS[package], package) from error

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in sorted(COMMANDS)])


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="watchroom")
def watchroom() -> None:
    """Monitoring for Django in production: metrics, alerts, notifications, console.

    \b
    Examples:
      watchroom build monitoring/        write Prometheus' and Alertmanager's files
      watchroom exporter                 serve the app's metrics on :9000
      watchroom run monitoring/          scrape, evaluate, notify; console on :9700
      watchroom check                    verify the launch checklist
      watchroom drill HighErrorRate      inject a fault and time the page
      watchroom ack                      list open incidents and who is on them

    Exit codes: 0 success, 1 refused, or a check or drill failed, 2 invalid input, or
    the server can't be reached, 3 (check only) something can't be verified from here.
    `watchroom COMMAND --help` has details.
    """  # noqa: D301 - click's \b is a backspace


def main() -> None:
    """Run the command line; errors of ours are one line on stderr and exit code 2."""
    try:
        watchroom(prog_name="watchroom")
    except WatchroomError as error:
        click.echo(f"watchroom: {error}", err=True)
        sys.exit(2)


__all__ = ["COMMANDS", "EXTRAS", "main", "watchroom"]
