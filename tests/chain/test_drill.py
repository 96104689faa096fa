"""`watchroom drill` proves the chain, and names the stage that is broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.chain import get
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]
STAGES = ["scraped", "pending", "firing", "routed", "delivered", "told", "resolved"]


def drill(ledger: Chain, server: str, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and its only drill.

    Forced, since no app runs here and AppDown is a real P1.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "watchroom", "drill", "HighErrorRate", "--json"),
            *("--dir", str(ledger.monitoring), "--prometheus", server),
            *("--force", *words),
        ],
        env=ledger.environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    print(done.stderr)
    return done.returncode, json.loads(done.stdout)["drills"][0]


def build(ledger: Chain) -> None:
    ledger.build("--interval", "1s", "--window", "10s", "--for", "3s")


def edit(ledger: Chain, name: str, pattern: str, text: str) -> None:
    """Break a generated file, as a person at 3 a.m. would."""
    path = ledger.monitoring / name
    before = path.read_text()
    after = re.sub(pattern, text, before)
    assert after != before, f"{pattern} is not in {name}"
    path.write_text(after)


@pytest.mark.parametrize("pair", ["embedded", "real"])
def test_the_same_command_proves_either_pair(ledger: Chain, pair: str) -> None:
    """The embedded monitor by the rule as it is, the real pair by its copy."""
    if pair == "embedded":
        build(ledger)
        ledger.start_exporter()
        ledger.start_monitor()
        code, verdict = drill(ledger, ledger.monitor)
    else:
        ledger.build("--interval", "1s", "--window", "10s")
        ledger.start_exporter()
        ledger.start_pair()
        code, verdict = drill(ledger, ledger.prometheus, "--accelerated")
    assert code == 0, verdict
    copied = {
        "rule": "HighErrorRateAccelerated",
        "for": "10s",
        "accelerated": True,
        "instead_of": "5m",
    }
    as_it_is = {
        "rule": "HighErrorRate",
        "for": "3s",
        "accelerated": False,
        "instead_of": "",
    }
    assert verdict["ran"] == (as_it_is if pair == "embedded" else copied)
    assert [stage["name"] for stage in verdict["stages"]] == STAGES
    seconds = {stage["name"]: stage["seconds"] for stage in verdict["stages"]}
    assert seconds["scraped"] < seconds["firing"] < seconds["delivered"] + 0.5
    told = [m for m in ledger.hook.messages if m.name.startswith("[DRILL]")]
    assert [m.status for m in told] == ["firing", "resolved"]
    # Nobody was paged in earnest, and the real job has no alert.
    assert {m.name for m in ledger.hook.messages if m.name == "HighErrorRate"} == set()
    assert get(f"{ledger.exporter}/drill/targets") == []
    # The result is kept: by the monitor, or in a file where its state would be.
    if pair == "embedded":
        kept = get(f"{ledger.monitor}/api/v1/watchroom/proofs")["data"]
    else:
        kept = json.loads((ledger.directory / "state" / "proofs.json").read_text())
    assert {(one["kind"], one["name"], one["state"]) for one in kept} == {
        ("drill", "HighErrorRate", "passed"),
        ("receiver", "ops", "passed"),
    }
    if pair == "real":
        check_on_the_real_pair(ledger)


def check_on_the_real_pair(ledger: Chain) -> None:
    """The checklist asks Prometheus and Alertmanager what it asks the monitor."""
    done = ledger.watchroom(
        *("check", str(ledger.monitoring), "--json", "--prometheus", ledger.prometheus)
    )
    items = {one["id"]: one for one in json.loads(done.stdout)["items"]}
    assert done.returncode == 1
    assert items["integrations"]["state"] == "passed"
    # Its own drill is known from the file; the other rules have none yet.
    assert "haven't been drilled" in items["alerting-rules"]["evidence"]
    assert "HighErrorRate," not in items["alerting-rules"]["evidence"]
    assert items["dashboards"]["state"] == "unverifiable"
    assert "--grafana" in items["dashboards"]["next"]


def test_a_receiver_that_answers_404_is_named(ledger: Chain) -> None:
    build(ledger)
    ledger.start_exporter()
    ledger.start_monitor()
    ledger.hook.status = 404
    code, verdict = drill(ledger, ledger.monitor)
    assert code == 1
    assert verdict["broken"] == "told"
    assert "receiver ops" in verdict["reason"]
    assert "404" in verdict["reason"]


def test_a_rule_file_that_is_not_loaded_is_named(ledger: Chain) -> None:
    build(ledger)
    edit(ledger, "prometheus.yml", r"rule_files:\n(\s+- .*\n)+", "")
    ledger.start_exporter()
    ledger.start_pair()
    code, verdict = drill(ledger, ledger.prometheus)
    assert code == 1
    assert "rule file not loaded" in verdict["reason"]


def test_another_rule_than_the_built_one_is_named(ledger: Chain) -> None:
    build(ledger)
    ledger.start_exporter()
    ledger.start_monitor()
    ledger.build(
        *("--interval", "1s", "--window", "20s", "--for", "3s"),
    )
    code, verdict = drill(ledger, ledger.monitor)
    assert code == 1
    assert "the rule HighErrorRate loaded in" in verdict["reason"]


def test_nothing_scraped_is_named(ledger: Chain) -> None:
    build(ledger)
    edit(ledger, "prometheus.yml", r"/drill/targets", "/drill/elsewhere")
    ledger.start_exporter()
    ledger.start_monitor()
    code, verdict = drill(ledger, ledger.monitor)
    assert code == 1
    assert verdict["broken"] == "scraped"
    assert "nothing was scraped" in verdict["reason"]


def test_no_route_for_the_alert_is_named(ledger: Chain) -> None:
    ledger.environ["LEDGER_PAGE_URLS"] = ""
    ledger.processes.environ["LEDGER_PAGE_URLS"] = ""
    build(ledger)
    ledger.start_exporter()
    ledger.start_monitor()
    code, verdict = drill(ledger, ledger.monitor)
    assert code == 1
    assert verdict["broken"] == "told"
    assert "no route" in verdict["reason"]


def test_without_the_token_it_says_where_the_token_comes_from(ledger: Chain) -> None:
    build(ledger)
    ledger.start_exporter()
    ledger.start_monitor()
    ledger.environ["WATCHROOM_TOKEN"] = "not the token, but as long"
    code, verdict = drill(ledger, ledger.monitor)
    assert code == 1
    assert "WATCHROOM_TOKEN" in verdict["reason"]


def test_a_real_p1_is_not_drilled_over(ledger: Chain) -> None:
    build(ledger)
    ledger.start_exporter()  # no app at all: AppDown
    ledger.start_monitor()
    until(
        lambda: ledger.query(
            ledger.monitor, 'ALERTS{alertname="AppDown",alertstate="firing"}'
        ),
        60,
        "AppDown fires",
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "watchroom", "drill", "HighErrorRate"),
            *("--dir", str(ledger.monitoring), "--prometheus", ledger.monitor),
        ],
        env=ledger.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "a real P1 is firing: AppDown" in done.stderr
