"""Unit tests of rules in the eyes of Debian's promtool."""

import json
import os
import re
import shutil
import subprocess

import msgspec
import pytest

from watchroom.derive.rules import rules
from watchroom.formats.rulefile import RuleFile, dump

_NAMES = re.compile(r"[a-zA-Z_:][\w:]*")
needed = pytest.mark.skipif(
    not shutil.which("promtool"), reason="needs Debian's promtool"
)


def case(name, series, *expected, interval="15s"):
    """Return a test: series and their values in its notation, and what is expected."""
    lines = [{"series": one, "values": values} for one, values in series.items()]
    return {
        "name": name,
        "interval": interval,
        "input_series": lines,
        "promql_expr_test": list(expected),
    }


def firing(alert, at, count, **labels):
    """Expect so many alerts of that name to fire at that time."""
    matchers = "".join(f',{name}="{value}"' for name, value in labels.items())
    return {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"{matchers}}})'
        " or vector(0)",
        "eval_time": at,
        "exp_samples": [{"labels": "{}", "value": count}],
    }


def check(directory, made, groups, cases):
    """Run the cases over these groups of a plan's rules; its words are the failure.

    Of them only what the cases ask about: it evaluates all rules at every step.
    """
    chosen = [group for group in rules(made).groups if group.name in groups]
    assert len(chosen) == len(groups), [group.name for group in rules(made).groups]
    asked = [test["expr"] for one in cases for test in one["promql_expr_test"]]
    # Asked for one alert by name, ALERTS is not the others'.
    read = " ".join(asked).replace("ALERTS{alertname=", "{")
    kept = [pruned(group, (), read) for group in chosen]
    rule_file = RuleFile([group for group in kept if group.rules])
    assert rule_file.groups, f"no rule of {groups} is asked about"
    (directory / "rules.yml").write_text(dump(rule_file))
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": made.site.inputs.interval,
        "tests": cases,
    }
    (directory / "tests.yml").write_text(json.dumps(tests))
    run(directory, "tests.yml")


def run(directory, *files):
    """Hold rules to these files of unit tests; promtool's words are the failure."""
    done = judged(directory, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def judged(directory, *files):
    """Return what came of `promtool test rules` on these files."""
    return subprocess.run(
        ["promtool", "test", "rules", *files],
        cwd=directory,
        # Half a gigabyte of garbage, not 100 MB: a quarter less processor time.
        env={**os.environ, "GOGC": "400"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def pruned(group, alerts, read=""):
    """Return the group with these alerts and only the rules that they read.

    Args:
        group: A rule group.
        alerts: Names of its alerts.
        read: Expressions from elsewhere whose records stay as well.
    """
    names = set(alerts) | set(_NAMES.findall(read))
    kept: list = []
    before = -1
    while len(kept) > before:  # until nothing kept reads anything more
        before = len(kept)
        every_alert = "ALERTS" in names
        kept = [
            rule
            for rule in group.rules
            if {rule.record, rule.alert} & names or (every_alert and rule.alert)
        ]
        names.update(name for rule in kept for name in _NAMES.findall(rule.expr))
    return msgspec.structs.replace(group, rules=kept)
