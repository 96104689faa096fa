"""alertmanager.yml: drills first, then each severity to everyone who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive import causes
from watchroom.derive.scrape import TOKEN_FILE
from watchroom.formats.alertmanager import Alertmanager, Route
from watchroom.formats.receivers import (
    PAGERDUTY_URL,
    Authorization,
    EmailConfig,
    HttpConfig,
    PagerdutyConfig,
    Receiver,
    SlackConfig,
    TlsConfig,
    WebhookConfig,
)
from watchroom.messages import texts
from watchroom.urgency import DRILLS, HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.conf.receivers import Receiver as SiteReceiver
    from watchroom.derive.plan import Plan
    from watchroom.derive.site import Site

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
    notified = [receiver for receiver in site.active_receivers if receiver.severities]
    quiet = [receiver.name for receiver in notified if receiver.kind != "pagerduty"]
    names = [*quiet, *(receiver.name for receiver in notified), BLACKHOLE]
    return Alertmanager(
        route=Route(
            receiver=names[0],
            group_by=["alertname", "job", "env"],
            group_wait="30s",
            group_interval="1m",
            repeat_interval="4h",
            routes=_routes(plan, notified),
        ),
        inhibit_rules=causes.inhibitions(plan),
        receivers=[
            Receiver(name=BLACKHOLE),
            Receiver(name="drill", webhook_configs=[_receipt(plan)]),
            *(
                _receiver(receiver)
                for receiver in (*site.active_receivers, *site.heartbeat)
            ),
        ],
    )


def _routes(plan: Plan, notified: Sequence[SiteReceiver]) -> list[Route]:
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
        # A receiver of warnings alone is notified when the pager cannot be.
        *(
            Route(
                receiver=receiver.name,
                matchers=[f'alertname="{FAILING}"'],
                continue_=True,
                group_wait="0s",
            )
            for receiver in notified
            if not notifies(receiver, "critical", "P1")
        ),
        *(
            _route(plan, receiver, severity)
            for severity in ("critical", "warning", "info")
            for receiver in notified
            if severity in receiver.severities
        ),
        Route(receiver=BLACKHOLE, matchers=['severity=~"info|none"']),
    ]


def notifies(receiver: SiteReceiver, severity: str, priority: str) -> bool:
    """Return whether a receiver is notified of alerts of a severity and priority."""
    return severity in receiver.severities and priority in (
        receiver.priorities or (priority,)
    )


def _route(plan: Plan, receiver: SiteReceiver, severity: str) -> Route:
    critical = severity == "critical"
    matchers = [f'severity="{severity}"']
    if receiver.priorities:
        matchers.append(f'priority=~"{"|".join(receiver.priorities)}"')
    soon, reach = causes.prompt(plan)
    sooner = Route(matchers=[f'vital=~"{"|".join(soon)}"'], group_wait=reach)
    return Route(
        receiver=receiver.name,
        matchers=matchers,
        continue_=True,
        routes=[sooner] if critical and soon else [],
        # A page leaves as soon as it is known not to be a second one, its end within
        # half a minute: Alertmanager sends changes only once a group_interval.
        group_wait=causes.page_wait(plan) if critical else None,
        group_interval="30s" if critical else None,
        repeat_interval="1h" if critical else None,
    )


def _watchdog(site: Site) -> Route:
    """Return the route of the alert that always fires: to the heartbeat, if any.

    A receiver is notified again when a group's interval finds that `repeat_interval`
    has passed since it *accepted*; equal to the interval, every other time only.
    """
    matchers = [f'alertname="{HEARTBEAT}"']
    if not site.heartbeat:
        return Route(receiver=BLACKHOLE, matchers=matchers)
    return Route(
        receiver=site.heartbeat[0].name,
        matchers=matchers,
        group_wait="0s",
        group_interval="1m",
        repeat_interval="50s",
    )


def _receiver(receiver: SiteReceiver) -> Receiver:
    file = f"secrets/{receiver.secret}" if receiver.secret else ""
    match receiver.kind:
        case "slack":
            return Receiver(name=receiver.name, slack_configs=[_slack(receiver, file)])
        case "pagerduty":
            return Receiver(
                name=receiver.name, pagerduty_configs=[_pagerduty(receiver, file)]
            )
        case "email":
            return Receiver(name=receiver.name, email_configs=[_email(receiver, file)])
        case _:
            hook = WebhookConfig(
                url=receiver.url,
                url_file=file,
                # A heartbeat needs no resolved message: its absence is the signal.
                send_resolved=receiver.name != "heartbeat",
            )
            return Receiver(name=receiver.name, webhook_configs=[hook])


def _slack(receiver: SiteReceiver, file: str) -> SlackConfig:
    return SlackConfig(
        api_url=receiver.url,
        api_url_file=file,
        channel=receiver.channel,
        send_resolved=True,  # false by default there
        color=texts.SLACK_COLOR,
        title=texts.SLACK_TITLE,
        title_link=texts.SLACK_LINK,
        text=texts.SLACK_TEXT,
        fallback=texts.SLACK_FALLBACK,
    )


def _pagerduty(receiver: SiteReceiver, file: str) -> PagerdutyConfig:
    return PagerdutyConfig(
        routing_key_file=file,
        url=receiver.url or PAGERDUTY_URL,
        client=texts.PAGERDUTY_CLIENT,
        client_url=texts.PAGERDUTY_CLIENT_URL,
        description=texts.PAGERDUTY_DESCRIPTION,
        severity=texts.PAGERDUTY_SEVERITY,
        class_=texts.PAGERDUTY_CLASS,
        component=texts.PAGERDUTY_COMPONENT,
        group=texts.PAGERDUTY_GROUP,
        details=texts.PAGERDUTY_DETAILS,
    )


def _email(receiver: SiteReceiver, file: str) -> EmailConfig:
    return EmailConfig(
        to=", ".join(receiver.to),
        from_=receiver.sender,
        smarthost=receiver.smarthost,
        send_resolved=True,  # false by default there
        auth_username=receiver.username,
        auth_password_file=file,
        require_tls=receiver.tls,
        tls_config=TlsConfig(ca_file=receiver.ca) if receiver.ca else None,
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
