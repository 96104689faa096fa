"""`watchroom query` and `watchroom reload` ask a running monitor."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.support.waiting import until


def watchroom(*words, **env):
    base = {k: v for k, v in os.environ.items() if not k.startswith("WATCHROOM")}
    return subprocess.run(
        [sys.executable, "-m", "watchroom", *words],
        env=base | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_query_prints_values_first_and_reload_says_what_is_wrong(
    target, files, monitor
):
    target.paths["/metrics"] = 'm{a="x"} 9\nm{a="y"} 10.5\n'
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: monitor.value("m"))
    found = watchroom("query", "m", "--url", monitor.url)
    assert found.returncode == 0
    lines = found.stdout.splitlines()
    assert lines[0].startswith('   9  m{a="x", instance=')
    assert lines[1].startswith('10.5  m{a="y", instance=')
    raw = watchroom("query", "vector(1)", "--url", monitor.url, "--json")
    assert json.loads(raw.stdout)["status"] == "success"
    wrong = watchroom("query", "sum(", "--url", monitor.url)
    assert wrong.returncode == 1
    assert 'invalid parameter "query"' in wrong.stderr

    done = watchroom("reload", "--url", monitor.url, WATCHROOM_TOKEN=monitor.token)
    assert (done.returncode, done.stdout) == (0, "reloaded\n")
    (files.path / "alertmanager.yml").write_text("route: {reciever: ops}\n")
    refused = watchroom("reload", "--url", monitor.url, WATCHROOM_TOKEN=monitor.token)
    assert refused.returncode == 1
    assert "alertmanager.yml:1" in refused.stderr
    assert "reciever" in refused.stderr


def test_nobody_there_is_one_line_and_exit_code_2():
    found = watchroom("query", "up", "--url", "http://127.0.0.1:1")
    assert found.returncode == 2
    assert found.stderr.startswith("watchroom: can't reach http://127.0.0.1:1: ")
    assert "Traceback" not in found.stderr


def test_the_monitor_imports_neither_django_nor_the_app_side():
    code = (
        "import sys, watchroom.monitor.main; "
        "print([m for m in sys.modules if m.split('.')[0] == 'django' "
        "or m.startswith(('watchroom.catalogue', 'watchroom.conf'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
