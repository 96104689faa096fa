"""Where a client on this machine finds the exporter's token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.runtime import directory as rundir

if TYPE_CHECKING:
    from collections.abc import Mapping


def exporter_token(name: str, environ: Mapping[str, str]) -> str:
    """Return the token of this machine's exporter, or nothing.

    Args:
        name: Of the deployment; see `watchroom.runtime.directory.deployment`.
        environ: The environment.

    Raises:
        ConfigError: WATCHROOM_TOKEN_FILE cannot be read.
    """
    if token := environ.get("WATCHROOM_TOKEN", ""):
        return token
    if file := environ.get("WATCHROOM_TOKEN_FILE", ""):
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}",
                file=file,
                field="WATCHROOM_TOKEN_FILE",
            ) from None
    directory = rundir.locate(name, environ.get("WATCHROOM_RUNTIME_DIR"))
    try:
        return (directory / "token").read_text().strip()
    except OSError:
        return ""
