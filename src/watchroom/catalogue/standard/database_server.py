"""The database server: does it answer, and how many of its connections are taken."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Runbook,
    Vital,
)
from watchroom.catalogue.standard import below

_USED = "job_alias:db_connections:used_ratio"
_WHO = """\
psql -c "select datname, usename, application_name, state, count(*), max(now() - state_change) as longest from pg_stat_activity where backend_type = 'client backend' group by 1, 2, 3, 4 order by 5 desc limit 20"
"""
_UNSEEN = """\
The exporter asks each database itself, in a child process. That child does not start,
or its questions raise:

```promql
sum by (gauge) (watchroom_gauge_errors_total)
```

```sh
journalctl -n 50 --no-pager -u YOUR-EXPORTER.service
```
"""
_UNSEEN_REMEDY = """\
- The settings do not load for the exporter's user, or a driver is missing in its
  environment: its log says which.
- A SQLite file that this user may not read: run the exporter as the app's user."""

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
            name="DatabaseConnectionsHigh",
            expr=f"{_USED} > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            summary=(
                "{{ $value | humanizePercentage }} of the connections of the database "
                "{{ $labels.alias }} are taken"
            ),
            description=(
                "More than $limit_words of the connections that the server, the "
                "database or the role allows have been taken for $for_words. At 100% "
                "new ones are refused."
            ),
            runbook=Runbook(
                meaning=(
                    "Sessions are counted against the limit that they will reach first: "
                    "max_connections less what is reserved, the database's CONNECTION "
                    "LIMIT, or the role's. For $for_words more than $limit_words of it "
                    "were taken."
                ),
                impact=(
                    "When the last one is taken every new connection is refused: "
                    "requests and tasks fail, and so do migrations and psql."
                ),
                diagnosis=f"""\
How many of how many:

```promql
max by (alias) (db_connections)
```

```promql
max by (alias) (db_connections_limit)
```

Who holds them, and since when:

```sh
{_WHO}```

More processes than before? Each thread of each process may hold one per alias:

```promql
sum by (role) (watchroom_processes)
```

Are queries slower, so that each is held longer?

```promql
histogram_quantile(0.95, sum by (alias, role, le) (rate(db_query_duration_seconds_bucket[5m])))
```
""",
                mitigation="""\
- Sessions `idle in transaction` for minutes: `select pg_terminate_backend(PID)`; then
  find the code that holds a transaction open while it waits for something else.
- Idle sessions of dead hosts: terminate them; set `tcp_keepalives_idle` on the server.
- More workers than connections: fewer threads, a lower CONN_MAX_AGE, or a pooler such as
  PgBouncer in front.
- The role's or the database's own limit: `alter role … connection limit …`.""",
            ),
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
    blind=Blind(
        name="DatabaseConnectionsUnobserved", why=_UNSEEN, remedy=_UNSEEN_REMEDY
    ),
    charts=(
        Chart(
            title="Connections in use",
            description=(
                "Sessions against the limit that they will reach first: the server's, "
                "the database's or the role's."
            ),
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
    title="Database answers",
    metrics=("db_up",),
    group="database",
    symptom_of=below.HOST,
    limit=1,
    needs="asked_database",
    alerts=(
        Alert(
            name="DatabaseDown",
            expr="min by (job, alias) (db_up) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
            summary="The database {{ $labels.alias }} of {{ $labels.job }} is down",
            description=(
                "The database {{ $labels.alias }} has refused every new connection, or "
                "never answered one, for $for_words."
            ),
            runbook=Runbook(
                meaning=(
                    "The exporter opens a connection of its own every few seconds, with "
                    "the project's own settings. For $for_words none was answered in "
                    "time. It asks the database, not an exporter beside it: this fires "
                    "when PostgreSQL stops, and only then."
                ),
                impact=(
                    "Every page and task that needs the database fails. The alerts that "
                    "follow from it (HighErrorRate, HighLatency, DatabaseQuerySlow, "
                    "DatabaseConnectionsHigh) are held back while this one fires."
                ),
                diagnosis="""\
Which database, and seen from which host? If only one of several sees it down, it is the
network between:

```promql
db_up
```

Why, in the server's own words, as the exporter heard them:

```sh
journalctl -n 50 --no-pager -u YOUR-EXPORTER.service | grep database
pg_isready -h YOUR-DATABASE-HOST
```

On the database's machine: is it running, and is there room for its log?

```sh
systemctl status postgresql --no-pager
df -h /var/lib/postgresql
journalctl -n 50 --no-pager -u 'postgresql@*'
```
""",
                mitigation="""\
- It is stopped: start it. It was killed for memory: see `dmesg`, give it room first.
- Its disk is full: make room (not in pg_wal), then start it.
- It refuses the password or the host: undo the last change of pg_hba.conf or of secrets.
- The machine is gone: promote the replica, point DATABASES at it, restart the app.""",
            ),
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
    blind=Blind(
        name="DatabaseUnobserved", priority="P2", why=_UNSEEN, remedy=_UNSEEN_REMEDY
    ),
)

TABLE = (CONNECTIONS_HIGH,)
VITALS = (DATABASE_DOWN,)
