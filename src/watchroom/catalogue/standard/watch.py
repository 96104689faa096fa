"""The watch itself: is the app there, is the site there, and are we looking at all?"""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    ChecklistItem,
    Drill,
    Panel,
    Query,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.urgency import DRILL_JOB

TEXTS = beside(__name__)

_HOST = "sum by (job, instance)"
_WEB = 'watchroom_processes{role="web"}'

_PROCESSES_CHARTS = (
    Chart(
        **TEXTS.chart("Processes"),
        row="Monitoring",
        queries=(
            Query(
                "sum by (role) (min_over_time("
                "watchroom_processes{$targets}[$rate_interval]))",
                "{{role}}",
            ),
        ),
        decimals=0,
    ),
)

_SITES_CHARTS = (
    Chart(
        **TEXTS.chart("Public site response time"),
        row="Monitoring",
        queries=(
            Query(
                "max by (instance)"
                " (max_over_time(probe_duration_seconds{$targets}[$rate_interval]))",
                "{{instance}}",
            ),
        ),
        unit="s",
    ),
)

_TARGETS_CHARTS = (
    Chart(
        **TEXTS.chart("Scrape duration"),
        row="Monitoring",
        queries=(
            Query(
                "max by (job, instance)"
                " (max_over_time(scrape_duration_seconds{$targets}[$rate_interval]))",
                "{{job}} {{instance}}",
            ),
        ),
        unit="s",
    ),
)

APP_DOWN = Vital(
    title="Web processes",
    charts=_PROCESSES_CHARTS,
    metrics=("watchroom_processes", "health_livez"),
    group="watch",
    symptom_of=below.HOST,
    limit=1,
    alerts=(
        Alert(
            **TEXTS.alert("AppDown"),
            # Processes may live and serve nothing. A host of workers, beat or cron
            # alone is not down while another serves: one that serves the web was seen
            # to today, or has answered requests, whenever the monitor was started.
            expr=(
                f"({_HOST} ({_WEB}) == 0 or min by (job, instance) (health_livez) == 0)"
                f" and on (job, instance) ({_HOST} (max_over_time({_WEB}[1d])) > 0"
                f" or {_HOST} (http_requests_total) > 0 unless on (job, instance)"
                f' {_HOST} (watchroom_processes{{role="worker"}}) > 0'
                f" or {_HOST} ({_WEB}) unless on (job) sum by (job) ({_WEB}) > 0)"
            ),
            for_="1m",
            severity="critical",
            priority="P1",
            drill=Drill(
                fault=('watchroom_processes{role="web"} 0+0x$steps',),
                recovery=('watchroom_processes{role="web"} 2+0x$steps',),
                calm=(
                    'watchroom_processes{role="web"} 1+0x$steps',
                    'watchroom_processes{role="worker"} 0+0x$steps',
                    "health_livez 1+0x$steps",
                ),
            ),
        ),
    ),
    panel=Panel(
        expr='min(sum by (job) (watchroom_processes{$real,role="web"}))',
        presence='count(watchroom_processes{$real,role="web"})',
        bad="below",
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("ProcessesUnobserved"), priority="P2"),
)

SITE_DOWN = Vital(
    title="Public site up",
    charts=_SITES_CHARTS,
    metrics=("probe_success",),
    group="watch",
    symptom_of=below.HOST,
    limit=1,
    needs="sites",
    alerts=(
        Alert(
            **TEXTS.alert("SiteDown"),
            expr="min by (job, instance) (probe_success) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
            drill=Drill(
                fault=("probe_success 0+0x$steps",),
                recovery=("probe_success 1+0x$steps",),
                calm=("probe_success 1+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr="min(probe_success{$real})",
        presence="count(probe_success{$real})",
        unit="bool_yes_no",
        bad="below",
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("SiteUnobserved"), job="site", priority="P2"),
)


TARGET_DOWN = Vital(
    title="Targets down",
    charts=_TARGETS_CHARTS,
    metrics=("up",),
    group="watch",
    symptom_of=below.HOST,
    limit=0,
    alerts=(
        Alert(
            **TEXTS.alert("TargetDown"),
            # Drills stand for the app here, so that the rule that pages is the one
            # that is proven.
            expr=f'up{{job=~"app|{DRILL_JOB}.+"}} == 0',
            for_="1m",
            severity="critical",
            priority="P1",
            drill=Drill(
                fault=("down",),
                calm=('watchroom_processes{role="web"} 1+0x$steps',),
            ),
        ),
        Alert(
            name="TargetDown",
            expr=f'up{{job!~"app|{DRILL_JOB}.+"}} == 0',
            for_="3m",
            severity="warning",
            priority="P2",
            summary="{{ $labels.job }} on {{ $labels.instance }} can't be scraped",
            description=(
                "Every scrape of the target {{ $labels.instance }} (job {{ "
                "$labels.job }}) has failed for $for_words. Alerts based on its "
                "metrics can't fire."
            ),
            runbook=TEXTS.runbook("TargetDown"),
            drill=Drill.none(
                (
                    "its rule excludes drills; the rule of the same name for the app "
                    "is drilled, and this rule has a unit test"
                ),
                fault=('up{job="postgres",instance="db:9187"} 0+0x$steps',),
                calm=('up{job="postgres",instance="db:9187"} 1+0x$steps',),
                labels={"instance": "db:9187"},
            ),
        ),
    ),
    panel=Panel(
        expr="count(up{$real} == 0) or vector(0)",
        presence="count(up{$real})",
        decimals=0,
    ),
    checklist=ChecklistItem("scraping", "Prometheus running and scraping its targets"),
)

APP_ABSENT = Vital(
    title="App configured",
    metrics=("up",),
    group="watch",
    alerts=(
        Alert(
            **TEXTS.alert("AppAbsent"),
            expr='absent(up{job="app"})',
            for_="3m",
            severity="critical",
            priority="P1",
            drill=Drill.none(
                (
                    "a drill target can't simulate missing targets; the rule has a "
                    "unit test"
                ),
                calm=('up{job="app",instance="localhost:9000"} 0+0x$steps',),
                labels={"job": "app"},
            ),
        ),
    ),
)

WATCHDOG = Vital(
    title="Watchdog",
    metrics=(),
    group="watch",
    alerts=(
        Alert(
            **TEXTS.alert("Watchdog"),
            expr="vector(1)",
            for_="0s",
            severity="none",
            priority="none",
            drill=Drill.none("it always fires: each arrival proves that it works"),
        ),
    ),
)

VITALS = (APP_DOWN, SITE_DOWN, TARGET_DOWN, APP_ABSENT, WATCHDOG)
