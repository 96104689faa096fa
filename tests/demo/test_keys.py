"""Keys on a real terminal: a program on the far side of a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time

PROGRAM = """
import time
from examples.demo.screen import keys
with keys() as pressed:
    print("ready", flush=True)
    end = time.monotonic() + 20
    while "q" not in (got := pressed()) and time.monotonic() < end:
        if got:
            print("<" + got + ">", flush=True)
        time.sleep(0.02)
print("done", flush=True)
"""


def read_until(master: int, text: str, seconds: float = 20) -> str:
    got, end = "", time.monotonic() + seconds
    while text not in got:
        assert time.monotonic() < end, got
        if select.select([master], [], [], 0.2)[0]:
            got += os.read(master, 4096).decode()
    return got


def test_a_key_is_read_at_once_without_an_echo_and_the_terminal_is_restored() -> None:
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=slave,
            stdout=slave,
            preexec_fn=lambda: os.login_tty(slave),  # noqa: PLW1509 - a terminal of its own
        ) as child:
            read_until(master, "ready")
            os.write(master, b"f")
            said = read_until(master, "<f>")
            os.write(master, b"q")
            said += read_until(master, "done")
            child.wait(10)
        assert said.replace("<f>", "").count("f") == 0
        assert termios.tcgetattr(slave)[3] == before[3]
    finally:
        os.close(master)
        os.close(slave)


def test_without_a_terminal_no_key_is_ever_pressed() -> None:
    program = (
        "from examples.demo.screen import keys\n"
        "with keys() as pressed: print(repr(pressed()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="fff",
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.strip() == "''"
