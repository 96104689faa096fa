"""Which words of the app page whom, in the eyes of promtool."""

import json
import shutil
import subprocess

import pytest
from tests.support.plans import built, planned, put

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(not shutil.which("promtool"), reason="needs Debian's promtool"),
]
JOB = 'job="app",instance="h"'
LIVE = f'watchroom_processes{{{JOB},role="web"}}'


def check(kind):
    return f'health_check_status{{{JOB},check="c",kind="{kind}"}}'


def firing(alert, at, count, **labels):
    matchers = "".join(f',{name}="{value}"' for name, value in labels.items())
    return {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"{matchers}}})'
        " or vector(0)",
        "eval_time": at,
        "exp_samples": [{"labels": "{}", "value": count}],
    }


def case(name, series, *expected):
    return {
        "name": name,
        "interval": "5s",
        "input_series": [
            {"series": one, "values": f"{value}x200"} for one, value in series.items()
        ],
        "promql_expr_test": list(expected),
    }


def test_hard_checks_page_soft_ones_tell_and_a_hanging_app_is_down(tmp_path):
    name = "HealthCheckFailing"
    cases = [
        case(
            "hard",
            {check("hard"): "0+0", check("soft"): "1+0"},
            firing(name, "50s", 0),
            firing(name, "70s", 1, severity="critical", priority="P1", check="c"),
            firing(name, "10m", 1),
        ),
        case(
            "soft",
            {check("hard"): "1+0", check("soft"): "0+0"},
            firing(name, "4m", 0),
            firing(name, "6m", 1, severity="warning", priority="P2", kind="soft"),
        ),
        case(
            "processes live and do not answer",
            {LIVE: "4+0", f"health_livez{{{JOB}}}": "0+0"},
            firing("AppDown", "50s", 0),
            firing("AppDown", "70s", 1, instance="h"),
        ),
        case(
            "they answer",
            {LIVE: "4+0", f"health_livez{{{JOB}}}": "1+0"},
            firing("AppDown", "10m", 0),
        ),
        case(
            "nothing is known of it",
            {f'watchroom_exporter_info{{{JOB},version="1"}}': "1+0"},
            firing("HealthUnobserved", "4m", 0),
            firing("HealthUnobserved", "6m", 1, severity="warning", priority="P2"),
        ),
    ]
    made = planned(has=("sites", "database", "cache", "health"))
    put(tmp_path, built(made))
    tests = {"rule_files": ["rules/watchroom.yml"], "evaluation_interval": "5s"}
    (tmp_path / "tests.yml").write_text(json.dumps(tests | {"tests": cases}))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
