"""The sibling of a vital: it fires when the vital's series are missing."""

from dataclasses import replace

import pytest
from tests.support import promtool
from tests.support.plans import planned
from tests.support.promtool import case, firing

from watchroom.catalogue.blind import LABEL, sibling
from watchroom.catalogue.load import catalogue
from watchroom.catalogue.metrics import Metric
from watchroom.catalogue.model import Blind, Drill
from watchroom.catalogue.standard import VITALS
from watchroom.errors import ConfigError

BY_NAME = {vital.name: vital for vital in VITALS}
# Absence of all targets is an alert of its own, and that is the sibling. Of requests
# RequestsUnobserved tells for all that is made of them: one fault is one warning.
OF_REQUESTS = {
    "HttpOutage",
    "ErrorBudgetBurn",
    "ErrorBudgetBurnSustained",
    "ErrorBudgetBurnSlow",
}
SEEN_OTHERWISE = {"TargetDown", *OF_REQUESTS}
EXPORTER = 'watchroom_exporter_info{job="app",version="1"}'
DRIVE = '{job="app",mountpoint="/",fstype="ext4",device="/dev/a"}'
# Alerts that no sibling of their own belongs to, the sibling that tells when what they
# read is missing, and what their collector answers when all is well.
TOLD_BY = {
    "CeleryBrokerDown": (
        "CeleryWorkersUnobserved",
        {'celery_broker_up{job="app"}': "1+0x60"},
    ),
    "CeleryQueueStuck": (
        "CeleryQueueUnobserved",
        {
            'celery_queue_length{job="app",queue_name="q"}': "0+0x60",
            'celery_queue_oldest_seconds{job="app",queue_name="q"}': "0+0x60",
        },
    ),
    "DiskNotAnswering": (
        "DiskUnobserved",
        {
            f"node_filesystem_avail_bytes{DRIVE}": "9+0x60",
            f"node_filesystem_device_error{DRIVE}": "0+0x60",
        },
    ),
}


def test_every_vital_with_a_tile_has_a_sibling():
    without = {vital.name for vital in VITALS if vital.panel and not vital.blind}
    assert without == SEEN_OTHERWISE
    requests = BY_NAME["HighErrorRate"]
    assert requests.blind
    for name in OF_REQUESTS:
        assert BY_NAME[name].metrics == requests.metrics
        assert BY_NAME[name].panel.presence == requests.panel.presence


def test_a_vital_without_a_tile_is_covered_by_a_sibling_or_needs_no_tile():
    without = {vital.name for vital in VITALS if not vital.panel}
    # The first is an absence, the second always fires.
    assert without - TOLD_BY.keys() == {"AppAbsent", "Watchdog"}


@promtool.needed
@pytest.mark.judge
def test_vitals_without_a_sibling_are_covered_by_their_collectors(tmp_path):
    cases = [
        case(f"{name}: {words}", {EXPORTER: "1+0x60", **series}, firing(told, "9m", n))
        for name, (told, answered) in TOLD_BY.items()
        for words, series, n in (("missing", {}, 1), ("there", answered, 0))
    ]
    groups = {"watchroom.celery", "watchroom.host"}
    promtool.check(tmp_path, planned(interval="15s"), groups, cases)


def test_siblings_come_last_and_are_marked():
    for vital in catalogue((), {}):
        marked = [alert.labels.get(LABEL) == "true" for alert in vital.alerts]
        assert marked == [False] * (len(marked) - bool(vital.blind)) + [True] * bool(
            vital.blind
        )
        assert vital.name == BY_NAME[vital.name].name


def test_the_rule_is_made_of_the_presence_and_can_be_drilled():
    alert = sibling(BY_NAME["HighErrorRate"])
    assert alert.expr == (
        "group by (job) (watchroom_exporter_info)"
        ' unless on (job) group by (job) (http_requests_total{job!=""})'
    )
    assert alert.drill.fault == ('watchroom_exporter_info{version="drill"} 1+0x$steps',)
    assert alert.drill.recovery[1:] == BY_NAME["HighErrorRate"].alerts[0].drill.calm


def test_series_of_another_job_count_for_the_apps():
    expr = sibling(BY_NAME["SiteDown"]).expr
    assert expr.endswith(
        ' unless on (job) label_replace(group by (job) (probe_success{job!=""}),'
        ' "job", "app", "job", "site")'
    )


def test_what_cannot_be_made_is_refused():
    vital = BY_NAME["HighErrorRate"]
    for presence in ("", "sum(http_requests_total{$real})"):
        panel = replace(vital.panel, presence=presence)
        with pytest.raises(ConfigError, match="can't be detected"):
            sibling(replace(vital, panel=panel))
    first = replace(vital.alerts[0], drill=Drill.none("no"))
    with pytest.raises(ConfigError, match="nothing ends the drill of XUnobserved"):
        sibling(
            replace(
                vital,
                alerts=(first,),
                blind=Blind(name="XUnobserved", why="x", remedy="x"),
            )
        )


def test_a_vital_of_a_projects_gauges_has_a_sibling_by_itself():
    first = replace(
        BY_NAME["DatabaseDown"].alerts[0],
        name="TillOpen",
        drill=Drill(fault=("till 1+0x9",), recovery=("till 0+0x9",)),
    )
    own = replace(
        BY_NAME["DatabaseDown"],
        metrics=("till",),
        alerts=(first,),
        blind=None,
        panel=replace(BY_NAME["DatabaseDown"].panel, presence="count(till{$real})"),
    )

    def alerts(kind):
        made = catalogue((own,), {}, [Metric("till", kind, "")])
        return [alert.name for alert in made[-1].alerts]

    assert alerts("gauge") == ["TillOpen", "TillOpenUnobserved"]
    # Until the first event a counter may be absent.
    assert alerts("counter") == ["TillOpen"]
