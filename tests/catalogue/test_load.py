"""One catalogue: standard vitals, a project's own, and what it changes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from watchroom.catalogue import load, metrics, parameters
from watchroom.catalogue.load import Override
from watchroom.catalogue.model import Vital
from watchroom.catalogue.standard import VITALS
from watchroom.derive.known_series import BUILT_IN
from watchroom.errors import ConfigError

STANDARD = (
    "HighErrorRate",
    "HighLatency",
    "DatabaseQuerySlow",
    "DatabaseConnectionsHigh",
    "CacheHitRateLow",
    "CeleryTaskFailed",
    "MemoryHigh",
    "DiskSpaceLow",
    "CertificateExpiring",
    "DatabaseDown",
    "CeleryBacklogHigh",
    "CeleryQueueStuck",
    "CeleryWorkersDown",
    "CeleryBrokerDown",
    "ScheduledTaskOverdue",
    "HealthCheckFailing",
    "AppDown",
    "SiteDown",
    "TargetDown",
    "AppAbsent",
    "Watchdog",
    "NotificationFailing",
    "HttpOutage",
    "ErrorBudgetBurn",
    "ErrorBudgetBurnSustained",
    "ErrorBudgetBurnSlow",
)


def test_the_standard_vitals_are_named_after_their_first_alerts():
    assert tuple(v.name for v in load.catalogue((), {})) == STANDARD


def test_a_vital_reads_only_metrics_it_names():
    series = {*load.series_labels(), *BUILT_IN}
    for vital in VITALS:
        for name in vital.metrics:
            assert any(s == name or s.startswith(f"{name}_") for s in series), name


def test_a_limit_of_a_histograms_vital_is_an_edge_of_its_buckets():
    defaults = {v.name: v.limit for v in VITALS}
    for metric in metrics.METRICS:
        for vital, default in metric.limits:
            assert defaults[vital] == default
            assert default in metrics.edges(metric, {})
            assert 0.123 in metrics.edges(metric, {vital: (0.123,)})


def test_every_p1_may_page_and_every_page_is_p1():
    for vital in VITALS:
        for alert in vital.alerts:
            assert (alert.priority == "P1") == (alert.severity == "critical")


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("HighLatencies", Override(limit=3.0), "did you mean 'HighLatency'?"),
        ("HighErrorRate", Override(limit=5.0), "write a share as '1%' or 0.01"),
        ("HighErrorRate", Override(limit=0.0), "0 isn't a share"),
        ("AppDown", Override(limit=2.0), "has no parameter limit"),
        ("Watchdog", Override(limit=2.0), "has no parameter limit"),
        ("Watchdog", Override(window="1m"), "it has: for, severity"),
        ("MemoryHigh", Override(window="1m"), "MemoryHigh has no parameter window"),
        ("MemoryHigh", Override(window="1m"), "it has: limit, for, severity"),
        ("HighLatency", Override(severity="bad"), "use one of critical"),
        ("HighLatency", Override(window="5 minutes"), "is not a duration"),
        ("HighLatency", Override(for_="soon"), "VITALS['HighLatency']['for']"),
    ],
)
def test_an_override_that_cannot_be_is_refused_by_name(name, override, said):
    with pytest.raises(ConfigError) as caught:
        load.catalogue((), {name: override})
    assert said in str(caught.value)


def test_an_own_vital_of_a_standard_name_is_refused():
    with pytest.raises(ConfigError, match="there are two vitals HighLatency"):
        load.catalogue([replace(VITALS[1], title="Mine")], {})


def test_a_vital_without_an_alert_is_refused():
    with pytest.raises(ConfigError, match="has no alert"):
        Vital(title="Nothing", metrics=(), alerts=())


def test_a_warning_made_critical_becomes_p1_and_back_p2():
    def first(name, severity):
        made = load.catalogue((), {name: Override(severity=severity)})
        return next(v for v in made if v.name == name).alerts[0]

    assert first("HighLatency", "critical").priority == "P1"
    assert first("HighErrorRate", "warning").priority == "P2"
    assert first("CacheHitRateLow", "warning").priority == "P3"


@pytest.mark.parametrize(
    ("limit", "edges"),
    [(2.0, ("2", "2.0")), (0.5, ("0.5",)), (10, ("10", "10.0")), (2.5, ("2.5",))],
)
def test_a_limit_matches_its_edge_in_both_spellings_and_no_other(limit, edges):
    pattern = parameters.edge_pattern(limit).replace("\\\\", "\\")
    for edge in edges:
        assert re.fullmatch(pattern, edge)
    for other in ("20", "2.05", "0", "25", "105", "1.0", "+Inf"):
        assert not re.fullmatch(pattern, other)


@pytest.mark.parametrize(
    ("limit", "unit", "words"),
    [
        (0.01, "share", "1%"),
        (0.001, "share", "0.1%"),
        (2.0, "seconds", "2 seconds"),
        (1.0, "seconds", "1 second"),
        (0.25, "seconds", "0.25 seconds"),
        (120.0, "seconds", "2 minutes"),
        (1000.0, "count", "1000"),
    ],
)
def test_a_limit_is_shown_in_words(limit, unit, words):
    assert parameters.limit_words(limit, unit) == words


def test_the_engines_own_variables_are_left_to_the_engine():
    filled = parameters.fill(
        "$limit {{ $value }} {{ $labels.job }}", {"limit": "1"}, "x"
    )
    assert filled == "1 {{ $value }} {{ $labels.job }}"


def test_the_budget_is_what_the_objective_leaves():
    limits = {v.name: v.limit for v in load.catalogue((), {}, (), 0.995)}
    assert {limits[f"ErrorBudgetBurn{end}"] for end in ("", "Sustained", "Slow")} == {
        0.005
    }
    assert limits["HighErrorRate"] == 0.01


def test_what_a_guide_s_rule_leaves_out_an_outage_leaves_out_too():
    taken = Override(
        ignore={"route": ("hooks/*",)}, limits={"route": {"reports/*": 0.2}}
    )
    own = Override(ignore={"route": ("only/*",)})
    found = load.catalogue((), {"HighErrorRate": taken, "HttpOutage": own})
    scopes = {v.name: [s.patterns for s in v.scopes] for v in found}
    both = [("hooks/*", "reports/*")]
    assert scopes["HighErrorRate"] == scopes["ErrorBudgetBurn"] == both
    assert scopes["ErrorBudgetBurnSlow"] == both
    assert scopes["HttpOutage"] == [("only/*",)]
