"""Try watchroom on every Python here and every Django that it supports.

    python3 tools/matrix.py            # all pairs, printed as a table
    python3 tools/matrix.py 3.13-6.1   # some of them
    python3 tools/matrix.py --smoke    # the newest pair only, in under a minute

Each pair has an environment of its own in .matrix/, made once and brought up to date
when pyproject.toml changes. It runs what a user's processes run (instruments, health,
logs, errors, exporter) and one chain, from a failed request to the page.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".matrix"
# Django: the oldest Python that it takes. Django's own table of versions.
DJANGOS = {"5.2": (3, 10), "6.0": (3, 12), "6.1": (3, 12)}
PYTHONS = [(3, minor) for minor in range(11, 15)]
CHAIN = "tests/chain/test_smoke.py"
APP_SIDE = (
    *("tests/conf", "tests/formats/test_exposition.py", "tests/formats/test_series.py"),
    *("tests/health", "tests/instrument", "tests/exporter/processes"),
    *("tests/logs", "tests/registry", "tests/tracking"),
)
SMOKE = (
    *("tests/instrument/test_http.py", "tests/instrument/test_database.py"),
    *("tests/health/test_answers.py", "tests/logs/test_requests.py", CHAIN),
)


class Pair(NamedTuple):
    """A Python and a Django."""

    python: tuple[int, int]
    program: str
    django: str

    @property
    def name(self) -> str:
        """Return what the command line calls it, such as ``3.13-6.1``."""
        return f"{self.python[0]}.{self.python[1]}-{self.django}"


class Result(NamedTuple):
    """What came of a pair."""

    pair: Pair
    said: str
    passed: bool
    seconds: float


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"→ {text}", flush=True)


def pythons() -> dict[tuple[int, int], str]:
    """Return the program of each Python found: on PATH, else kept by pyenv."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for major, minor in PYTHONS:
        name = f"python{major}.{minor}"
        kept = pyenv.glob(f"versions/{major}.{minor}.*/bin/{name}")
        for program in (shutil.which(name), *map(str, kept)):
            # pyenv's stand-ins on PATH may know of no such version, and Debian's
            # Python may lack what makes environments.
            if program and _works(program):
                found[major, minor] = program
                break
    return found


def _works(program: str) -> bool:
    words = [program, "-c", "import ensurepip, venv"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def pairs() -> Iterator[Pair]:
    """Yield each pair that this machine can try, oldest first."""
    for python, program in pythons().items():
        for django, oldest in DJANGOS.items():
            if python >= oldest:
                yield Pair(python, program, django)


def environment(pair: Pair) -> Path:
    """Make the pair's environment ready; return its Python."""
    home = HOME / pair.name
    python = home / "bin" / "python"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = home / ".watchroom"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"{pair.name}: installing")
    if not python.exists():
        subprocess.run([pair.program, "-m", "venv", str(home)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*pip, "pip>=25.1"], check=True)
    extras = ".[monitor,celery,sentry,orjson]"
    words = [*pip, "-e", extras, "--group", "matrix", f"Django~={pair.django}.0"]
    subprocess.run(words, check=True, cwd=ROOT)
    stamp.write_text(wanted)
    return python


def run(
    pair: Pair, *, tests: tuple[str, ...], extra: list[str], workers: str = "3"
) -> Result:
    """Run tests in the pair's environment; show their output if they fail."""
    python = environment(pair)
    say(f"{pair.name}: {len(tests)} folders and files of tests")
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("WATCHROOM_", "DJANGO_", "LEDGER_"))
    }
    clean["PYTHONPATH"] = str(ROOT)
    begun = time.monotonic()
    done = subprocess.run(
        [
            *(str(python), "-m", "pytest", "-q", "-n", workers, "--no-cov", "-p"),
            *("no:cacheprovider", "-m", "not judge", "--dist", "worksteal"),
            *(*tests, *extra),
        ],
        cwd=ROOT,
        env=clean,
        text=True,
        capture_output=True,
        check=False,
    )
    took = time.monotonic() - begun
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    *_, last = [line for line in done.stdout.splitlines() if line] or ["no output"]
    said = re.sub(r" in [\d.]+s.*|=+ ?", "", last)
    say(f"{pair.name}: {said} in {took:.0f} s")
    return Result(pair, said, done.returncode == 0, took)


def table(results: list[Result]) -> str:
    """Return the results as text, a line a pair."""
    rows = [("Python", "Django", "tests", "seconds", "")]
    rows += [
        (
            ".".join(map(str, one.pair.python)),
            one.pair.django,
            one.said,
            f"{one.seconds:.0f}",
            "passed" if one.passed else "FAILED",
        )
        for one in results
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def smoke(found: list[Pair], extra: list[str], *, ready: bool) -> int:
    """Try the newest pair, or name why there is nothing newer than the tests' own.

    `ready` stops before the tests, with the environment made.
    """
    newest = found[-1]
    if newest.python <= sys.version_info[:2]:
        say(
            f"no smoke on a newer Python than {newest.python[0]}.{newest.python[1]}: "
            "none was found on PATH or in ~/.pyenv"
        )
        return 0
    if ready:
        environment(newest)
        return 0
    return 0 if run(newest, tests=SMOKE, extra=extra).passed else 1


def main() -> None:
    """Try the pairs asked for, and exit 1 when one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="*", help="such as 3.13-6.1; all when left out")
    parser.add_argument("--smoke", action="store_true", help="the newest pair only")
    parser.add_argument("--ready", action="store_true", help="the smoke's environment")
    parser.add_argument("--pytest", action="append", default=[], metavar="OPTION")
    options = parser.parse_args()
    found = list(pairs())
    if not found:
        sys.exit("no Python from 3.11 on can make environments: install python3-venv")
    if options.smoke or options.ready:
        sys.exit(smoke(found, options.pytest, ready=options.ready))
    unknown = set(options.pairs) - {pair.name for pair in found}
    if unknown:
        names = ", ".join(pair.name for pair in found)
        sys.exit(f"not here: {', '.join(sorted(unknown))}; this machine has {names}")
    wanted = [pair for pair in found if not options.pairs or pair.name in options.pairs]
    # Two at a time: one installs, or waits for its processes, while the other computes.
    one = partial(run, tests=(*APP_SIDE, CHAIN), extra=options.pytest, workers="2")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, wanted))
    print(f"\n{table(results)}\n")
    absent = [p for p in PYTHONS if p not in {pair.python for pair in found}]
    if absent:
        say(f"not found: Python {', '.join(f'{a}.{b}' for a, b in absent)}")
    failed = sum(not one.passed for one in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
