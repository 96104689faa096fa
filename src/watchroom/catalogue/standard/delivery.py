"""Delivery: does somebody accept the pages?"""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Runbook,
    Vital,
)

_FAILED = "alertmanager_notifications_failed_total"
# The receipts of drills are sent to the exporter; while it is down they fail, and no
# page of anybody does.
_PAGES = 'receiver_name!="drill"'
_DRILL = f'{_FAILED}{{integration="webhook",receiver_name="drilled"}}'

NOTIFICATION_FAILING = Vital(
    title="Pages not accepted",
    metrics=(_FAILED,),
    group="watch",
    limit=0,
    charts=(
        Chart(
            title="Notifications",
            description="Messages to receivers, and those that none accepted.",
            row="The watch",
            queries=(
                Query(
                    "sum by (integration)"
                    f" (increase(alertmanager_notifications_total{{$targets,{_PAGES}}}"
                    "[$rate_interval]))",
                    "{{integration}}",
                ),
                Query(
                    "sum by (integration)"
                    f" (increase({_FAILED}{{$targets,{_PAGES}}}[$rate_interval]))",
                    "{{integration}} failed",
                ),
            ),
            decimals=0,
        ),
    ),
    alerts=(
        Alert(
            name="NotificationFailing",
            # Alertmanager counts by integration; the embedded monitor also says whose.
            expr=(
                "sum by (job, integration, receiver_name)"
                f" (increase({_FAILED}{{{_PAGES}}}[$window])) > $limit"
                # Over with the receiver, if that is taken out of the file.
                f" and on (job, integration, receiver_name) {_FAILED}"
            ),
            for_="0s",
            severity="critical",
            priority="P1",
            summary=(
                "Pages by {{ $labels.integration }}"
                "{{ with $labels.receiver_name }} to {{ . }}{{ end }} are not accepted"
            ),
            description=(
                "In the last $window_words nobody accepted what was sent this way: it "
                "was refused, or tried in vain for a minute. Somebody may not know what "
                "is broken; the other receivers are told by this alert."
            ),
            runbook=Runbook(
                meaning=(
                    "A receiver refused a message for good (a wrong key, an address that "
                    "is gone), or did not accept it within a minute of trying."
                ),
                impact=(
                    "Whoever relies on that receiver is not told of incidents. The "
                    "message is tried again while its alerts fire."
                ),
                diagnosis=f"""\
Which way, and since when:

```promql
sum by (integration, receiver_name) (increase({_FAILED}{{{_PAGES}}}[1h])) > 0
```

The first page of the monitor names the receiver and what it answered. What fires, and
whom it should reach:

```sh
curl -s $monitor/api/v2/alerts | python3 -m json.tool | grep -E 'alertname|"name"'
curl -s $monitor/metrics | grep watchroom_notifications
```
""",
                mitigation="""\
- 401, 403, 404 or an invalid key: renew the secret in `secrets/`; it is read at every
  attempt, so nothing has to be restarted.
- No answer: look at the receiver's own status page, and at this host's way out.
- Tell the person on duty by phone what the page says, until the road is back.
- Afterwards prove it: `watchroom drill HighErrorRate`.""",
            ),
            drill=Drill(
                labels={"integration": "webhook", "receiver_name": "drilled"},
                fault=(f"{_DRILL} 0+$rise",),
                recovery=(f"{_DRILL} stale",),
                calm=(
                    f"{_DRILL} 7+0x$steps",
                    f'{_FAILED}{{integration="webhook",receiver_name="drill"}} 0+1x$steps',
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"sum(increase({_FAILED}{{$real,{_PAGES}}}[$window]))",
        # Whoever counts is seen, even where nobody but drills is told.
        presence=f"count({_FAILED}{{$real}})",
        decimals=0,
    ),
    blind=Blind(
        name="NotificationsUnobserved",
        job="alertmanager",
        priority="P2",
        why=(
            "Alertmanager answers elsewhere than prometheus.yml says, or its metrics are "
            "not scraped. The embedded monitor is its own Alertmanager and counts by "
            "itself."
        ),
        remedy=(
            "- Alertmanager moved: build with `--alertmanager HOST:PORT` and reload.\n"
            "- It is down: start it; no page leaves without it."
        ),
    ),
)

VITALS = (NOTIFICATION_FAILING,)
