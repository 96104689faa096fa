"""alertmanager.yml: drills first, then each severity to everyone who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive import causes
from watchroom.derive.scrape import TOKEN_FILE
from watchroom.formats.alertmanager import (
    Alertmanager,
    Authorization,
    EmailConfig,
    HttpConfig,
    PagerdutyConfig,
    Receiver,
    Route,
    SlackConfig,
    TlsConfig,
    WebhookConfig,
)
from watchroom.formats.receivers import PAGERDUTY_URL
from watchroom.messages import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.derive.plan import Plan
    from watchroom.derive.site import Site
    from watchroom.derive.site import SiteReceiver as Told

DRILLS = 'job=~"drill-.+"'
BLACKHOLE = "blackhole"
FAILING = "NotificationFailing"


def routing(plan: Plan) -> Alertmanager:
    """Return the routes, inhibitions and receivers of a plan.

    Every severity has a route per receiver with `continue`, because the first match
    would otherwise keep an alert from all others. What no route matches goes to the
    first receiver that wakes nobody: a rule of the team's own without a severity still
    reaches someone.
    """
    site = plan.site
    asked = [one for one in site.told if one.severities]
    quiet = [one.name for one in asked if one.kind != "pagerduty"]
    names = [*quiet, *(one.name for one in asked), BLACKHOLE]
    return Alertmanager(
        route=Route(
            receiver=names[0],
            group_by=["alertname", "job", "env"],
            group_wait="30s",
            group_interval="1m",
            repeat_interval="4h",
            routes=_routes(plan, asked),
        ),
        inhibit_rules=causes.inhibitions(plan),
        receivers=[
            Receiver(name=BLACKHOLE),
            Receiver(name="drill", webhook_configs=[_receipt(plan)]),
            *(_receiver(one) for one in (*site.told, *site.heartbeat)),
        ],
    )


def _routes(plan: Plan, asked: Sequence[Told]) -> list[Route]:
    site = plan.site
    return [
        # Before all others: a drill must never page (measured: it does, otherwise).
        Route(
            receiver="drill",
            matchers=[DRILLS],
            group_by=["alertname", "job"],
            group_wait="0s",
            group_interval=site.inputs.interval,
            repeat_interval="1h",
        ),
        _watchdog(site),
        # Whoever hears only warnings is told when the pager cannot be.
        *(
            Route(
                receiver=one.name,
                matchers=[f'alertname="{FAILING}"'],
                continue_=True,
                group_wait="0s",
            )
            for one in asked
            if not hears(one, "critical", "P1")
        ),
        *(
            _route(plan, one, severity)
            for severity in ("critical", "warning", "info")
            for one in asked
            if severity in one.severities
        ),
        Route(receiver=BLACKHOLE, matchers=['severity=~"info|none"']),
    ]


def hears(told: Told, severity: str, priority: str) -> bool:
    """Return whether a receiver is told of alerts of a severity and priority."""
    return severity in told.severities and priority in (told.priorities or (priority,))


def _route(plan: Plan, told: Told, severity: str) -> Route:
    critical = severity == "critical"
    matchers = [f'severity="{severity}"']
    if told.priorities:
        matchers.append(f'priority=~"{"|".join(told.priorities)}"')
    soon, reach = causes.prompt(plan)
    sooner = Route(matchers=[f'vital=~"{"|".join(soon)}"'], group_wait=reach)
    return Route(
        receiver=told.name,
        matchers=matchers,
        continue_=True,
        routes=[sooner] if critical and soon else [],
        # A page leaves as soon as it is known to be no second one, and its end within
        # half a minute: Alertmanager tells of changes only once a group_interval.
        group_wait=causes.page_wait(plan) if critical else None,
        group_interval="30s" if critical else None,
        repeat_interval="1h" if critical else None,
    )


def _watchdog(site: Site) -> Route:
    """Return the road of the alert that always fires: somebody waits for it, or none.

    A receiver is told again when a group's interval finds that `repeat_interval` has
    passed since it *accepted*; equal to the interval it would be told every other time.
    """
    matchers = ['alertname="Watchdog"']
    if not site.heartbeat:
        return Route(receiver=BLACKHOLE, matchers=matchers)
    return Route(
        receiver=site.heartbeat[0].name,
        matchers=matchers,
        group_wait="0s",
        group_interval="1m",
        repeat_interval="50s",
    )


def _receiver(told: Told) -> Receiver:
    file = f"secrets/{told.secret}" if told.secret else ""
    match told.kind:
        case "slack":
            return Receiver(name=told.name, slack_configs=[_slack(told, file)])
        case "pagerduty":
            return Receiver(name=told.name, pagerduty_configs=[_pagerduty(told, file)])
        case "email":
            return Receiver(name=told.name, email_configs=[_email(told, file)])
        case _:
            hook = WebhookConfig(
                url=told.url,
                url_file=file,
                # A heartbeat that stops says all there is to say.
                send_resolved=told.name != "heartbeat",
            )
            return Receiver(name=told.name, webhook_configs=[hook])


def _slack(told: Told, file: str) -> SlackConfig:
    return SlackConfig(
        api_url=told.url,
        api_url_file=file,
        channel=told.channel,
        send_resolved=True,  # false by default there
        color=texts.SLACK_COLOR,
        title=texts.SLACK_TITLE,
        title_link=texts.SLACK_LINK,
        text=texts.SLACK_TEXT,
        fallback=texts.SLACK_FALLBACK,
    )


def _pagerduty(told: Told, file: str) -> PagerdutyConfig:
    return PagerdutyConfig(
        routing_key_file=file,
        url=told.url or PAGERDUTY_URL,
        client=texts.PAGERDUTY_CLIENT,
        client_url=texts.PAGERDUTY_CLIENT_URL,
        description=texts.PAGERDUTY_DESCRIPTION,
        severity=texts.PAGERDUTY_SEVERITY,
        class_=texts.PAGERDUTY_CLASS,
        component=texts.PAGERDUTY_COMPONENT,
        group=texts.PAGERDUTY_GROUP,
        details=texts.PAGERDUTY_DETAILS,
    )


def _email(told: Told, file: str) -> EmailConfig:
    return EmailConfig(
        to=", ".join(told.to),
        from_=told.sender,
        smarthost=told.smarthost,
        send_resolved=True,  # false by default there
        auth_username=told.username,
        auth_password_file=file,
        require_tls=told.tls,
        tls_config=TlsConfig(ca_file=told.ca) if told.ca else None,
        headers={"Subject": texts.MAIL_SUBJECT},
        text=texts.MAIL_TEXT,
        html="",
    )


def _receipt(plan: Plan) -> WebhookConfig:
    site = plan.site
    return WebhookConfig(
        url=f"http://{site.exporter}/drill/receipt",
        http_config=None
        if site.exporter_is_local
        else HttpConfig(authorization=Authorization(credentials_file=TOKEN_FILE)),
    )
