"""Which words of the app page whom, in the eyes of promtool."""

import pytest
from tests.support import promtool
from tests.support.plans import planned
from tests.support.promtool import case, firing

pytestmark = [pytest.mark.judge, promtool.needed]
NAME, SOFT = "HealthCheckFailing", "SoftHealthCheckFailing"
JOB = 'job="app",instance="h"'
WEB = f'watchroom_processes{{{JOB},role="web"}}'
LIVEZ = f"health_livez{{{JOB}}}"
OK, FAILING, FOUR = "1+0x60", "0+0x60", "4+0x60"


def check(kind):
    return f'health_check_status{{{JOB},check="c",kind="{kind}"}}'


def test_hard_checks_page_soft_ones_tell_and_a_hanging_app_is_down(tmp_path):
    cases = [
        case(
            "hard",
            {check("hard"): FAILING, check("soft"): OK},
            firing(NAME, "45s", 0),
            firing(NAME, "75s", 1, severity="critical", priority="P1", check="c"),
            firing(NAME, "10m", 1),
        ),
        case(
            "soft",
            {check("hard"): OK, check("soft"): FAILING},
            firing(SOFT, "4m", 0),
            firing(SOFT, "6m", 1, severity="warning", priority="P2", kind="soft"),
            firing(NAME, "10m", 0),
        ),
        case(
            "half of the processes fail, and each scrape asks another",
            {
                check("hard"): f"{OK} {'0 1 ' * 40}{OK}",
                check("soft"): f"{OK} {'0 1 1 1 ' * 20}{OK}",
            },
            firing(NAME, "16m", 0),
            firing(NAME, "18m", 1, priority="P1", check="c"),
            firing(NAME, "35m", 1),
            firing(NAME, "40m30s", 0),
            firing(SOFT, "18m", 0),
            firing(SOFT, "23m", 1, priority="P2"),
            firing(SOFT, "40m30s", 0),
        ),
        case(
            "a hard check fails now and then",
            {check("hard"): " ".join([OK, *["0 1+0x19"] * 6])},
            firing(NAME, "20m", 0),
            firing(NAME, "40m", 0),
        ),
        case(
            "one that failed and passes again is over at once",
            {check("hard"): f"{OK} 0+0x7 {OK}"},
            firing(NAME, "16m30s", 1),
            firing(NAME, "17m15s", 0),
        ),
        case(
            "processes live and do not answer",
            {WEB: FOUR, LIVEZ: FAILING},
            firing("AppDown", "45s", 0),
            firing("AppDown", "75s", 1, instance="h"),
        ),
        case(
            "they answer",
            {WEB: FOUR, LIVEZ: OK},
            firing("AppDown", "10m", 0),
        ),
        case(
            "nothing is known of it",
            {f'watchroom_exporter_info{{{JOB},version="1"}}': OK},
            firing("HealthUnobserved", "4m", 0),
            firing("HealthUnobserved", "6m", 1, severity="warning", priority="P2"),
        ),
        case(
            "nobody is there to ask",
            {
                f'watchroom_exporter_info{{{JOB},version="1"}}': OK,
                WEB: FAILING,
            },
            firing("HealthUnobserved", "10m", 0),
            firing("AppDown", "10m", 1),
        ),
    ]
    made = planned(interval="15s")
    groups = {"watchroom.health", "watchroom.watch"}
    promtool.check(tmp_path, made, groups, cases)
