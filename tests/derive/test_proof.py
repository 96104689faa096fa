"""Drills that could not work, or would page, are found before anything is written."""

from dataclasses import replace

import pytest
from tests.derive.test_plan import ALERT, ORDERS, OWN
from tests.support.plans import planned

from watchroom.catalogue.load import Override
from watchroom.catalogue.model import Record
from watchroom.derive import proof
from watchroom.derive.site import unselected
from watchroom.errors import ConfigError

SHAPES = (
    {},
    {"interval": "15s", "labels": {"team": "shop"}},
    {"interval": "1s", "window": "30s", "for_": "5s"},
    {"select": 'namespace="shop"'},
)


@pytest.mark.parametrize("inputs", SHAPES, ids=str)
def test_every_drill_of_the_catalogue_fires_and_carries_its_job(inputs):
    proof.check(planned(OWN, metrics=(ORDERS,), **inputs))


def test_a_pattern_in_a_select_hides_no_drill():
    made = planned(select='namespace="shop",pod=~"web-.*"', labels={"team": "shop"})
    plain = unselected(made.site).inputs
    assert (plain.select, plain.labels) == ("", {"team": "shop"})


def refused(**changes):
    records = changes.pop("records", ())
    own = replace(OWN, alerts=(replace(ALERT, **changes),), records=records)
    with pytest.raises(ConfigError) as caught:
        proof.check(planned(own, metrics=(ORDERS,)))
    assert "vital OrdersStopped, alert OrdersStopped: " in caught.value.what
    return f"{caught.value.what} {caught.value.hint}"


def test_an_alert_without_the_drills_job_would_page():
    for changes in (
        {"expr": "sum(rate(orders_total[$window])) < $limit"},
        {"expr": "vector(1)"},
        {"labels": {"job": "shop"}},
        {
            "records": (Record("orders:rate", "sum(rate(orders_total[5m]))"),),
            "expr": "orders:rate < $limit",
        },
    ):
        said = refused(**changes)
        assert "send a real page" in said
        assert "sum by (job)" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"drill": replace(ALERT.drill, fault=('orders_total{kind="web"} 0+9x$steps',))},
        {"drill": replace(ALERT.drill, fault=('orders_total{kind="web"} 0+0x3 _',))},
        {
            "expr": 'sum by (job) (rate(orders_total{kind="app"}[$window])) < $limit',
        },
        # It holds, but not for as long as it must.
        {
            "drill": replace(
                ALERT.drill, fault=('orders_total{kind="web"} 0+9x40 360+0x$steps',)
            )
        },
    ],
)
def test_a_fault_that_does_not_make_its_alert_fire_is_refused(changes):
    assert "doesn't make it fire within 5m40s" in refused(**changes)


def test_a_rule_that_fails_over_its_drill_says_why():
    two = ('orders_total{kind="a"} 0', 'orders_total{kind="b"} 0')
    said = refused(
        expr="orders_total + on (job) orders_total > -1",
        drill=replace(ALERT.drill, fault=two),
    )
    assert "many-to-many" in said


LIMITS = {
    "HighErrorRate": {"route": {"a/*": 0.9}, "method": {"POST": 0.5}},
    "HighLatency": {"method": {"GET": 300.0, "P*": 1.0}, "route": {"2/*": 45.0}},
    "DatabaseQuerySlow": {"role": {"worker": 60.0}},
    "DatabaseConnectionsHigh": {"alias": {"default": 0.99}},
    "CacheHitRateLow": {"alias": {"*s": 0.01}},
    "CeleryTaskFailed": {"task": {"shop.*": 5000}},
    "CeleryBacklogHigh": {"queue": {"bulk": 9e9}},
    "CeleryQueueStuck": {"queue": {"bulk": 604800.0}},
    "ScheduledTaskOverdue": {"entry": {"monthly": 604800.5}},
    "MemoryHigh": {"name": {"shop.service": 0.99}},
    "DiskSpaceLow": {"mountpoint": {"/srv": 0.99, "/var/*": 0.001}},
}


def test_whatever_has_a_limit_of_its_own_can_be_drilled():
    made = planned(
        overrides={name: Override(limits=each) for name, each in LIMITS.items()}
    )
    proof.check(made)
    patterns = sum(len(one) for each in LIMITS.values() for one in each.values())
    followed = [v for v in made.vitals if v.vital.scopes and v.vital.ignores_with]
    assert len(followed) == 4  # what HighErrorRate leaves out, they do too
    scoped = [v for v in made.vitals if v.vital.scopes]
    assert len(scoped) == len(LIMITS) + patterns + len(followed)


FAR = {
    "HighErrorRate": 0.99,
    "HttpOutage": 1.0,
    "ErrorBudgetBurn": 0.05,
    "ErrorBudgetBurnSustained": 0.05,
    "ErrorBudgetBurnSlow": 0.05,
    "HighLatency": 900.0,
    "DatabaseQuerySlow": 900.0,
    "DatabaseConnectionsHigh": 0.99,
    "CacheHitRateLow": 0.0001,
    "CeleryTaskFailed": 12345.0,
    "CeleryBacklogHigh": 1e7,
    "CeleryQueueStuck": 1e6,
    "ScheduledTaskOverdue": 1e6,
    "MemoryHigh": 0.999,
    "DiskSpaceLow": 0.0001,
    "CertificateExpiring": 86400.0,
    "NotificationFailing": 1000.0,
}


def test_a_drill_passes_any_limit_and_every_tile_shows_it():
    made = planned(overrides={name: Override(limit=far) for name, far in FAR.items()})
    proof.check(made)
    limits = {vital.name: vital for vital in made.vitals if "$limit" in exprs(vital)}
    assert set(limits) == set(FAR)
    shown = {name: one.panel.limit for name, one in limits.items() if one.panel}
    # Of a budget the tile shows the burn rate.
    burns = {k: shown.pop(k) for k in FAR if k.startswith("ErrorBudget")}
    assert list(burns.values()) == [14.4, 6, 1]
    # The queue's tile is CeleryBacklogHigh's.
    others = FAR.keys() - burns.keys() - {"CeleryQueueStuck"}
    assert shown == {name: FAR[name] for name in others}


def exprs(found):
    vital = found.vital
    return str([each.expr for each in (*vital.records, *vital.alerts)])


def test_a_limit_that_nothing_can_pass_is_refused():
    with pytest.raises(ConfigError, match="MemoryHigh: the fault of its drill"):
        proof.check(planned(overrides={"MemoryHigh": Override(limit=1.0)}))
