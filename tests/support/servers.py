"""Other people's servers: started, asked, stopped."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.error
import urllib.request


@contextlib.contextmanager
def running(*command, cwd):
    """Run a command in the background; its output is shown when the test fails."""
    with (cwd / f"{command[0]}.log").open("w") as log:
        child = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    print((cwd / f"{command[0]}.log").read_text()[-2000:])


def get_json(url):
    """Return the JSON at `url`; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


def post_json(url, value, **headers):
    """Post `value` and return the status."""
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(value).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status
