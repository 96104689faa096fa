"""From an empty checklist to one that is drilled, answered for, and broken again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.chain import get
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]
CONTACTS = "contacts: [{name: Ann, receivers: [ops]}, {name: Bob}]\n"


def check(ledger: Chain, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the command; return its exit code and its items."""
    done = ledger.watchroom(
        *("check", str(ledger.monitoring), "--json"),
        *("--prometheus", ledger.monitor, *words),
    )
    items = {one["id"]: one for one in json.loads(done.stdout)["items"]}
    return done.returncode, items


def drill(ledger: Chain, *words: str) -> tuple[int, dict[str, Any]]:
    done = ledger.watchroom(
        *("drill", *words, "--json", "--force", "--dir", str(ledger.monitoring)),
        *("--prometheus", ledger.monitor),
    )
    return done.returncode, json.loads(done.stdout)


def still_open(ledger: Chain) -> list[dict[str, Any]]:
    """Return the open incidents that are tests."""
    found = get(f"{ledger.monitor}/api/v1/watchroom/incidents")["data"]
    return [one for one in found if one["title"].startswith("[DRILL]")]


def acknowledge(ledger: Chain, who: str) -> None:
    """Do what a person does who was woken: follow the page, and answer."""

    def woken() -> Any:
        pages = [m for m in ledger.hook.messages if "acknowledge_url" in m.annotations]
        return pages and still_open(ledger)

    (incident,) = until(woken, 60, "somebody is woken")
    url = f"{ledger.monitor}/api/v1/watchroom/incidents/{incident['id']}/acknowledge"
    form = urllib.parse.urlencode({"as": who, "reason": "awake"}).encode()
    token = (ledger.directory / "state" / "token").read_text().strip()
    request = urllib.request.Request(
        url, data=form, headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def paste(command: str) -> tuple[int, dict[str, Any]]:
    """Run a printed drill in a shell that knows nothing of the chain's directories."""
    done = subprocess.run(
        f"{command} --json --force",
        shell=True,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    print(done.stderr)
    return done.returncode, json.loads(done.stdout)


def every_rule_arrives(ledger: Chain, command: str) -> int:
    """Drill every rule side by side; return how many. Each receiver is told once."""
    built = json.loads((ledger.monitoring / "watchroom.json").read_text())
    names = {entry["alert"] for entry in built["drills"]}
    count = len(built["drills"])
    assert len(names) >= 8
    code, document = paste(command)
    verdicts = {verdict["alert"]: verdict for verdict in document["drills"]}
    assert [v for v in verdicts.values() if not v["passed"]] == []
    assert code == 0
    # Two rules may be of one alert: hard and soft health checks.
    assert len(verdicts) == count
    assert {name.partition("/")[0] for name in verdicts} == names
    told = [m for m in ledger.hook.messages if m.name.startswith("[DRILL]")]
    assert [m.status for m in told] == ["firing", "resolved"]
    assert f"{count} of {count} alerts" in told[0].annotations["summary"]
    # No drill was told in earnest. Workers are down for real here, and while that very
    # rule is drilled the real alert is told.
    jobs = {m.labels.get("job", "") for m in ledger.hook.messages}
    assert not [job for job in jobs if job.startswith("drill-")]
    until(
        lambda: "CeleryWorkersDown" in {m.name for m in ledger.hook.messages},
        60,
        "the real alert is told",
    )
    return count


def test_a_checklist_from_empty_to_proven_and_back(ledger: Chain) -> None:
    ledger.build("--interval", "1s", "--window", "10s", "--for", "3s")
    ledger.start_exporter()
    ledger.start_app("--workers", "2")
    ledger.start_monitor()

    # Nothing is proven by being configured.
    web = 'watchroom_processes{role="web"} == 2'
    until(lambda: ledger.query(ledger.monitor, web), 60, "the app is scraped")
    until(lambda: ledger.query(ledger.monitor, "probe_success == 1"), 60, "the site")
    code, items = check(ledger)
    assert code == 1
    assert items["health-endpoint"]["state"] == "passed"
    assert items["scraping"]["state"] == "passed"
    command = items["alerting-rules"]["next"]
    assert items["integrations"]["state"] == "failed"
    assert items["on-call"]["state"] == "failed"
    assert items["team"]["state"] == "unverifiable"
    assert items["metrics-closed"]["state"] == "passed"
    assert "2 web of user" in items["processes"]["evidence"]
    assert items["dashboards"]["state"] == "passed"
    assert "0 of 2 web processes send errors" in items["error-tracking"]["evidence"]
    assert "on a phone is the phone itself" in items["link"]["evidence"]
    assert "HEARTBEAT" in items["heartbeat"]["next"]

    count = every_rule_arrives(ledger, command)

    # Somebody is woken in earnest, and answers.
    (ledger.monitoring / "local").mkdir(exist_ok=True)
    (ledger.monitoring / "local" / "contacts.yml").write_text(CONTACTS)
    ledger.watchroom("reload", str(ledger.monitoring), "--url", ledger.monitor)
    answering = threading.Thread(target=acknowledge, args=(ledger, "Ann"))
    answering.start()
    code, woken = drill(ledger, "--wake", "ann", "--within", "60s")
    answering.join()
    assert code == 0, woken
    assert woken["by"] == "Ann"
    assert 0 < woken["knew_seconds"] <= woken["acknowledged_seconds"]
    assert still_open(ledger) == []

    code, items = check(ledger)
    assert code == 1  # the link and the heartbeat are still to be done
    for item in ("alerting-rules", "integrations", "on-call", "scraping"):
        assert items[item]["state"] == "passed", items[item]
    assert "Bob" in items["team"]["next"]
    with urllib.request.urlopen(f"{ledger.monitor}/checklist", timeout=10) as answer:
        page = answer.read().decode()
    assert f"{count} of {count} pages arrived" in page

    # And what is broken afterwards is seen.
    ledger.kill("exporter", signal.SIGKILL)
    down = 'up{job="app"} == 0'
    until(lambda: ledger.query(ledger.monitor, down), 60, "the exporter is missed")
    items = check(ledger)[1]
    assert items["scraping"]["state"] == items["processes"]["state"] == "failed"
