"""What we build, in the eyes of the servers' own tools."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple

import pytest
from tests.support import promtool
from tests.support.plans import CHAT, OPS, built, planned, put
from tests.support.rule_tests import unit_tests

from watchroom.catalogue.load import Override
from watchroom.derive.fast import copies, drill_rules
from watchroom.derive.rules import rules
from watchroom.formats.rulefile import RuleFile, RuleGroup, dump

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(
        not (shutil.which("promtool") and shutil.which("amtool")),
        reason="needs Debian's promtool and amtool",
    ),
]
SHAPES = {
    "as it comes": {},
    "a slow interval": {"interval": "15s"},
    "a demo": {"interval": "1s", "window": "30s", "for_": "5s"},
    "one team of many": {"select": 'namespace="shop"', "interval": "15s"},
    "one team of many, by a pattern": {
        "select": 'namespace="shop",pod=~"web-.*"',
        "labels": {"team": "shop"},
    },
    "limits of its own": {
        "overrides": {
            "HighErrorRate": Override(limit=0.001, window="10m"),
            "HighLatency": Override(limit=0.25, for_="2m", severity="critical"),
            "DatabaseQuerySlow": Override(limit=3.0),
            "CacheHitRateLow": Override(limit=0.2, window="5m"),
        }
    },
    "nobody to tell, nothing to probe": {"receivers": (), "has": ()},
    "an exporter elsewhere": {"exporter": "10.0.0.7:9000"},
}


def ask(directory, *command):
    """Run a judge; its words are the failure."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=SHAPES)
def shape(request, tmp_path):
    made = planned(**SHAPES[request.param])
    put(tmp_path, built(made))
    put(tmp_path, {"secrets/watchroom_token": "token"})
    return made, tmp_path


def test_promtool_accepts_configuration_and_rules(shape):
    _, directory = shape
    ask(directory, "promtool", "check", "config", "prometheus.yml")


def test_amtool_accepts_the_routes(shape):
    _, directory = shape
    ask(directory, "amtool", "check-config", "alertmanager.yml")


# A pattern in a select gives a drill's series no label, so that shape is not here.
@pytest.mark.parametrize(
    "name", ["as it comes", "a demo", "one team of many", "limits of its own"]
)
def test_every_rule_fires_on_its_fault_ends_with_its_recovery_and_stays_calm(
    name, tmp_path
):
    made = planned(**SHAPES[name])
    # What another shape changes in no letter, this one judges for it.
    first = "as it comes"
    judged = set() if name == first else set(judgements(planned(), whole=False))
    tested, files = set(), []
    # One shape tries each fault on its whole group: no rule there fails on it.
    for number, one in enumerate(judgements(made, whole=name == "a demo")):
        tested |= one.alerts
        if one in judged:
            continue
        rules_file, tests_file = f"rules-{number}.yml", f"tests-{number}.yml"
        tests = one.tests.replace(RULES_FILE, rules_file)
        put(tmp_path, {rules_file: one.rules, tests_file: tests})
        files.append(tests_file)
    promtool.run(tmp_path, *files)
    made_from_vitals = {alert.name for vital in made.vitals for alert in vital.alerts}
    assert tested == made_from_vitals


class Judgement(NamedTuple):
    """Rules, and the tests of some alerts among them, as promtool reads both."""

    rules: str
    tests: str
    alerts: frozenset


RULES_FILE = "the-rules.yml"


def judgements(made, *, whole):
    """Yield what promtool is asked about the alerts of a plan."""
    for group, alerts in by_group(made, whole=whole):
        tests = unit_tests(made, RULES_FILE, only=alerts)
        yield Judgement(group, tests, frozenset(alerts))


def by_group(made, *, whole):
    """Yield each group with the copies of its rules that drills fire, and its alerts.

    A group reads nothing of another, or it would read what is an interval old. Not
    whole: each alert with only the rules that it reads, a quarter of the evaluation.
    """
    accelerated = {copy.of.name: copy.name for copy in copies(made)}
    found = drill_rules(made)
    drills = found.groups[0] if found else None
    for group in rules(made).groups:
        names = {rule.alert for rule in group.rules if rule.alert}
        names -= {"PageInhibitor"}  # no vital's: it reads the others
        for alerts in [names] if whole else [{name} for name in sorted(names)]:
            of_drills = {accelerated.get(alert) for alert in alerts}
            mine = [r for r in drills.rules if r.alert in of_drills] if drills else []
            read = " ".join(rule.expr for rule in mine)
            groups = [group if whole else promtool.pruned(group, alerts, read)]
            groups += [RuleGroup("watchroom.drills", mine)] if mine else []
            yield dump(RuleFile(groups)), alerts


def test_the_unit_tests_would_notice_a_rule_that_never_fires(tmp_path):
    made = planned(interval="5s", window="30s", for_="10s")
    put(tmp_path, built(made))
    put(
        tmp_path,
        {
            "tests.yml": unit_tests(
                made, "rules/watchroom.yml", only=("HighErrorRate", "SiteDown")
            )
        },
    )
    written = tmp_path / "rules" / "watchroom.yml"
    for alert, good, bad in (
        ("HighErrorRate", "ratio_rate30s > 0.01", "ratio_rate30s > 1"),
        ("SiteDown", "(probe_success) == 0", "(probe_success) == 2"),
    ):
        text = written.read_text()
        assert good in text
        written.write_text(text.replace(good, bad))
        done = promtool.judged(tmp_path, "tests.yml")
        written.write_text(text)
        assert done.returncode == 1
        assert alert in done.stdout + done.stderr


ROUTES = {
    "severity=critical job=app alertname=AppDown": "ops,hush",
    "severity=warning job=app alertname=HighLatency": "ops,chat",
    "severity=critical job=drill-a1 alertname=AppDown": "drill",
    "severity=warning job=drill-a1 alertname=HighLatency": "drill",
    "severity=none alertname=Watchdog": "blackhole",
    "severity=info alertname=OfTheTeam": "blackhole",
    "alertname=WithoutSeverity job=app": "ops",
    "severity=critical priority=P1 job=app alertname=AppDown": "ops,hush,first",
    "severity=warning priority=P1 job=app alertname=OfTheTeam": "ops,chat,first",
    "severity=critical priority=P3 job=app alertname=OfTheTeam": "ops,hush",
}


@pytest.mark.parametrize("labels", ROUTES)
def test_an_alert_reaches_whom_it_should_and_a_drill_nobody_else(labels, tmp_path):
    hush = OPS._replace(name="hush", severities=("critical",))
    first = OPS._replace(name="first", priorities=("P1",))
    put(tmp_path, built(planned(receivers=(OPS, CHAT, hush, first))))
    said = ask(
        tmp_path, "amtool", "config", "routes", "test",
        "--config.file=alertmanager.yml", *labels.split(),
    )  # fmt: skip
    assert said.strip() == ROUTES[labels]
