"""The launch checklist: what must be proven before people rely on the watch.

The first nine are the Monitoring Setup Guide's own; the rest is what they rest on.
"""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """One item.

    Attributes:
        id: Stable; results are kept under it.
        title: As people read it.
        lasts_days: How long a result of it counts.
    """

    id: str
    title: str
    lasts_days: int = 30


LAUNCH = (
    Item("health-endpoint", "Health endpoint deployed and tested"),
    Item("scraping", "Prometheus instance running and scraping targets"),
    Item("alerting-rules", "Alerting rules validated"),
    Item("error-tracking", "Sentry project created and SDK integrated"),
    Item("dashboards", "Grafana dashboards created"),
    Item("on-call", "On-call escalation list documented"),
    Item("integrations", "Slack/PagerDuty integrations set up"),
    Item("logs", "Log aggregation tested (logs flowing to backend)"),
    Item("team", "Team trained on reading dashboards and responding to alerts", 90),
)
BESIDE = (
    Item("heartbeat", "External heartbeat set up"),
    Item("link", "Links in alert messages open"),
    Item("metrics-closed", "Metrics aren't publicly reachable"),
    Item("processes", "All app processes seen, by role and user"),
)
ITEMS = (*LAUNCH, *BESIDE)
