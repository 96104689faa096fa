"""The token that watchroom's own processes know each other by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "token"  # in the runtime directory
LONGEST = 4096
SHORTEST = 16


def from_environment(environ: Mapping[str, str]) -> str:
    """Return what WATCHROOM_TOKEN says, or the file that WATCHROOM_TOKEN_FILE names.

    Raises:
        ConfigError: The file cannot be read or is empty, or the token can be guessed.
    """
    token, name = environ.get("WATCHROOM_TOKEN", "").strip(), ""
    if not token and (name := environ.get("WATCHROOM_TOKEN_FILE", "")):
        try:
            with Path(name).open() as file:
                token = file.read(LONGEST).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"cannot be read: {getattr(error, 'strerror', 'it is not text')}",
                file=name,
                field="WATCHROOM_TOKEN_FILE",
            ) from None
        if not token:
            raise ConfigError("is empty", file=name, field="WATCHROOM_TOKEN_FILE")
    if token and len(token) < SHORTEST:
        raise ConfigError(
            f"the token has fewer than {SHORTEST} characters",
            field="WATCHROOM_TOKEN_FILE" if name else "WATCHROOM_TOKEN",
            hint="make one with: python -c "
            '"import secrets; print(secrets.token_urlsafe(32))"',
        )
    return token


def read_private(path: Path) -> str:
    """Return the token of a file that only its owner and root could have written.

    Raises:
        OSError: It cannot be read, or is not safe to trust.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened) as file:
        stat = os.fstat(opened)
        if stat.st_uid not in {os.geteuid(), 0}:
            raise OSError(0, f"it belongs to user {stat.st_uid}")
        # An owner may let a group read it, for colleagues who drill; no more.
        if stat.st_mode & 0o026:
            mode = stat.st_mode & 0o777
            raise OSError(0, f"its mode is {mode:o}: chmod 600 it, or remove it")
        return file.read(LONGEST).strip()
