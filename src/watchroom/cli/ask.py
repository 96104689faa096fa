"""How commands query a running monitor, or a Prometheus: one HTTP request."""

from __future__ import annotations

import json
import os
import shlex
import sys
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from watchroom.errors import ConfigError, WatchroomError
from watchroom.formats import caps
from watchroom.formats.reading import text_of
from watchroom.runtime import directory as rundir
from watchroom.runtime import token as tokenfile
from watchroom.runtime.state import states_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watchroom.prove.client import Reply

DEFAULT_URL = "http://127.0.0.1:9700"
_TIMEOUT_SECONDS = 60.0


class AskError(WatchroomError):
    """The monitor can't be reached, or refused."""


def ask(
    url: str,
    path: str,
    *,
    name: str = "",
    data: dict[str, str] | None = None,
    body: Any = None,
    method: str | None = None,
) -> Reply:
    """Return the answer of GET, of POST with `data`, or with `body` as JSON.

    Raises:
        AskError: It can't be reached.
        ConfigError: `url` is not HTTP.
    """
    # Here, so that `--help` loads neither HTTP nor TLS.
    from watchroom.prove import client

    base = url.rstrip("/")
    if urllib.parse.urlsplit(base).scheme not in {"http", "https"}:
        raise ConfigError(
            f"{url!r} is not an HTTP URL", field="--url", hint=f"write {DEFAULT_URL}"
        )
    headers = client.bearer(token_for(base, name))
    sent = None
    if body is not None:
        sent, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    elif data is not None:
        sent = urllib.parse.urlencode(data).encode()
    try:
        return client.fetch(
            base + path,
            headers=headers,
            data=sent,
            method=method,
            seconds=_TIMEOUT_SECONDS,
        )
    except client.PeerError as error:
        raise AskError(
            f"{error}; is `watchroom run` running there? Use --url for another address"
        ) from error


def refusal(url: str, answer: Reply) -> str:
    """Return why a monitor refused, and what to do if it needs a token."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return (
            f"{url} needs a token, and none or a wrong one was sent: run this command "
            "as the monitor's user, or share the token with your group (watchroom "
            "run --token.group), or set WATCHROOM_TOKEN_FILE"
        )
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer.body.strip() or f"{url} answered HTTP {answer.status}"
    if isinstance(body, dict):
        body = body.get("error") or body.get("message") or body
    return str(body)


def token_for(base: str, name: str) -> str:
    """Return the environment's token, else the one of a monitor on this machine."""
    given = tokenfile.from_environment(os.environ)
    host = urllib.parse.urlsplit(base).hostname
    if given or host not in {"localhost", "127.0.0.1", "::1"}:
        return given
    for state in states_of(name, os.environ):
        # Several monitors have a token each.
        listens = _read(state / "address")
        if listens and not _same_place(listens, base):
            continue
        if (listens or name) and (token := _read(state / "token")):
            return token
    return ""


def exporter_token(name: str, environ: Mapping[str, str]) -> str:
    """Return the token of this machine's exporter, or "".

    Raises:
        ConfigError: The environment names a file that cannot be read or is empty.
    """
    if token := tokenfile.from_environment(environ):
        return token
    directory = rundir.locate(name, environ.get("WATCHROOM_RUNTIME_DIR"))
    return _read(directory / "token")


def _same_place(left: str, right: str) -> bool:
    return urllib.parse.urlsplit(left).port == urllib.parse.urlsplit(right).port


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def url_of(directory: Path | None, url: str | None) -> tuple[str, str]:
    """Return where the monitor of a directory of built files is, and its name.

    Without `url` it is the local one: a monitor writes its address into its state
    directory. MONITOR_URL is for people and may lead through a proxy.

    Raises:
        ConfigError: `watchroom build` didn't write `directory`.
    """
    if directory is None:
        return url or DEFAULT_URL, ""
    path = directory / "watchroom.json"
    try:
        text = text_of(path)
        caps.json_within(text, path)
        known = json.loads(text)
        project = str(known.get("project", ""))
        environment = str(known.get("environment") or rundir.PRODUCTION)
    except (ConfigError, ValueError, AttributeError) as error:
        raise ConfigError(
            "cannot be read",
            file=path,
            hint="give the directory that `watchroom build` wrote, or --url",
        ) from error
    name = project and rundir.deployment(project, environment)
    return url or _address(name) or DEFAULT_URL, name


def _address(name: str) -> str:
    addresses = (_read(state / "address") for state in states_of(name, os.environ))
    return next(filter(None, addresses), "")


BASE = "/api/v1/watchroom"


class Monitor:
    """The monitor a command talks to."""

    def __init__(self, directory: Path | None, url: str | None) -> None:
        self._url, self._name = url_of(directory, url)
        self._options = ("--dir", directory), ("--url", url)

    def command(self, *words: str) -> str:
        """Return a command for this monitor, to paste into a shell."""
        given = (part for pair in self._options if pair[1] for part in pair)
        return shlex.join(["watchroom", *words, *map(str, given)])

    def get(self, path: str) -> Any:
        """Return what the API answers; exit with 1 when it refuses."""
        return self._data(ask(self._url, BASE + path, name=self._name))

    def post(self, path: str, **data: str) -> Any:
        """Return what the API answers; exit with 1 when it refuses."""
        return self._data(ask(self._url, BASE + path, name=self._name, data=data))

    def raw(self, path: str, **sent: Any) -> Reply:
        """Return the answer of another part of the API; `sent` as `ask` takes it."""
        return ask(self._url, path, name=self._name, **sent)

    def _data(self, answer: Reply) -> Any:
        return self.json(answer)["data"]

    def json(self, answer: Reply) -> Any:
        """Return the JSON of an answer; exit with 1 when it is a refusal."""
        if not answer.ok:
            self.refused(answer)
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise AskError(f"{self._url} did not answer with JSON") from error

    def refused(self, answer: Reply) -> None:
        """Print why the monitor refused, and exit with 1."""
        fail(refusal(self._url, answer))


def fail(why: str) -> None:
    """Print the reason, and exit with 1."""
    click.echo(f"watchroom: {why}", err=True)
    sys.exit(1)


def say(data: Any, text: str, *, as_json: bool) -> None:
    """Print an answer for programs or for people."""
    click.echo(json.dumps(data, ensure_ascii=False) if as_json else text)
