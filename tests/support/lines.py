"""The test project with its logs on, in a process of its own: what it wrote."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.app import PRELUDE, PYTHON, ROOT, SERVE, environ

# What `leak` says and what comes with its request.
PLANTED = (
    *("planted-in-settings-4711", "planted-in-locals", "planted-deeper", "planted-own"),
    *(
        "planted-in-source",
        "planted-in-query",
        "planted-in-cookie",
        "planted-in-header",
    ),
    *("planted-in-body", "4111 1111 1111 1111", "jo@planted.example", "planted-basic"),
)
HEADERS = {
    "Authorization": "Bearer planted-basic-A1",
    "Cookie": "sessionid=planted-in-cookie",
    "X-Api-Key": "planted-in-header-1",
    "X-Planted": "planted-in-header-A2",
}
QUERY = "token=planted-in-query&page=planted-in-query-2"
BODY = '{"password": "planted-in-body", "card": {"number": "planted-in-body-2"}}'

# Asks the ASGI application, in a loop of the script's own.
ASGI = """
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
served = get_asgi_application()

async def ask(path, query="", body="", **headers):
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
        "method": "POST" if body else "GET", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http",
        "headers": [
            (k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()
        ],
        "server": ("localhost", 80), "client": ("127.0.0.1", 1),
    }
    told = ApplicationCommunicator(served, scope)
    await told.send_input({"type": "http.request", "body": body.encode()})

    async def received():
        # Of an application that has failed, receive_output would wait for more.
        while told.output_queue.empty() and not told.future.done():
            await asyncio.sleep(0.001)
        return await told.receive_output(30)

    start = await received()
    while (await received()).get("more_body"):
        pass
    await told.wait(30)
    return {k.decode().lower(): v.decode() for k, v in start["headers"]}
"""


def output(runtime: Path, script: str, logs: dict | None = None, **more: str) -> str:
    """Run a script in the test project; return what it wrote to stdout."""
    # Django never closes a database in memory, and Python 3.13 warns of each.
    data = runtime.parent / f"{runtime.name}-data"
    data.mkdir(exist_ok=True)
    with closing(sqlite3.connect(data / "db.sqlite3")) as db:
        db.execute("PRAGMA user_version = 1")  # which makes the file
    done = PYTHON.run(
        *("-c", PRELUDE + SERVE + script),
        env=environ(
            runtime,
            TESTS_APP_LOGS=json.dumps(logs or {}),
            TESTS_APP_DATA=str(data),
            **more,
        ),
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def lines(runtime: Path, script: str, logs: dict | None = None, **more: str) -> list:
    """Run a script in the test project; return its lines of JSON."""
    return [
        json.loads(line)
        for line in output(runtime, script, logs, **more).split("\n")
        if line
    ]
