"""alertmanager.yml: drills first, then each severity to everyone who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive.scrape import TOKEN_FILE
from watchroom.formats.alertmanager import (
    Alertmanager,
    Authorization,
    HttpConfig,
    InhibitRule,
    Receiver,
    Route,
    WebhookConfig,
)

if TYPE_CHECKING:
    from watchroom.derive.plan import Plan
    from watchroom.derive.site import Receiver as Told

DRILLS = 'job=~"drill-.+"'
NO_DRILLS = 'job!~"drill-.+"'
BLACKHOLE = "blackhole"
_SYMPTOMS = "HighErrorRate|HighLatency|DatabaseQuerySlow|CacheHitRateLow"


def routing(plan: Plan) -> Alertmanager:
    """Return the routes, inhibitions and receivers of a plan.

    Every severity has a route per receiver with `continue`, because the first match
    would otherwise keep an alert from all others. What no route matches goes to the
    first receiver: a rule of the team's own without a severity still reaches someone.
    """
    site = plan.site
    told = site.receivers
    routes = [
        # Before all others: a drill must never page (measured: it does, otherwise).
        Route(
            receiver="drill",
            matchers=[DRILLS],
            group_by=["alertname", "job"],
            group_wait="0s",
            group_interval=site.inputs.interval,
            repeat_interval="1h",
        ),
        # Until somebody listens for its silence.
        Route(receiver=BLACKHOLE, matchers=['alertname="Watchdog"']),
        *(_route(one, "critical") for one in told if "critical" in one.severities),
        *(_route(one, "warning") for one in told if "warning" in one.severities),
        *(_route(one, "info") for one in told if "info" in one.severities),
        Route(receiver=BLACKHOLE, matchers=['severity=~"info|none"']),
    ]
    return Alertmanager(
        route=Route(
            receiver=told[0].name if told else BLACKHOLE,
            group_by=["alertname", "job", "env"],
            group_wait="30s",
            group_interval="1m",
            repeat_interval="4h",
            routes=routes,
        ),
        inhibit_rules=[
            # A dead app explains its symptoms. `env` is an external label: missing on
            # both sides it would count as equal, and staging would mute production.
            InhibitRule(
                source_matchers=['alertname="AppDown"', NO_DRILLS],
                target_matchers=[f'alertname=~"{_SYMPTOMS}"', NO_DRILLS],
                equal=["env", "project", "job", *plan.labels],
            ),
        ],
        receivers=[
            Receiver(name=BLACKHOLE),
            Receiver(name="drill", webhook_configs=[_receipt(plan)]),
            *(_receiver(one) for one in told),
        ],
    )


def _route(told: Told, severity: str) -> Route:
    critical = severity == "critical"
    return Route(
        receiver=told.name,
        matchers=[f'severity="{severity}"'],
        continue_=True,
        # A page leaves at once, and its end within half a minute: Alertmanager tells
        # of changes only once a group_interval.
        group_wait="0s" if critical else None,
        group_interval="30s" if critical else None,
        repeat_interval="1h" if critical else None,
    )


def _receiver(told: Told) -> Receiver:
    hook = (
        WebhookConfig(url_file=f"secrets/{told.secret}")
        if told.secret
        else WebhookConfig(url=told.url)
    )
    return Receiver(name=told.name, webhook_configs=[hook])


def _receipt(plan: Plan) -> WebhookConfig:
    site = plan.site
    return WebhookConfig(
        url=f"http://{site.exporter}/drill/receipt",
        http_config=None
        if site.exporter_is_local
        else HttpConfig(authorization=Authorization(credentials_file=TOKEN_FILE)),
    )
