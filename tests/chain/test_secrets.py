"""Secrets that a project has reach no file, no page, no answer and no log."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import LEDGER, chain, get
from tests.support.receivers import PagerDuty, Slack, serving
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chain import Chain

pytestmark = pytest.mark.slow

# Every planted secret has this in it, in whatever it is wrapped.
MARK = "planted"
SETTINGS = """
from ledger.settings import *

SECRET_KEY = "planted-key-of-django"
PAYMENT_API_KEY = "planted-key-of-payments"
MIDDLEWARE = [*MIDDLEWARE, "planting.Leak"]
WATCHROOM = WATCHROOM | {
    "HEARTBEAT": "beat",
    "RECEIVERS": {
        "ops": {"secret": "ops"},
        "chat": {"kind": "slack", "secret": "chat"},
        "duty": {"kind": "pagerduty", "secret": "duty", "url": DUTY_URL,
                 "environments": ("test",)},
        "mail": {"kind": "email", "to": ["ops@ledger.example"], "username": "ops",
                 "from": "watch@ledger.example", "smarthost": "127.0.0.1:1",
                 "secret": "mail", "tls": False},
    },
}
"""
LEAK = """
class Leak:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "X-Api-Key" in request.headers:
            from django.conf import settings

            raise RuntimeError(
                f"{request.get_full_path()} {request.headers} {request.COOKIES}"
                f" {request.body} {settings.SECRET_KEY} {settings.PAYMENT_API_KEY}"
            )
        return self.get_response(request)
"""
PAGES = (
    *("/", "/alerts", "/board", "/dashboards/", "/incidents/", "/runbooks/"),
    *("/checklist", "/login", "/metrics", "/-/ready", "/-/healthy"),
    *("/api/v1/alerts", "/api/v1/rules", "/api/v1/targets", "/api/v1/metadata"),
    *("/api/v1/alertmanagers", "/api/v1/labels", "/api/v1/status/config"),
    *("/api/v1/status/flags", "/api/v1/status/runtimeinfo", "/api/v1/status/buildinfo"),
    *("/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D", "/nothing"),
    *("/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D", "/api/v1/query?query=("),
    *("/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/receivers"),
    *("/api/v2/status", "/api/v2/silences", "/api/v1/watchroom/incidents"),
    *("/api/v1/watchroom/incidents/1", "/api/v1/watchroom/deploys"),
    *("/api/v1/watchroom/proofs", "/api/v1/watchroom/receivers"),
)


def fetch(url: str, **headers: str) -> str:
    """Return status, headers and body of an answer, whatever it is."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = b"password=planted-in-body&x=1" if "X_Api_Key" in headers else None
    request = urllib.request.Request(url, data=data, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return f"{answer.status} {answer.headers}\n{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.headers}\n{error.read().decode()}"


def files(directory: Path) -> dict[str, str]:
    """Return every file of a directory but the secrets themselves."""
    return {
        str(path.relative_to(directory)): path.read_bytes().decode(errors="replace")
        for path in directory.rglob("*")
        if path.is_file() and "secrets" not in path.relative_to(directory).parts
    }


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Chain, Slack, PagerDuty]]:
    """A chain whose database, broker and error tracker are not there: all of it fails.

    What fails has more to say than what works.
    """
    code = tmp_path / "code"
    code.mkdir()
    slack = Slack("T0/B0/planted-path-of-slack")
    duty = PagerDuty("planted-routing-key-of-pagerduty")
    environ = {
        "DJANGO_SETTINGS_MODULE": "planting_settings",
        "DATABASE_URL": "postgres://ledger:planted-db-password@127.0.0.1:1/ledger",
        "REDIS_URL": "redis://:planted-broker-password@127.0.0.1:1/0",
        "SENTRY_DSN": "http://planted-sentry-key@127.0.0.1:1/1",
        "WATCHROOM_TOKEN": "planted-token-of-the-monitor",
        "PYTHONPATH": f"{code}:{':'.join(sys.path)}",
    }
    with serving(slack), serving(duty), chain(tmp_path, **environ) as made:
        settings = SETTINGS.replace("DUTY_URL", repr(duty.url))
        (code / "planting_settings.py").write_text(settings)
        (code / "planting.py").write_text(LEAK)
        made.build("--settings", "planting_settings", "--interval", "1s",
                   "--window", "10s", "--for", "2s")  # fmt: skip
        secrets = made.monitoring / "secrets"
        secrets.mkdir(exist_ok=True)
        for name, value in {
            "ops": f"{made.hook.url}/planted-path-of-ops",
            "beat": f"{made.hook.url}/planted-path-of-the-heartbeat",
            "chat": slack.url,
            "duty": duty.key,
            "mail": "planted-mail-password",
            "watchroom_token": "planted-token-of-the-monitor",
        }.items():
            (secrets / name).write_text(value)
            (secrets / name).chmod(0o600)
        yield made, slack, duty


