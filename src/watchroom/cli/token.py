"""Where a client on this machine finds a token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.formats import rundir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def from_environment(environ: Mapping[str, str]) -> str:
    """Return the token of WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE, or nothing.

    Raises:
        ConfigError: The file cannot be read.
    """
    if token := environ.get("WATCHROOM_TOKEN", ""):
        return token
    if name := environ.get("WATCHROOM_TOKEN_FILE", ""):
        try:
            return Path(name).read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}",
                file=name,
                field="WATCHROOM_TOKEN_FILE",
            ) from None
    return ""


def exporter_token(project: str, environ: Mapping[str, str]) -> str:
    """Return the token of this machine's exporter, or nothing.

    Raises:
        ConfigError: WATCHROOM_TOKEN_FILE cannot be read.
    """
    found = from_environment(environ)
    if found:
        return found
    directory = rundir.locate(project, environ.get("WATCHROOM_RUNTIME_DIR"))
    return first_of([directory / "token"])


def first_of(paths: Iterable[Path]) -> str:
    """Return the token in the first of `paths` that can be read, or nothing."""
    for path in paths:
        try:
            return path.read_text().strip()
        except OSError:
            continue
    return ""
