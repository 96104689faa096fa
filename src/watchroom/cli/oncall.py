"""What the commands of on-call share: ask the monitor's API, say what it said."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchroom.cli.ask import Answer, AskError, ask, refusal, url_of

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "/api/v1/watchroom"


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which monitor it asks."""
    built = click.option(
        "--dir",
        "directory",
        metavar="DIRECTORY",
        help="Built directory; selects which monitor of this machine.",
        type=click.Path(path_type=Path, file_okay=False),
    )
    url = click.option(
        "--url", metavar="URL", help="The monitor. [the one on this machine, port 9700]"
    )
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="Print the raw response."
    )
    return built(url(as_json(command)))


class Monitor:
    """The monitor a command talks to."""

    def __init__(self, directory: Path | None, url: str | None) -> None:
        self._url, self._name = url_of(directory, url)
        self._options = ("--dir", directory), ("--url", url)

    def command(self, *words: str) -> str:
        """Return a command that asks this monitor when it is pasted."""
        given = (part for pair in self._options if pair[1] for part in pair)
        return shlex.join(["watchroom", *words, *map(str, given)])

    def get(self, path: str) -> Any:
        """Return what the API answers; exit with 1 when it refuses."""
        return self._data(ask(self._url, BASE + path, name=self._name))

    def post(self, path: str, **data: str) -> Any:
        """Return what the API answers; exit with 1 when it refuses."""
        return self._data(ask(self._url, BASE + path, name=self._name, data=data))

    def raw(self, path: str, *, body: Any = None, method: str | None = None) -> Answer:
        """Return the answer of another part of the API, to a JSON body."""
        return ask(self._url, path, name=self._name, body=body, method=method)

    def _data(self, answer: Answer) -> Any:
        return self.json(answer)["data"]

    def json(self, answer: Answer) -> Any:
        """Return the JSON of an answer; exit with 1 when it is a refusal."""
        if not answer.ok:
            self.refused(answer)
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise AskError(f"{self._url} answers something else than JSON") from error

    def refused(self, answer: Answer) -> None:
        """Say why the monitor says no, and exit with 1."""
        fail(refusal(self._url, answer))


def fail(why: str) -> None:
    """Say why not, and exit with 1."""
    click.echo(f"watchroom: {why}", err=True)
    sys.exit(1)


def say(data: Any, text: str, *, as_json: bool) -> None:
    """Print an answer for programs or for people."""
    click.echo(json.dumps(data, ensure_ascii=False) if as_json else text)
