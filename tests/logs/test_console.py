"""Where lines go, and that a stdout which fails is nobody's trouble but ours."""

import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.app import PRELUDE, ROOT, SERVE, counts, environ
from tests.support.lines import lines, output

import watchroom
from watchroom.context.trace import CURRENT, of_request
from watchroom.errors import ConfigError
from watchroom.logs.console import Console

DROPPED = "watchroom_log_records_dropped_total"


def start(runtime, script, stdout, **more):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + SERVE + script],
        env=environ(
            runtime,
            PYTHONPATH=f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            TESTS_APP_LOGS="{}",
            **more,
        ),
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_closed_pipe_and_a_full_disk_are_counted_and_nobodys_trouble(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    script = """
os.write(2, (call("/work/")[0] + call("/boom/")[0]).encode())
sys.stdout = None
call("/work/")
"""
    closed = start(tmp_path, script, writer)
    os.close(writer)
    with Path("/dev/full").open("wb") as full:
        disk = start(tmp_path, script, full)

    for done in (closed, disk):
        assert done.returncode == 0
        assert done.stderr == "200 OK500 Internal Server Error"
    assert counts(tmp_path).get(DROPPED) == 6


def test_a_fault_of_ours_is_counted_and_the_app_goes_on(tmp_path):
    found = lines(
        tmp_path,
        """
from watchroom.logs import console, tasks

def broken(*_):
    raise RuntimeError("a fault of ours")

console._logged_elsewhere = tasks.install = broken
application = get_wsgi_application()
show([call("/boom/")[0], call("/fine/1/")[0]])
""",
    )

    assert found[-1] == ["500 Internal Server Error", "200 OK"]
    errors = "watchroom_instrument_errors_total"
    assert counts(tmp_path).get(errors, instrument="logs") == 2
    told = [one["name"] for one in found[:-1] if one["levelname"] == "ERROR"]
    # Django's own line is better told twice than lost.
    assert sorted(told) == ["django.request", "watchroom.request"]


def test_a_pipe_that_nobody_reads_loses_lines_not_the_app(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    script = """
import logging
for number in range(40):
    logging.getLogger("tests").info("x" * 5000)
os.write(2, call("/work/")[0].encode())
"""
    done = start(tmp_path, script, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        *whole, rest = pipe.read().split(b"\n")

    assert done.stderr == "200 OK"
    for line in whole:
        json.loads(line)
    assert len(whole) + counts(tmp_path).get(DROPPED) == 41
    assert rest == b"" or not rest.endswith(b"}")


def test_what_is_printed_and_redirected_stays_in_order_of_lines(tmp_path):
    text = output(
        tmp_path,
        """
import contextlib, logging
kept = io.StringIO()
with contextlib.redirect_stdout(kept):
    logging.getLogger("tests").info("into the text")
logging.getLogger("tests").info("out")
print(kept.getvalue(), end="", flush=True)
""",
    )
    assert [json.loads(line)["message"] for line in text.splitlines()] == [
        "out",
        "into the text",
    ]


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
     ({"TERM": "dumb", "FORCE_COLOR": "1"}, True)],
)  # fmt: skip
def test_a_terminal_gets_text_in_colour_unless_told_otherwise(tmp_path, env, coloured):
    master, slave = pty.openpty()
    done = start(tmp_path, 'call("/work/")', slave, **{"TERM": "xterm", **env})
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)

    assert done.returncode == 0
    assert "GET /work/ 200" in text
    assert ("\x1b[32m" in text) is coloured
    assert "{" not in text


def test_the_levels_are_the_guides_and_ones_own(tmp_path):
    script = """
import logging
for name in ("django", "tests.app", "somebody", "quiet"):
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger(name), level)(name)
"""
    found = lines(tmp_path, script, {"loggers": {"quiet": "WARNING"}})
    said = [(one["name"], one["levelname"]) for one in found]

    assert said == [
        ("django", "INFO"),
        ("django", "WARNING"),
        ("tests.app", "DEBUG"),
        ("tests.app", "INFO"),
        ("tests.app", "WARNING"),
        ("somebody", "INFO"),
        ("somebody", "WARNING"),
        ("quiet", "WARNING"),
    ]


def test_the_setting_is_a_plain_dict():
    made = watchroom.logging(schema="ecs", level="WARNING")

    assert json.loads(json.dumps(made)) == made
    assert made["disable_existing_loggers"] is False
    assert made["root"]["level"] == "WARNING"


@pytest.mark.parametrize(
    "wrong",
    [{"schema": "gelf"}, {"level": "LOUD"}, {"loggers": {"a": 3}}, {"form": "xml"}],
)
def test_a_wrong_argument_is_named(wrong):
    with pytest.raises(ConfigError, match=r"watchroom\.logging"):
        watchroom.logging(**wrong)


@pytest.fixture
def console():
    made = Console(form="json")
    yield made
    made.close()


def failed():
    return logging.makeLogRecord(
        {
            "name": "django.request",
            "levelno": logging.ERROR,
            "levelname": "ERROR",
            "exc_info": (RuntimeError, RuntimeError("boom"), None),
            "request": SimpleNamespace(_watchroom_logged=True),
        }
    )


@pytest.mark.parametrize(
    ("level", "inside", "written"),
    [
        (logging.INFO, True, False),
        (logging.CRITICAL, True, True),  # no line of the request will tell it
        (logging.INFO, False, True),  # raised outside: the line stands already
    ],
)
def test_a_traceback_is_written_once(
    console, capfd, monkeypatch, level, inside, written
):
    logger = logging.getLogger("watchroom.request")
    monkeypatch.setattr(  # a level set for real is cached, and outlives the test
        logger, "isEnabledFor", lambda asked: asked >= level
    )
    trace = of_request({})
    token = CURRENT.set(trace if inside else None)
    try:
        console.emit(failed())
    finally:
        CURRENT.reset(token)

    assert ("RuntimeError: boom" in capfd.readouterr().out) is written
    assert (trace.exc_info is None) is written
