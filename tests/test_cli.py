from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.support.peer import Peer
from tests.support.plans import built, planned, put

from watchroom.cli import COMMANDS, watchroom
from watchroom.cli.ask import AskError, ask, exporter_token, refusal, url_of
from watchroom.errors import ConfigError, MissingExtraError, nearest
from watchroom.prove import client
from watchroom.prove.client import Reply
from watchroom.runtime import directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.close()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help_with_examples(command: str) -> None:
    result = CliRunner().invoke(watchroom, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Examples:" in result.output
    assert f"watchroom {command}" in result.output
    assert "Exit codes" in result.output


def test_help_names_every_command_and_imports_none() -> None:
    program = (
        "import sys; from watchroom.cli import watchroom\n"
        "try: watchroom(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'yaml', 'django', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


def test_an_unknown_command_exits_with_2_and_names_the_nearest() -> None:
    assert CliRunner().invoke(watchroom, ["watch"]).exit_code == 2
    wrong = CliRunner().invoke(watchroom, ["chekc"])
    assert wrong.exit_code == 2
    assert "Did you mean 'check'?" in wrong.output


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("higherrorate", ["HighErrorRate", "AppDown"], "did you mean HighErrorRate?"),
        ("x", ["HighErrorRate", "AppDown"], "available: AppDown, HighErrorRate"),
        ("x", [], "available: (nothing)"),
    ],
)
def test_a_name_that_is_not_known_names_the_nearest(name, known, hint) -> None:
    assert nearest(name, known) == hint


@pytest.mark.parametrize(
    "words",
    [
        ["silence", "AppDown", "--for", "soon"],
        ["drill", "--wake", "Ann", "--within", "soon"],
        ["run", "here", "--storage.retention", "soon"],
        ["run", "here", "--storage.size", "soon"],
    ],
)
def test_an_invalid_value_is_named_with_its_option(words) -> None:
    found = CliRunner().invoke(watchroom, words)
    assert found.exit_code == 2
    assert f"Invalid value for '{words[-2]}': 'soon' is not a" in found.output
    assert "write it as" in found.output


MONITOR = ["ack", "check", "deploy", "drill", "login", "query", "reload", "silence"]


@pytest.mark.parametrize("command", MONITOR)
def test_the_monitors_address_has_one_name_in_all_commands(command) -> None:
    text = CliRunner().invoke(watchroom, [command, "--help"]).output
    assert re.search(r"--url\b.* URL", text)


@pytest.mark.parametrize("option", ["--url", "--alertmanager", "--exporter"])
def test_an_invalid_url_is_named_with_its_option(option, tmp_path) -> None:
    put(tmp_path, built(planned()))
    words = ["check", str(tmp_path), option, "127.0.0.1:9090"]
    found = CliRunner().invoke(watchroom, words)
    assert f"{option}: '127.0.0.1:9090' is not an HTTP URL" in str(found.exception)
    if option == "--url":  # as these two commands called it first
        again = [*words[:2], "--prometheus", "127.0.0.1:9090"]
        other = CliRunner().invoke(watchroom, again)
        assert str(other.exception) == str(found.exception)


