"""Unit tests of rules in the eyes of Debian's promtool."""

import json
import shutil
import subprocess

import pytest

from watchroom.derive.rules import rules
from watchroom.formats.rulefile import RuleFile, dump

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

    Only these: it evaluates all rules of a file at every step.
    """
    chosen = [group for group in rules(made).groups if group.name in groups]
    assert len(chosen) == len(groups), [group.name for group in rules(made).groups]
    (directory / "rules.yml").write_text(dump(RuleFile(chosen)))
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": made.site.inputs.interval,
        "tests": cases,
    }
    (directory / "tests.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
