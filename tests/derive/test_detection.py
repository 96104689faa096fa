"""What pages for failing requests, how soon, and what never does: by both engines."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from tests.support import promtool, replay
from tests.support.plans import planned
from tests.support.promtool import case, firing

from watchroom.catalogue.load import Override

A = 'job="app",instance="a"'
UP = f"up{{{A}}}"
WEB = f'watchroom_processes{{{A},role="web"}}'
LIVE = f"health_livez{{{A}}}"
SITE = 'probe_success{job="site",instance="https://shop.example/"}'
HTTP = 'http_requests_total{%s,method="GET",route="shop",status="%s"}'
OK, BAD, LOST = (HTTP % (A, status) for status in ("200", "500", "lost"))
PAGES = (
    "HttpOutage",
    "HighErrorRate",
    "ErrorBudgetBurn",
    "ErrorBudgetBurnSustained",
)
DOWN = ("AppDown", "SiteDown", "TargetDown", "AppAbsent", "HealthCheckFailing")
# Windows a fifteenth of their length: a day of samples says what two weeks would.
SHORT = {"window": "20s", "for_": "5s"}


# Hosts of a rolling restart, and the step at which each ends or begins.
OLD = (("a", 100), ("b", 110), ("c", 120))
NEW = (("d", 100), ("e", 110), ("f", 120))


def requests(before, after, good, bad, failed=BAD, rps=20):
    """Return healthy traffic, then so many good and bad answers a step; in steps."""
    each = rps * 5
    then = f"{each * before + good}+{good}x{after}"
    return {
        UP: f"1x{before + after + 1}",
        OK: f"0+{each}x{before} {then}",
        failed: f"0x{before} {bad}+{bad}x{after}",
    }


def quiet(at, *alerts):
    return [firing(alert, at, 0) for alert in alerts]


def at(step):
    return f"{step * 5}s"


class Scenario(NamedTuple):
    """A case, and which rules it is for."""

    case: dict
    groups: frozenset = frozenset({"watchroom.http"})
    inputs: dict = {}  # noqa: RUF012 - read only


SCENARIOS = {
    "a total outage pages within a minute, and HighErrorRate when it did": Scenario(
        case(
            "all fail from 600 s on",
            requests(120, 80, 0, 100),
            *quiet("640s", *PAGES),
            firing("HttpOutage", "645s", 1, job="app", severity="critical"),
            firing("HighErrorRate", "900s", 0),
            firing("HighErrorRate", "905s", 1),
            interval="5s",
        )
    ),
    "an outage of a quiet app pages as soon as twenty have failed": Scenario(
        case(
            "one request in two seconds",
            requests(120, 40, 0, 2.5, rps=0.5),
            *quiet("640s", *PAGES),
            firing("HttpOutage", "655s", 1),
            interval="5s",
        )
    ),
    "a process that dies with every request is an outage": Scenario(
        case(
            "lost, by a series that is new",
            requests(120, 40, 0, 100) | {LOST: "_x121 100+100x39", BAD: "0x160"},
            firing("HttpOutage", "650s", 1),
            interval="5s",
        )
    ),
    "an outage with just less than half of the requests is none": Scenario(
        case(
            "49 of 100",
            requests(120, 60, 51, 49),
            *quiet("900s", "HttpOutage"),
            firing("HighErrorRate", "910s", 1),
            interval="5s",
        )
    ),
    "five percent page by HighErrorRate alone": Scenario(
        case(
            "5 of 100",
            requests(120, 90, 95, 5),
            *quiet("955s", *PAGES),
            firing("HighErrorRate", "965s", 1),
            *quiet("965s", "HttpOutage", "ErrorBudgetBurn", "ErrorBudgetBurnSustained"),
            interval="5s",
        )
    ),
    "two percent under a limit of their own spend the budget fast": Scenario(
        case(
            "14.4 times over an hour of scaled windows",
            requests(120, 60, 98, 2),
            firing("ErrorBudgetBurn", at(120), 0),
            firing("ErrorBudgetBurn", at(175), 1, job="app", severity="critical"),
            firing("HighErrorRate", at(175), 0),
            interval="5s",
        ),
        inputs=SHORT | {"overrides": "HighErrorRate"},
    ),
    "eight in a thousand page although no threshold is passed": Scenario(
        case(
            "6 times over six hours of scaled windows",
            requests(330, 300, 992, 8, rps=200),
            firing("ErrorBudgetBurnSustained", at(500), 0),
            firing("ErrorBudgetBurnSustained", at(600), 1, severity="critical"),
            *quiet(at(600), "HttpOutage", "HighErrorRate", "ErrorBudgetBurn"),
            interval="5s",
        ),
        inputs=SHORT,
    ),
    "two in a thousand warn and page nobody": Scenario(
        case(
            "once over three days of scaled windows",
            requests(60, 160, 998, 2, rps=200),
            firing("ErrorBudgetBurnSlow", at(220), 1, severity="warning"),
            *quiet(at(220), *PAGES),
            interval="5s",
        ),
        inputs=SHORT,
    ),
    "half of the budget spends nothing": Scenario(
        case(
            "5 of 10,000",
            requests(60, 160, 9995, 5, rps=2000),
            *quiet(at(220), *PAGES, "ErrorBudgetBurnSlow"),
            interval="5s",
        ),
        inputs=SHORT,
    ),
    "two stray errors of a quiet night page nobody": Scenario(
        case(
            "two of a dozen requests, both in new series",
            {
                UP: "1x400",
                OK: "0x150 1+1x10 12x240",
                BAD: "_x152 1x250",
                LOST: "_x155 1x247",
            },
            *(
                check
                for moment in ("765s", "790s", "850s", "1050s", "1075s", "1500s")
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow")
            ),
            interval="5s",
        )
    ),
    "two stray errors after an outage do not page again": Scenario(
        case(
            "an outage of two windows, most of an hour of scaled windows ago",
            {
                UP: "1x200",
                OK: "0+5x60 300x8 305+5x130",
                BAD: "0x60 5+5x7 40x30 42x101",
            },
            firing("HighErrorRate", at(66), 1),
            *(
                check
                for moment in (at(99), at(101), at(104))
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow")
            ),
            interval="5s",
        ),
        inputs=SHORT,
    ),
    "an outage that is over pages no more for what is left in the windows": Scenario(
        case(
            "all fail for a while, then all is well",
            {
                UP: "1x300",
                OK: "0+100x150 15000x20 15100+100x130",
                BAD: "0x150 100+100x19 2000x131",
            },
            firing("HighErrorRate", at(169), 1),
            firing("HttpOutage", at(169), 1),
            firing("ErrorBudgetBurnSustained", at(169), 1),
            *(
                check
                for moment in (at(180), at(190), at(220), at(260))
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow")
            ),
            interval="5s",
        ),
        inputs=SHORT,
    ),
    "a job that has just begun has no budget to burn yet": Scenario(
        case(
            "ten failures of a hundred in the first minutes",
            {UP: "1x120", OK: "0+1x90 90x30", BAD: "0x30 1+1x10 11x80"},
            *(
                check
                for moment in ("200s", "300s", "500s")
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow")
            ),
            interval="5s",
        )
    ),
    "a monitor that was away pages nothing for the gap": Scenario(
        case(
            "totals went on meanwhile, seven more failures came",
            {
                UP: "1x140 _x90 1x70",
                OK: "0+5x140 _x90 1150+5x70",
                BAD: "3x140 _x90 10x70",
                WEB: "2x140 _x90 2x70",
            },
            *(
                check
                for moment in (at(232), at(235), at(250), at(295))
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow", *DOWN)
            ),
            interval="5s",
        ),
        frozenset({"watchroom.http", "watchroom.watch", "watchroom.health"}),
    ),
    "a restart with 30 s of refused connections pages nobody": Scenario(
        case(
            "three requests are lost, nobody is served for 30 s",
            {
                UP: "1x180",
                WEB: "4x100 0x5 4x70",
                LIVE: "1x100 0x5 1x70",
                SITE: "1x100 0x5 1x70",
                OK: "0+25x100 2500x6 2525+25x70",
                BAD: "0x180",
                LOST: "_x101 3x79",
            },
            *(
                check
                for moment in (at(102), at(106), at(107), at(118), at(170))
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow", *DOWN)
            ),
            interval="5s",
        ),
        frozenset({"watchroom.http", "watchroom.watch", "watchroom.health"}),
    ),
    "a rolling restart of three hosts pages nobody": Scenario(
        case(
            "each is new, one after the other, and loses two requests",
            {
                **{
                    f'up{{job="app",instance="{old}"}}': f"1x{end} stale"
                    for old, end in OLD
                },
                **{
                    HTTP % (f'job="app",instance="{old}"', "200"): f"0+25x{end} stale"
                    for old, end in OLD
                },
                **{
                    HTTP % (f'job="app",instance="{old}"', "lost"): (
                        f"_x{end - 1} 2 2 stale"
                    )
                    for old, end in OLD
                },
                **{
                    f'up{{job="app",instance="{new}"}}': f"_x{start} 1x90"
                    for new, start in NEW
                },
                **{
                    HTTP % (f'job="app",instance="{new}"', "200"): (
                        f"_x{start} 0+25x90"
                    )
                    for new, start in NEW
                },
            },
            *(
                check
                for moment in (at(101), at(112), at(121), at(130), at(180))
                for check in quiet(moment, *PAGES, "ErrorBudgetBurnSlow", *DOWN)
            ),
            interval="5s",
        ),
        frozenset({"watchroom.http", "watchroom.watch", "watchroom.health"}),
    ),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request):
    return SCENARIOS[request.param]


def built(scenario):
    inputs = dict(scenario.inputs)
    if inputs.pop("overrides", None):
        inputs["overrides"] = {"HighErrorRate": Override(limit=0.1)}
    return planned(**inputs)


def test_our_engine_says_so(scenario):
    replay.check(built(scenario), scenario.groups, [scenario.case])


@pytest.mark.judge
@promtool.needed
def test_prometheus_says_so(scenario, tmp_path):
    promtool.check(tmp_path, built(scenario), set(scenario.groups), [scenario.case])
