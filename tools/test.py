"""Run every check: lint, types, import contracts, tests.

`--lint` stops before the tests; `--fast` runs only the quick ones, those of modules
that tests/seconds.json does not list. `--fix` mends what ruff can. `--seconds` runs the
tests and writes that list: modules that take two seconds or more.

Installs the Debian packages that tests need when it may; where it may not, the tests
that need them are skipped, named and counted at the end. `--no-skips` (or
WATCHROOM_NO_SKIPS=1) makes such a skip a failure.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
# program that tests start: Debian package
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    "systemd-tmpfiles": "systemd",
    "/usr/lib/postgresql/*/bin/initdb": "postgresql",
}
_STEAL = ("--dist", "worksteal")
# Seconds that `make fast` may take.
FAST = 60
POLICY = Path("/usr/sbin/policy-rc.d")


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"→ {text}", flush=True)


def missing_packages(packages: dict[str, str]) -> list[str]:
    """Return the Debian packages whose programs are not on this machine."""

    def there(program: str) -> bool:
        if "*" in program:
            return any(Path("/").glob(program.lstrip("/")))
        return shutil.which(program) is not None

    return sorted({deb for program, deb in packages.items() if not there(program)})


def install_packages(packages: dict[str, str] = PACKAGES) -> None:
    """Install what is missing, without letting Debian start a service."""
    missing = missing_packages(packages)
    if not missing:
        return
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        say(
            f"not root, or no apt: tests that need {', '.join(missing)} will be skipped"
        )
        return
    say(f"installing Debian packages: {', '.join(missing)}")
    # A package must not bind its default port on this machine: 101 forbids starting.
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True,
            env=quiet,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """Return the environment of a check."""
    # DJANGO_SETTINGS_MODULE or WATCHROOM_* of the caller must not decide a test.
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("WATCHROOM_", "DJANGO_", "LEDGER_"))
        or key == "WATCHROOM_JUDGES"
    }
    clean["PYTHONPATH"] = str(ROOT)
    # Tests start Python hundreds of times: compiled anew each time, our modules alone
    # cost a third of a command's start.
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    return clean


def step(name: str, *argv: str, fine: tuple[int, ...] = (0,)) -> bool:
    """Run one check; return whether it ended with an exit code that is fine."""
    say(name)
    begun = time.monotonic()
    code = subprocess.run(argv, cwd=ROOT, env=environment(), check=False).returncode
    took = time.monotonic() - begun
    say(f"{name}: {'passed' if code in fine else f'FAILED ({code})'} in {took:.0f} s")
    return code in fine


def aside(name: str, *argv: str) -> Callable[[], bool]:
    """Begin a check that gives way to others; return what waits for it and shows it."""
    out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when it was shown
    process = subprocess.Popen(
        ["nice", "-n", "10", *argv],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
    )

    def ended() -> bool:
        code = process.wait()
        say(name)
        with out:
            out.seek(0)
            print(out.read(), end="", flush=True)
        say(f"{name}: {f'FAILED ({code})' if code else 'passed'}")
        return code == 0

    return ended


def run_lint() -> list[bool]:
    """Run what reads the code without running it."""
    python = str(BIN / "python")
    # tests/typing as well: the public API as a project writes it.
    mypy = aside("mypy", python, "-m", "mypy", "--no-error-summary")
    return [
        step("ruff check", python, "-m", "ruff", "check", "-q", "."),
        step("ruff format", python, "-m", "ruff", "format", "--check", "-q", "."),
        step("import contracts", str(BIN / "lint-imports"), "--no-cache"),
        mypy(),
    ]


def fix() -> bool:
    """Mend what ruff can, and lay the code out."""
    python = str(BIN / "python")
    return all(
        (
            step("ruff check", python, "-m", "ruff", "check", "-q", "--fix", "."),
            step("ruff format", python, "-m", "ruff", "format", "-q", "."),
        )
    )


def run_fast(extra: list[str]) -> bool:
    """Run the quick tests, all at once."""
    words = ["-m", "pytest", "-q", "--quick", "-n", "4", *_STEAL, "--no-cov", *extra]
    return step("quick tests", str(BIN / "python"), *words)


def run_pytest(extra: list[str], *, no_skips: bool, cov: bool, seconds: bool) -> bool:
    """Run the tests; list the skips at the end.

    Most wait for processes, so four at once keep two cores busy; the few that compare
    moments of real time run afterwards, one at a time. They mostly wait: beside them,
    with the processor time that they leave, goes the smoke on the newest Python. What
    is marked `matrix` is run by tools/matrix.py: here other chains go the same way.
    """
    skips: list[str] = []
    passed = True
    covered = ["--cov", "--cov-report=term:skip-covered"] if cov else ["--no-cov"]
    append = ["--cov-append"] if cov else []
    written = ["--seconds"] if seconds else []
    smoke: Callable[[], bool] | None = None
    for name, select, words in (
        ("pytest", "not serial and not matrix", ["-n", "4", *_STEAL, *written]),
        ("pytest, one at a time", "serial", ["-n", "0", *append]),
    ):
        if select == "serial" and not extra:
            python = str(BIN / "python")
            smoke = aside("newest Python", python, "tools/matrix.py", "--smoke")
        log = ROOT / ".pytest-skips"
        log.unlink(missing_ok=True)
        passed &= step(
            name,
            *(str(BIN / "python"), "-m", "pytest", "-q", "-m", select, *words),
            *("--durations=10", f"--skips-to={log}", *covered, *extra),
            # 5: none of the tests asked for is of this kind.
            fine=(0, 5) if extra else (0,),
        )
        skips += log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
    if smoke:
        passed &= smoke()
    for line in skips:
        say(f"skipped: {line}")
    lacking = [line for line in skips if re.search(r"\bneeds\b", line)]
    if lacking:
        say(f"{len(lacking)} tests were skipped for something this machine lacks")
    return passed and not (no_skips and lacking)


def main() -> None:
    """Run all checks and exit 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-skips", action="store_true")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--lint", action="store_true", help="the static checks only")
    only.add_argument("--fix", action="store_true", help="mend what ruff can")
    only.add_argument("--fast", action="store_true", help="the quick tests only")
    only.add_argument("--seconds", action="store_true", help="write tests/seconds.json")
    # Doubles the processor time of what runs in pytest's own processes.
    parser.add_argument("--cov", action="store_true", help="measure coverage")
    parser.add_argument("pytest", nargs="*", help="passed to pytest after --")
    options = parser.parse_args()
    if options.fix:
        sys.exit(0 if fix() else 1)
    begun = time.monotonic()
    ready: Callable[[], bool] | None = None
    if not (options.lint or options.fast or options.pytest):
        words = (str(BIN / "python"), "tools/matrix.py", "--ready")
        ready = aside("newest Python, its environment", *words)
    results = run_lint()
    if ready:
        results.append(ready())
    if options.fast:
        results.append(run_fast(options.pytest))
        took = time.monotonic() - begun
        if took > FAST:
            say(
                f"{took:.0f} s, more than {FAST}: a busy machine, or run `make seconds`"
            )
    elif not options.lint:
        install_packages()
        no_skips = options.no_skips or os.environ.get("WATCHROOM_NO_SKIPS") == "1"
        results.append(
            run_pytest(
                options.pytest,
                no_skips=no_skips,
                cov=options.cov,
                seconds=options.seconds,
            )
        )
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
