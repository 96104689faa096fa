"""Help without any extra, and commands over HTTP without `[monitor]`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from typing import TYPE_CHECKING

import pytest
from tests.support.peer import Peer

from watchroom.cli import COMMANDS, EXTRAS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Makes the extra's packages as good as not installed, and runs command lines.
PROGRAM = """
import contextlib, io, json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

blocked, lines = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.meta_path.insert(0, Missing())
from watchroom.cli import main
for words in lines:
    out, err = io.StringIO(), io.StringIO()
    before = set(sys.modules)
    sys.argv = ["watchroom", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main() or 0
        except SystemExit as ended:
            code = ended.code or 0
    made = [name for name in sys.modules if name not in before]
    print(json.dumps([code, out.getvalue(), err.getvalue(), made]))
"""
HEAVY = ("watchroom.monitor", "django", "ssl", "http.client", "asyncio", "sqlite3")
COMMANDS_OF_THE_PACKAGE = sorted(COMMANDS.keys() - {"demo"})  # it is the sample app's


def run(*lines: list[str]) -> list[tuple[int, str, str, list[str]]]:
    """Return (code, stdout, stderr, modules imported) of command lines, one child."""
    program = [sys.executable, "-c", PROGRAM, json.dumps(list(EXTRAS))]
    done = subprocess.run(
        [*program, json.dumps(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int, str, str, list[str]]]:
    """What `--help` of each command came to."""
    found = run(*([name, "--help"] for name in COMMANDS_OF_THE_PACKAGE))
    return dict(zip(COMMANDS_OF_THE_PACKAGE, found, strict=True))


@pytest.mark.parametrize("command", COMMANDS_OF_THE_PACKAGE)
def test_help_needs_no_extra_and_imports_nothing_heavy(command, helped) -> None:
    code, out, err, made = helped[command]
    assert (code, err) == (0, "")
    assert f"Usage: watchroom {command}" in out
    assert "watchroom.cli.commands." + command in made
    assert not [
        name for name in made if any(f"{name}.".startswith(f"{m}.") for m in HEAVY)
    ]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    found = Peer()
    base = "/api/v1/watchroom"
    up = {"metric": {"__name__": "up"}, "value": [1, "1"]}
    rules = {"groups": [{"rules": [{"name": "HighLatency"}]}]}
    found.paths |= {
        "/api/v1/query": {"data": {"resultType": "vector", "result": [up]}},
        "/api/v1/rules": {"data": rules},
        "/api/v2/silences": {"silenceID": "6f1c"},
        f"{base}/incidents": {"data": []},
        f"{base}/deploys": {"data": {"version": "3", "by": "CI"}},
        "/-/login-link": {"url": "https://w.example", "path": "login/x", "seconds": 60},
        "/-/reload": "reloaded",
    }
    yield found
    found.close()


OVER_HTTP = {
    "ack": ([], "no open incidents"),
    "deploy": (["3", "--by", "CI"], "marked: 3 by CI"),
    "login": ([], "https://w.example/login/x"),
    "query": (["up"], "1  up"),
    "reload": ([], "reloaded"),
    "silence": (["HighLatency", 'route=~"a.*"', "--reason", "x"], "silenced for 1h"),
}


@pytest.fixture(scope="module")
def answered(peer: Peer) -> dict[str, tuple[int, str, str, list[str]]]:
    """What each command over HTTP came to."""
    lines = [
        [name, *words, "--url", peer.url] for name, (words, _) in OVER_HTTP.items()
    ]
    return dict(zip(OVER_HTTP, run(*lines), strict=True))


@pytest.mark.parametrize("command", OVER_HTTP)
def test_a_command_over_http_runs_without_the_monitors_extra(command, answered) -> None:
    code, out, err, _ = answered[command]
    assert code == 0, err
    assert OVER_HTTP[command][1] in out


def test_a_silences_regex_goes_to_the_server_as_it_was_written(answered, peer) -> None:
    assert answered["silence"][0] == 0
    body = next(one.body for one in peer.asked if one.path == "/api/v2/silences")
    assert json.loads(body)["matchers"][1] == {
        "name": "route",
        "value": "a.*",
        "isRegex": True,
        "isEqual": True,
    }


def test_a_command_that_needs_an_extra_names_it_once_it_runs(tmp_path, peer) -> None:
    lines = [
        ["check", str(tmp_path)],
        ["run", str(tmp_path)],
        ["login", "--phone", "--url", peer.url],
    ]
    for words, (code, out, err, _) in zip(lines, run(*lines), strict=True):
        assert (code, out) == (2, "")
        assert f"`watchroom {words[0]}` needs the module" in err
        assert err.endswith("pip install 'watchroom[monitor]'\n")


def test_each_package_of_the_extra_is_known_by_its_module() -> None:
    ours = {
        line.split(";")[0].rstrip().lower().split(">")[0]
        for line in requires("watchroom") or ()
        if "extra == 'monitor'" in line or 'extra == "monitor"' in line
    }
    known = packages_distributions()
    assert {known[module][0].lower() for module in EXTRAS} == ours
