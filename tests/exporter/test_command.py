"""`watchroom exporter` as a process: how it starts, survives and stops."""

import http.client
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.children import Children
from tests.support.ports import free_port

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["broken_app"]
WATCHROOM = {"SITES": ["http://127.0.0.1:1/"]}
"""


@pytest.fixture
def shop(tmp_path):
    """A project whose app cannot even be imported."""
    project = tmp_path / "project"
    (project / "shop").mkdir(parents=True)
    (project / "shop" / "__init__.py").touch()
    (project / "shop" / "settings.py").write_text(SETTINGS)
    (project / "broken_app.py").write_text("raise RuntimeError('a broken deploy')\n")
    return project


@pytest.fixture
def environ(tmp_path):
    known = {k: v for k, v in os.environ.items() if not k.startswith("WATCHROOM_")}
    known.pop("DJANGO_SETTINGS_MODULE", None)
    return {**known, "WATCHROOM_RUNTIME_DIR": str(tmp_path / "run")}


def command(shop, port, *more):
    return [
        *(sys.executable, "-m", "watchroom", "exporter", "--project", str(shop)),
        *("--settings", "shop.settings", "--listen", f"127.0.0.1:{port}", *more),
    ]


def once(shop, environ, *more, port=0):
    return subprocess.run(
        command(shop, port, *more),
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def answers(port):
    try:
        return get(port, "/-/healthy")[0] == 200
    except OSError:
        return False


@pytest.fixture
def running(shop, environ, tmp_path):
    """Start the command; return its port, its process and its log."""
    port = free_port()
    with Children(tmp_path / "logs") as children:
        child = children.start("exporter", command(shop, port), env=environ, cwd=shop)
        children.wait_until(lambda: answers(port), "the exporter answers", alive=child)
        yield port, child, lambda: children.log("exporter")


def test_it_serves_while_the_app_cannot_start(running):
    port, _, _ = running
    status, text = get(port, "/metrics")
    assert status == 200
    assert 'watchroom_processes{role="web"} 0\n' in text
    assert 'http_requests_total{method="GET",route="unresolved",status="500"} 0' in text
    status, text = get(port, "/probe?target=http://127.0.0.1:1/")
    assert (status, "probe_success 0\n" in text) == (200, True)


def test_the_token_is_a_private_file_in_the_runtime_directory(running, tmp_path):
    del running
    token = tmp_path / "run" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text().strip()) > 30


def test_the_token_is_never_logged(running, tmp_path):
    port, _, log = running
    get(port, "/metrics")
    assert (tmp_path / "run" / "token").read_text().strip() not in log()


def test_a_runtime_directory_that_disappears_is_survived(running, tmp_path):
    port, child, _ = running
    shutil.rmtree(tmp_path / "run")
    for _ in range(3):
        status, text = get(port, "/metrics")
        assert status == 200
        assert 'watchroom_processes{role="web"} 0\n' in text
    assert child.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_and_cleanly(running, number):
    _, child, log = running
    began = time.monotonic()
    child.send_signal(number)
    assert child.wait(10) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in log()
    assert log().rstrip().endswith("stopped")


def test_a_taken_port_is_one_line_and_exit_code_2(running, shop, environ):
    port, _, _ = running
    second = once(shop, environ, port=port)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in second.stderr
    assert answers(port)


def test_other_machines_are_not_served_without_a_token(shop, environ):
    refused = once(shop, environ, "--listen", "0.0.0.0:0")
    assert refused.returncode == 2
    assert "WATCHROOM_TOKEN" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("raise ValueError('no database url')", "ValueError: no database url"),
        ("WATCHROOM = {'SIETS': []}", "did you mean 'SITES'?"),
    ],
)
def test_settings_that_do_not_load_are_one_line(shop, environ, settings, said):
    (shop / "shop" / "settings.py").write_text(settings)
    refused = once(shop, environ)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_directory_that_cannot_be_made_is_survived(shop, environ, tmp_path):
    (tmp_path / "file").touch()
    environ["WATCHROOM_RUNTIME_DIR"] = str(tmp_path / "file" / "run")
    port = free_port()
    with Children(tmp_path / "logs") as children:
        child = children.start("exporter", command(shop, port), env=environ, cwd=shop)
        children.wait_until(lambda: answers(port), "the exporter answers", alive=child)
        status, text = get(port, "/metrics")
        log = children.log("exporter")
    assert (status, 'watchroom_processes{role="web"} 0\n' in text) == (200, True)
    assert "drills can't be started" in log


def test_help_has_examples_and_exit_codes():
    said = subprocess.check_output(
        [sys.executable, "-m", "watchroom", "exporter", "--help"], text=True
    )
    assert "Examples:" in said
    assert "Exit codes:" in said
    assert str(Path.home()) not in said


@pytest.mark.parametrize(
    ("option", "here", "there"),
    [("--local", True, False), ("--shared", False, True)],
)
def test_one_exporter_of_many_asks_what_all_share(
    shop, environ, tmp_path, option, here, there
):
    port = free_port()
    with Children(tmp_path / "logs") as children:
        argv = command(shop, port, option)
        child = children.start("exporter", argv, env=environ, cwd=shop)
        children.wait_until(lambda: answers(port), "the exporter answers", alive=child)
        _, text = get(port, "/metrics")
    assert ("watchroom_processes{" in text) is here
    assert ("node_filesystem_avail_bytes{" in text) is here
    assert ("watchroom_exporter_child_restarts_total{" in text) is there
    assert "watchroom_exporter_info{" in text
