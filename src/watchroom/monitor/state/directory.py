"""Where the monitor keeps its state: found, refused, locked, and the token in it."""

from __future__ import annotations

import grp
import os
import secrets
from typing import TYPE_CHECKING, Self

from watchroom.errors import ConfigError
from watchroom.monitor.files import lock
from watchroom.runtime import token as tokenfile
from watchroom.runtime.filesystem import network_filesystem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StorageDir:
    """The state directory, held by one monitor while it runs.

    Raises:
        ConfigError: It lies inside the built files, on a network file system,
            cannot be written, or another monitor holds it.
    """

    def __init__(self, path: Path, files: Path) -> None:
        self.path = path.absolute()
        root = files.resolve()
        if root == self.path.resolve() or root in self.path.resolve().parents:
            raise ConfigError(
                "the state directory is inside the directory of built files",
                file=self.path,
                hint="those are generated and committed; choose another --storage.path",
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = network_filesystem(self.path)
            if kind:
                raise ConfigError(
                    f"the state directory is on a network file system ({kind})",
                    file=self.path,
                    hint="choose a --storage.path on a local disk",
                )
            self._lock, holder = lock(self.path / "lock")
        except OSError as error:
            raise ConfigError(
                f"the state directory can't be used: {error.strerror}",
                file=self.path,
                hint="choose a --storage.path that this user can write to",
            ) from error
        if holder:
            raise ConfigError(
                f"another monitor ({holder}) is using the state directory",
                file=self.path,
                hint="stop that process, or choose another --storage.path",
            )

    def note_address(self, url: str) -> None:
        """Write where this monitor listens, for `watchroom reload` and `query`."""
        (self.path / "address").write_text(url + "\n")

    def token(self, env: Mapping[str, str], group: str = "") -> tuple[str, bool]:
        """Return the token and whether the environment set it.

        Without one in the environment, that of the file here, made when missing: for
        its owner alone, or for a group too.

        Raises:
            ConfigError: The configured token is short or its file cannot be read; the
                group does not exist, or this process is not in it.
        """
        configured = tokenfile.from_environment(env)
        if configured:
            if group:
                raise ConfigError(
                    "the token comes from the environment: there is no file to share",
                    field="--token.group",
                    hint="leave this option out, or WATCHROOM_TOKEN and "
                    "WATCHROOM_TOKEN_FILE",
                )
            return configured, True
        token = _own_token(self.path / "token")
        if group:
            self._share(group)
        return token, False

    def _share(self, group: str) -> None:
        """Let a group read the token and the address, and pass through to them."""
        address = self.path / "address"
        address.touch(mode=0o640)
        try:
            number = grp.getgrnam(group).gr_gid
            for path, mode in (
                (self.path, 0o710),
                (self.path / "token", 0o640),
                (address, 0o640),
            ):
                os.chown(path, -1, number)
                path.chmod(mode)
        except (KeyError, OSError) as error:
            why = getattr(error, "strerror", "there is no such group")
            raise ConfigError(
                f"the token cannot be given to the group {group!r}: {why}",
                field="--token.group",
                hint="name a group that the monitor's user is in: "
                "SupplementaryGroups= in its unit",
            ) from None

    def close(self) -> None:
        """Give the directory up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _own_token(path: Path) -> str:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        stored = path.read_text().strip()
        if len(stored) >= tokenfile.SHORTEST:
            path.chmod(0o600)
            return stored
        path.unlink()  # a crash between creation and write left it empty
        return _own_token(path)
    new_token = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as out:
        out.write(new_token + "\n")
    return new_token