def test_no_secret_is_in_a_file_a_page_an_answer_or_a_log(
    told: tuple[Chain, Slack, PagerDuty], tmp_path: Path
) -> None:
    ledger, slack, duty = told
    said = {f"built {name}": text for name, text in files(ledger.monitoring).items()}
    assert any(name.endswith("alertmanager.yml") for name in said)
    ledger.start_exporter()
    bind = ledger.app.removeprefix("http://").rstrip("/")
    gunicorn = [sys.executable, "-m", "gunicorn", "ledger.wsgi", "--bind", bind]
    ledger.processes.start("app", gunicorn, cwd=LEDGER)
    ledger.ready(f"{ledger.app}nowhere/", "app", status=404)
    ledger.start_monitor()

    secrets = {"X_Api_Key": "planted-in-header", "Cookie": "sessionid=planted-cookie"}
    secrets["Authorization"] = "Bearer planted-bearer"
    for path in ("nowhere/?card=planted", "?api_key=planted-in-query"):
        for _ in range(5):
            said[f"app {path}"] = fetch(ledger.app + path, **secrets)
            assert said[f"app {path}"].startswith("500 ")
    fetch(ledger.app + "?token=planted-in-query", Cookie="csrftoken=planted-cookie")

    opened = f"{ledger.monitor}/api/v1/watchroom/incidents"
    until(lambda: get(opened)["data"], 40, "an incident is open")
    until(lambda: slack.taken and duty.taken, 40, "what Slack and PagerDuty hear")
    paths = ("/planted-path-of-ops", "/planted-path-of-the-heartbeat")
    for end in paths:
        until(
            lambda e=end: any(m.path.endswith(e) for m in ledger.hook.messages), 40, end
        )
    token = {"Authorization": "Bearer planted-token-of-the-monitor"}
    more = [f"/incidents/{one['id']}" for one in get(opened)["data"]]
    for folder, kind in (("grafana", "json"), ("runbooks", "md")):
        where = "dashboards" if folder == "grafana" else folder
        found = sorted((ledger.monitoring / folder).rglob(f"*.{kind}"))
        more += [f"/{where}/{path.stem}" for path in found]
    for path in (*PAGES, *more):
        for who in ({}, token):
            said[f"{path} {len(who)}"] = fetch(ledger.monitor + path, **who)
    lost = [name for name, text in said.items() if text.startswith(("404", "50"))]
    assert [name for name in lost if not name.startswith(("app", "/nothing"))] == []
    said["exporter"] = fetch(f"{ledger.exporter}/metrics", **token)
    checked = ledger.watchroom(
        *("check", str(ledger.monitoring), "--json", "--prometheus", ledger.monitor)
    )
    assert json.loads(checked.stdout)["items"]
    said["check"] = checked.stdout + checked.stderr
    said["chat"] = json.dumps([*slack.taken, *(one["payload"] for one in duty.taken)])
    ledger.processes.stop()
    said |= {f"log {name}": text for name, text in files(tmp_path / "logs").items()}
    said |= {f"run {name}": text for name, text in files(ledger.runtime).items()}
    said |= {f"now {name}": text for name, text in files(ledger.monitoring).items()}
    assert "RuntimeError" in said["log app.log"], "what was to leak was said"
    leaks = {
        name: sorted(set(re.findall(rf".{{0,80}}{MARK}.{{0,40}}", text)))[:5]
        for name, text in said.items()
        if MARK in text
    }
    assert leaks == {}
