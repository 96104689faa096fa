"""Run the tests that today's servers judge: `make judges`.

    python3 tools/judges.py                  # all of them
    python3 tools/judges.py prometheus       # one: prometheus, corpus, blackbox, causes

Prometheus, promtool and amtool of today are built by Go, where it is there, into
.judges/; blackbox_exporter is Debian's. What this machine lacks is named, and its
judges are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from test import install_packages

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
BIN = ROOT / ".judges"
# program: what Go builds it from
BUILT = {
    "prometheus": "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",
    "promtool": "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
    "amtool": "github.com/prometheus/alertmanager/cmd/amtool@v0.31.1",
}
OUTCOMES = ROOT / "tests" / "loaders" / "outcomes.json"


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"→ {text}", flush=True)


def built(*programs: str) -> bool:
    """Build today's programs; return whether all are there."""
    missing = [one for one in programs if not (BIN / one).exists()]
    if missing and shutil.which("go") is None:
        say(f"left out: no go to build {', '.join(missing)} with")
        return False
    for one in missing:
        say(f"building {BUILT[one]} (some minutes)")
        environ = {**os.environ, "GOBIN": str(BIN)}
        done = subprocess.run(["go", "install", BUILT[one]], env=environ, check=False)
        if done.returncode:
            say(f"left out: {one} could not be built")
            return False
    return True


def pytest(*words: str, **environ: str) -> bool:
    """Run tests; return whether they passed."""
    words = (str(PYTHON), "-m", "pytest", "-q", "--no-cov", *words)
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(words, cwd=ROOT, env=own, check=False).returncode == 0


def prometheus() -> bool | None:
    """Compare the engine's answers with those of today's Prometheus."""
    if not built("prometheus", "promtool"):
        return None
    return pytest("tests/promql/test_judge.py", WATCHROOM_JUDGES=str(BIN))


def corpus() -> bool | None:
    """Ask today's promtool and amtool for the outcomes that are committed."""
    if not built("promtool", "amtool"):
        return None
    before = OUTCOMES.read_text()
    words = [
        str(PYTHON),
        "-m",
        "tests.support.corpus",
        BIN / "promtool",
        BIN / "amtool",
    ]
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        subprocess.run(words, cwd=ROOT, env=own, check=True)
        now = json.loads(OUTCOMES.read_text())
    finally:
        OUTCOMES.write_text(before)
    same = now == json.loads(before)
    say("the outcomes are those committed" if same else "the outcomes differ")
    return same and pytest("-n", "0", "tests/loaders")


def blackbox() -> bool | None:
    """Compare the certificates' verdicts with those of blackbox_exporter."""
    install_packages({"prometheus-blackbox-exporter": "prometheus-blackbox-exporter"})
    if shutil.which("prometheus-blackbox-exporter") is None:
        say("left out: Debian's prometheus-blackbox-exporter is not there")
        return None
    return pytest("-n", "0", "tests/exporter/probe/test_chains.py")


def causes() -> bool | None:
    """Count the pages of nine faults on the monitor and on the real pair."""
    return pytest("-n", "2", "tests/chain/nine_faults.py")


JUDGES: dict[str, Callable[[], bool | None]] = {
    each.__name__: each for each in (prometheus, corpus, blackbox, causes)
}


def main() -> None:
    """Run the judges named, or all, and exit 1 when one found a difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("judges", nargs="*", metavar="|".join(JUDGES))
    options = parser.parse_args()
    if unknown := set(options.judges) - JUDGES.keys():
        parser.error(f"no judge {', '.join(sorted(unknown))}")
    install_packages()
    words = {True: "passed", False: "FAILED", None: "left out"}
    results = {}
    for name in options.judges or JUDGES:
        say(f"{name}: {JUDGES[name].__doc__}")
        begun = time.monotonic()
        results[name] = JUDGES[name]()
        say(f"{name}: {words[results[name]]} in {time.monotonic() - begun:.0f} s")
    for name, result in results.items():
        print(f"{name:12}{words[result]}")
    sys.exit(1 if False in results.values() else 0)


if __name__ == "__main__":
    main()
