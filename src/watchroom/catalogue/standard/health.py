"""Health as the app tells it: the checks behind /health/, hard and soft."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    ChecklistItem,
    Drill,
    Panel,
    Query,
    Runbook,
    Vital,
)
from watchroom.catalogue.standard import below

_STATUS = "health_check_status"
_DURATION = "health_check_duration_seconds"
_BY = "by (job, instance, check, kind)"


def _failing(kind: str) -> str:
    """Return what holds while a check fails in all processes, or in some of them.

    Each answer is another process's, so that what some say comes and goes. That it
    came more than once tells it from an outage that is over.
    """
    status = f'{_STATUS}{{kind="{kind}"}}'
    return (
        f"min {_BY} ({status}) == 0"
        f" or min {_BY} (avg_over_time({status}[$window])) < 0.9"
        f" and max {_BY} (resets({status}[$window])) > 1"
    )


def _drill(kind: str) -> Drill:
    name = f'{_STATUS}{{check="drill",kind="{kind}"}}'
    other = {"hard": "soft", "soft": "hard"}[kind]
    return Drill(
        labels={"check": "drill", "kind": kind},
        fault=(f"{name} 0+0x$steps",),
        recovery=(f"{name} 1+0x$steps",),
        calm=(
            f"{name} 1+0x$steps",
            f'{_STATUS}{{check="other",kind="{other}"}} 0+0x$steps',
        ),
    )


_RUNBOOK = Runbook(
    meaning=(
        "The app itself says for $for_words that a check behind /health/ fails. A hard "
        "check is something without which it cannot work (its databases, and what the "
        "project declared so): /health/ and /readyz answer 503. A soft one (caches, the "
        "Celery broker) makes it slower or late. Each time another of its processes is "
        "asked: one that fails in some of them counts as well, from the second time "
        "within $window_words and a tenth of the answers on."
    ),
    impact=(
        "Hard: the balancer takes the processes out, and visitors get errors or "
        "nothing. Soft: pages are slow, or background work waits."
    ),
    diagnosis=f"""\
Which checks, and since when:

```promql
{_STATUS} == 0
```

In which share of the answers each passed; between 0 and 1 only some processes fail:

```promql
avg_over_time({_STATUS}[$window])
```

How long they take; one that stays at its time-out hangs instead of failing:

```promql
{_DURATION}
```

What the app says now (with the exporter's token as bearer also the class of the error):

```sh
curl -s $exporter/metrics | grep -E '^health_(check|livez)'
curl -s YOUR-APP/health/ | python3 -m json.tool
```

The logger `watchroom.health` has a line for each change; at level DEBUG with the
traceback.""",
    mitigation="""\
- The database or broker is down: its own alerts and runbooks come first.
- Only the app cannot reach it: look for changed credentials, limits on connections, the
  network between, a certificate.
- `timeout` or `stuck`: the other side accepts and never answers; restart that, not the
  app. The check sees it come back by itself.
- Only some processes fail: what they hold is used up or stale, such as connections of a
  pool. Restart those.
- A check of your own is wrong: switch it off with
  `WATCHROOM["HEALTH"]["checks"][NAME] = False` and deploy.""",
)

HEALTH_CHECK_FAILING = Vital(
    title="Health checks that fail",
    metrics=(_STATUS,),
    group="health",
    symptom_of=(*below.TASKS, "AppDown"),
    limit=0,
    needs="health",
    alerts=(
        Alert(
            name="HealthCheckFailing",
            expr=_failing("hard"),
            for_="1m",
            severity="critical",
            priority="P1",
            summary="The app's health check {{ $labels.check }} fails",
            description=(
                "The app on {{ $labels.instance }} has said for $for_words that its "
                "hard check {{ $labels.check }} fails, in all its processes or in "
                "some: there /readyz answers 503."
            ),
            runbook=_RUNBOOK,
            drill=_drill("hard"),
        ),
        Alert(
            name="SoftHealthCheckFailing",
            expr=_failing("soft"),
            for_="5m",
            severity="warning",
            priority="P2",
            summary="The app's health check {{ $labels.check }} fails, and it goes on",
            description=(
                "The app on {{ $labels.instance }} has said for $for_words that its "
                "soft check {{ $labels.check }} fails, in all its processes or in "
                "some: it works, worse than it should."
            ),
            runbook=_RUNBOOK,
            drill=_drill("soft"),
        ),
    ),
    panel=Panel(
        expr=f"sum(1 - {_STATUS}{{$real}})",
        # While no process serves there is nobody to ask: AppDown says so.
        presence=(
            f"count({_STATUS}{{$real}} or health_livez{{$real}} == 0"
            ' or sum by (job) (watchroom_processes{$real,role="web"}) == 0)'
        ),
        decimals=0,
    ),
    blind=Blind(
        name="HealthUnobserved",
        priority="P2",
        why=(
            "The exporter asks the app for /health/ at each scrape and gets no answer "
            "that it can read, though web processes live. The address is another one, "
            "watchroom.urls is not included there, or something in front answers in its "
            "place:\n\n"
            "```sh\n"
            "curl -s $exporter/metrics | grep 'exporter_errors_total{part=\"health\"}'\n"
            "```\n\n"
            "The exporter's log says which, once."
        ),
        remedy=(
            '- Say where the app itself answers: `WATCHROOM["HEALTH"]["url"]`, such as '
            "`http://127.0.0.1:8000` or `unix:/run/shop.sock`.\n"
            '- Include it there: `path("", include("watchroom.urls"))`.\n'
            "- A proxy or firewall answers instead: let the exporter ask past it."
        ),
        seen=(f'{_STATUS}{{check="drill",kind="hard"}} 1+0x$steps',),
    ),
    charts=(
        Chart(
            title="Health checks, how long they take",
            description=(
                "The checks behind /health/, as the app tells them; a line at its "
                "time-out hangs."
            ),
            row="Health",
            queries=(
                Query(
                    "max by (check)"
                    f" (max_over_time({_DURATION}{{$targets}}[$rate_interval]))",
                    "{{check}}",
                ),
            ),
            unit="s",
        ),
    ),
    checklist=ChecklistItem("health-endpoint", "Health endpoint deployed and tested"),
)

VITALS = (HEALTH_CHECK_FAILING,)
