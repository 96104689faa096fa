"""Run watchroom and its peers side by side and print the ratios."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from imports import SUBJECTS
from project import VARIANTS

HERE = Path(__file__).parent
_STRANGE = ("WATCHROOM_", "DJANGO_", "PROMETHEUS_", "OTEL_", "PYTHONDONTWRITE")


def child(script: str, *words: str) -> str:
    """Run one measurement in a fresh process and return what it printed."""
    # Compiled modules are kept, as on any server.
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(_STRANGE)
    }
    done = subprocess.run(
        [sys.executable, str(HERE / script), *words],
        cwd=HERE,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def last(text: str) -> str:
    """Return the last line, which is for programs."""
    return text.splitlines()[-1]


def request(rounds: int) -> None:
    """What a request costs more: HTTP, every query, every cache call (WSGI)."""
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            # Turned by one each round, so that no variant always runs on a cold core.
            turn = number % len(VARIANTS)
            for variant in (*VARIANTS[turn:], *VARIANTS[:turn]):
                times[variant].append(
                    float(last(child("project.py", variant, "3000", scratch)))
                )
            print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    bare = times["bare"]
    added = {
        variant: statistics.median(
            now - then for now, then in zip(times[variant], bare, strict=True)
        )
        for variant in VARIANTS
    }
    spread = max(bare) - min(bare)
    print(f"\n{request.__doc__}\nspread of bare over the rounds: {spread:.0f} µs\n")
    print(f"{'':20}{'median µs':>12}{'added µs':>12}{'× watchroom':>14}")
    for variant in VARIANTS:
        ratio = added[variant] / max(added["watchroom"], 0.1)
        said = f"{ratio:13.1f}×" if variant not in {"bare", "watchroom"} else ""
        median = statistics.median(times[variant])
        print(f"{variant:20}{median:12.0f}{added[variant]:12.1f}{said}")


def imports(rounds: int) -> None:
    """What importing adds to a started Django."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds + 1):
        for name in SUBJECTS:
            results[name].append(json.loads(last(child("imports.py", name))))
    print(f"\n{imports.__doc__}\n")
    columns = ("ms", "modules", "third_party", "MiB")
    print(" " * 20 + "".join(f"{column:>13}" for column in columns))
    for name, runs in results.items():
        # The first run of each wrote the .pyc files.
        medians = [statistics.median(run[c] for run in runs[1:]) for c in columns]
        print(f"{name:20}" + "".join(f"{value:13.1f}" for value in medians))


def instruments(rounds: int) -> None:
    """What each instrument adds to a request, alternated within one process."""
    print(f"\n{instruments.__doc__}\n")
    print(child("paired.py", str(rounds * 30)))


def logs(rounds: int) -> None:
    """What a log line costs: a record of 15 fields to /dev/null."""
    print(f"\n{logs.__doc__}\n")
    print("\n".join(child("logs.py", str(rounds)).splitlines()[:-1]))


BENCHMARKS = {each.__name__: each for each in (request, instruments, logs, imports)}


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("which", nargs="*", metavar="|".join(BENCHMARKS), default=[])
    options = parser.parse_args()
    if unknown := set(options.which) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    for name in options.which or BENCHMARKS:
        BENCHMARKS[name](options.rounds)


if __name__ == "__main__":
    main()
