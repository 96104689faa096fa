"""A directory of generated files on disk: compared, guarded, written atomically."""

from __future__ import annotations

import contextlib
import difflib
import os
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from watchroom.derive.files import MANIFEST, fingerprint
from watchroom.errors import ConfigError
from watchroom.formats import contacts, manifest
from watchroom.formats.reading import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FRAGMENTS = ("local/prometheus.yml", "local/alertmanager.yml", contacts.PATH)
_MOST_LINES = 60


class Change(NamedTuple):
    """A file that is not as it would be built.

    Attributes:
        path: Relative to the directory.
        kind: ``missing``, ``differs`` or ``left over``.
        diff: From what is there to what would be built.
    """

    path: str
    kind: str
    diff: str


def recorded(root: Path) -> manifest.Manifest | None:
    """Return the manifest of the last build, or None before the first.

    Raises:
        ConfigError: It cannot be read.
    """
    path = root / MANIFEST
    if not path.is_file():
        return None
    return manifest.load(text_of(path), str(path))


def fragments(root: Path) -> dict[str, str]:
    """Return the texts of the team's own files by path."""
    paths = [root / each for each in _FRAGMENTS]
    paths += sorted((root / "local" / "rules").glob("*.yml"))
    return {
        path.relative_to(root).as_posix(): text_of(path)
        for path in paths
        if path.exists()
    }


def changes(
    root: Path, files: Mapping[str, str], last: manifest.Manifest | None
) -> list[Change]:
    """Return what differs between the directory and `files`."""
    changed = []
    for path, text in files.items():
        there = _read(root / path)
        if there is None:
            changed.append(Change(path, "missing", _diff(path, "", text)))
        elif there != text:
            changed.append(Change(path, "differs", _diff(path, there, text)))
    for path in last.files if last else ():
        there = _read(root / path)
        if path not in files and there is not None:
            changed.append(Change(path, "left over", _diff(path, there, "")))
    return changed


def refuse_edits(
    root: Path, files: Mapping[str, str], last: manifest.Manifest | None
) -> None:
    """Raise when a generated file was edited since it was built.

    Raises:
        ConfigError: It names the files and shows what was edited.
    """
    known = last.files if last else {}
    edited = []
    for change in changes(root, files, last):
        if change.path == MANIFEST or change.kind == "missing":
            continue
        if fingerprint(_read(root / change.path) or "") != known.get(change.path):
            edited.append(change)
    if not edited:
        return
    names = ", ".join(change.path for change in edited)
    lines = "".join(change.diff for change in edited).splitlines()
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        lines = [*lines[:_MOST_LINES], f"… {more} more lines: see build --diff"]
    shown = "\n".join(lines)
    verb = "was" if len(edited) == 1 else "were"
    raise ConfigError(
        f"{names} {verb} edited since the last build; nothing was written.\n"
        f"{shown}\nMove your edits into {root / 'local'}/ (see its README.md), or "
        "build with --force to overwrite them.",
        file=root,
    )


def write(
    root: Path, files: Mapping[str, str], last: manifest.Manifest | None
) -> list[str]:
    """Write `files`, each atomically and the manifest last; return what changed.

    Files of the last build that are no longer made are removed.
    """
    changed = changes(root, files, last)
    for change in sorted(changed, key=lambda change: change.path == MANIFEST):
        path = root / change.path
        if change.kind == "left over":
            path.unlink()
            continue
        _replace(path, files[change.path])
    readme = root / "local" / "README.md"
    if not readme.parent.is_dir():
        (readme.parent / "rules").mkdir(parents=True)
        text = resources.files("watchroom.derive") / "local.md"
        _replace(readme, text.read_text(encoding="utf-8"))
    return [change.path for change in changed]


def guard_secrets(root: Path) -> None:
    """Make the directory of the secrets, with a .gitignore that keeps them out."""
    path = root / "secrets" / ".gitignore"
    if not path.exists():
        _replace(path, "*\n!.gitignore\n")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, so that the rename stays on one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise ConfigError(f"cannot be written: {error.strerror}", file=path) from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""


def _diff(path: str, there: str, text: str) -> str:
    return "".join(_diff_lines(path, there, text))


def _diff_lines(path: str, there: str, text: str) -> Iterator[str]:
    for line in difflib.unified_diff(
        there.splitlines(keepends=True),
        text.splitlines(keepends=True),
        f"{path} (there)",
        f"{path} (built)",
        n=2,
    ):
        yield line if line.endswith("\n") else f"{line}\n"
