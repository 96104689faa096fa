"""Make `.venv` ready for a purpose: `python3 tools/setup.py demo|test|bench`.

Needs Python 3.11 or newer and nothing else; does nothing when nothing has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NEEDS = {"demo": ["demo"], "test": ["demo", "test"], "bench": ["demo", "test", "bench"]}
OLDEST = (3, 11)
STATIC = ROOT / "src" / "watchroom" / "monitor" / "console" / "static"
FETCHED = ("uPlot.iife.min.js", "idiomorph.min.js")


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"→ {text}", flush=True)


def newer_python() -> None:
    """Start again under a Python that is new enough, or say what is missing."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            os.execv(found, [found, *sys.argv])
    sys.exit("watchroom needs Python 3.11 or newer: apt-get install python3.11-venv")


def make_venv() -> None:
    """Create the virtual environment, saying what to do where Debian has cut it out."""
    if PYTHON.exists():
        return
    say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
    try:
        venv.create(VENV, with_pip=True)
    except (subprocess.CalledProcessError, ImportError, SystemExit):
        shutil.rmtree(VENV, ignore_errors=True)
        if os.getuid() == 0 and shutil.which("apt-get"):
            say("this Python has no ensurepip; installing python3-venv")
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(
                ["apt-get", "install", "-y", "-qq", "python3-venv"], check=True
            )
            venv.create(VENV, with_pip=True)
            return
        sys.exit(
            "this Python has no ensurepip: apt-get install python3-venv, then again"
        )


def groups(purpose: str, environ: Mapping[str, str]) -> list[str]:
    """Return the dependency groups of a purpose, with what the services need."""
    found = list(NEEDS[purpose])
    if purpose == "demo" and environ.get("DATABASE_URL", "").startswith("postgres"):
        found.append("postgresql")
    if purpose == "demo" and environ.get("REDIS_URL"):
        found.append("redis")
    return found


def install(purpose: str) -> None:
    """Install watchroom and what the purpose needs, once per pyproject.toml."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:16]
    wanted_groups = groups(purpose, os.environ)
    stamp = VENV / f".watchroom-{'-'.join(wanted_groups)}"
    # The build puts the console's scripts into the tree; a clean-up may have taken it.
    done = stamp.exists() and stamp.read_text() == wanted
    if done and all((STATIC / "vendor" / name).exists() for name in FETCHED):
        return
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    say("installing Python packages (a minute on a fresh machine)")
    subprocess.run([*pip, "pip>=25.1"], check=True)
    words = [word for group in wanted_groups for word in ("--group", group)]
    subprocess.run([*pip, "-e", ".[monitor]", *words], check=True, cwd=ROOT)
    stamp.write_text(wanted)


def main() -> None:
    """Do what the first argument says."""
    if len(sys.argv) != 2 or sys.argv[1] not in NEEDS:
        sys.exit(f"usage: python3 tools/setup.py {'|'.join(NEEDS)}")
    newer_python()
    make_venv()
    install(sys.argv[1])


if __name__ == "__main__":
    main()