@pytest.mark.parametrize("words", [["check"], ["drill", "HighErrorRate", "--dir"]])
def test_a_directory_that_is_not_there_is_named_with_its_remedy(
    words, tmp_path
) -> None:
    found = CliRunner().invoke(watchroom, [*words, str(tmp_path / "gone")])
    assert "gone/watchroom.json: is missing" in str(found.exception)
    assert "watchroom build" in str(found.exception)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Reply(401, '{"error": "this needs the token"}', ""), "WATCHROOM_TOKEN"),
        (Reply(400, '{"status": "error", "error": "no such"}', ""), "no such"),
        (Reply(400, '{"code": 400, "message": "bad matcher"}', ""), "bad matcher"),
        (Reply(422, '"why"', ""), "why"),
        (Reply(500, "a.yml:3: bad\n", ""), "a.yml:3: bad"),
        (Reply(502, "", ""), "http://x answered HTTP 502"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(answer: Reply, said: str) -> None:
    assert said in refusal("http://x", answer)


def test_bad_input_is_one_line_on_stderr_and_exit_code_2(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "watchroom", "drill", "X", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "watchroom.json: is missing" in done.stderr
    assert f"watchroom build {tmp_path}" in done.stderr


@contextlib.contextmanager
def talking_nonsense() -> Iterator[str]:
    """Yield the URL of a server that speaks no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(b"220 mail.example ESMTP\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_speaks_no_http_is_named_as_one() -> None:
    with talking_nonsense() as url:
        with pytest.raises(AskError, match="does not speak HTTP"):
            ask(url, "/-/reload", data={})
        with pytest.raises(client.PeerError, match="does not speak HTTP"):
            client.get(url)


def test_the_monitor_on_this_machine_is_asked_where_it_says_it_listens(
    tmp_path, monkeypatch
) -> None:
    built = tmp_path / "monitoring"
    built.mkdir()
    (built / "watchroom.json").write_text(
        '{"project": "shop", "monitor_url": "https://watch.example.org"}'
    )
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert url_of(built, None) == ("http://127.0.0.1:9700", "shop")
    (tmp_path / "address").write_text("http://127.0.0.1:9701\n")
    assert url_of(built, None) == ("http://127.0.0.1:9701", "shop")
    assert url_of(built, "http://x.example") == ("http://x.example", "shop")


def test_staging_beside_production_asks_a_monitor_of_its_own(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = tmp_path / "watchroom" / "shop"
    state.mkdir(parents=True)
    (state / "address").write_text("http://127.0.0.1:9701\n")
    for environment, expected in (
        ("production", ("http://127.0.0.1:9701", "shop")),
        ("staging", ("http://127.0.0.1:9700", "shop-staging")),
    ):
        said = {"project": "shop", "environment": environment}
        (tmp_path / "watchroom.json").write_text(json.dumps(said))
        assert url_of(tmp_path, None) == expected


def test_a_directory_that_was_never_built_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="watchroom build"):
        url_of(tmp_path, None)


def test_a_missing_extra_is_named_with_its_remedy() -> None:
    error = MissingExtraError("run", "monitor", "numpy")
    assert "pip install 'watchroom[monitor]'" in str(error)


def test_a_config_error_says_where_what_and_what_to_do() -> None:
    error = ConfigError("bad", file="a.yml", line=3, field="route", hint="mend it")
    assert str(error) == "a.yml:3: route: bad (mend it)"
    assert str(ConfigError("bad")) == "bad"
    assert str(ConfigError("bad", file="a.yml")) == "a.yml: bad"


def test_what_no_silence_could_be_ended_for_is_said(peer: Peer) -> None:
    peer.paths["/api/v2/silence/gone"] = (404, "")
    peer.paths["/api/v2/silence/closed"] = (401, "")
    peer.paths["/api/v2/silence/full"] = (500, "state.db: disk I/O error")

    def said(name: str) -> str:
        words = ["silence", "--expire", name, "--url", peer.url]
        done = CliRunner().invoke(watchroom, words)
        assert done.exit_code == 1
        return done.stderr

    assert "no active or pending silence has the ID gone" in said("gone")
    assert "needs a token" in said("closed")
    assert "disk I/O error" in said("full")


def test_the_exporters_token_is_found_in_the_directory_of_its_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "SYSTEM", tmp_path)  # /run is not ours to write to
    for name in ("shop", "shop-staging"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"of {name}\n")
        assert exporter_token(name, {}) == f"of {name}"
    told = tmp_path / "told"
    told.write_text("said to the drills\n")
    assert (
        exporter_token("shop", {"WATCHROOM_TOKEN_FILE": str(told)})
        == "said to the drills"
    )
    assert exporter_token("none", {}) == ""
