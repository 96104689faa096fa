"""The database server: does it answer, and how many of its connections are taken."""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below

TEXTS = beside(__name__)

_USED = "job_alias:db_connections:used_ratio"

CONNECTIONS_HIGH = Vital(
    title="Database connections",
    metrics=("db_connections", "db_connections_limit"),
    group="database",
    symptom_of=("DatabaseDown",),
    unit="share",
    limit=0.8,
    needs="postgresql",
    records=(
        Record(
            _USED,
            # Every host's exporter sees the same server.
            "max by (job, alias) (db_connections / (db_connections_limit > 0))",
        ),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("DatabaseConnectionsHigh"),
            expr=f"{_USED} > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            drill=Drill(
                labels={"alias": "drill"},
                fault=(
                    'db_connections{alias="drill"} 97+0x$steps',
                    'db_connections_limit{alias="drill"} 97+0x$steps',
                ),
                recovery=(
                    'db_connections{alias="drill"} 0+0x$steps',
                    'db_connections_limit{alias="drill"} 97+0x$steps',
                ),
                calm=(
                    'db_connections{alias="drill"} 79+0x$steps',
                    'db_connections_limit{alias="drill"} 100+0x$steps',
                    'db_connections{alias="none"} 5+0x$steps',
                    'db_connections_limit{alias="none"} 0+0x$steps',
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max({_USED}{{$real}})",
        # While the server is down nobody can count; DatabaseDown says so.
        presence="count(db_connections{$real} or db_up{$real} == 0)",
        unit="percentunit",
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("DatabaseConnectionsUnobserved")),
    charts=(
        Chart(
            **TEXTS.chart("Connections in use"),
            row="Database",
            queries=(
                Query(
                    "max by (alias)"
                    " (max_over_time(db_connections{$targets}[$rate_interval]))",
                    "{{alias}} in use",
                ),
                Query(
                    "max by (alias)"
                    " (max_over_time(db_connections_limit{$targets}[$rate_interval]))",
                    "{{alias}} limit",
                ),
            ),
            decimals=0,
        ),
    ),
)

DATABASE_DOWN = Vital(
    title="Database up",
    metrics=("db_up",),
    group="database",
    symptom_of=below.HOST,
    limit=1,
    needs="asked_database",
    alerts=(
        Alert(
            **TEXTS.alert("DatabaseDown"),
            expr="min by (job, alias) (db_up) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
            drill=Drill(
                labels={"alias": "drill"},
                fault=('db_up{alias="drill"} 0+0x$steps',),
                recovery=('db_up{alias="drill"} 1+0x$steps',),
                calm=('db_up{alias="drill"} 1+0x$steps',),
            ),
        ),
    ),
    panel=Panel(
        expr="min(db_up{$real})",
        presence="count(db_up{$real})",
        unit="bool_yes_no",
        bad="below",
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("DatabaseUnobserved"), priority="P2"),
)

TABLE = (CONNECTIONS_HIGH,)
VITALS = (DATABASE_DOWN,)
