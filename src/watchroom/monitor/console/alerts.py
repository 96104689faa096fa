"""The alerts page: every rule that can fire, posted alerts, and muted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.symptoms import INHIBITOR
from watchroom.monitor.alert import is_page_of_incident, routed
from watchroom.monitor.console import runbooks
from watchroom.monitor.console.render import Page
from watchroom.monitor.console.values import digits
from watchroom.units import span
from watchroom.urgency import is_real, opens_incident, priority_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from aiohttp import web

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.views import AlertStatusView
    from watchroom.monitor.rules.views import AlertView, RuleView
    from watchroom.promql.model import Labels

_ORDER = {"firing": 0, "pending": 1, "error": 2, "inactive": 3}
_SIGNS = {
    "firing": ("▲", "fire"),
    "pending": ("◆", "warn"),
    "error": ("✗", "fire"),
    "inactive": ("●", "ok"),
}
_CALM = ("·", "none")
_WORDS = {"error": "cannot be evaluated"}
_RANK = {"P1": 0, "P2": 1, "P3": 2}
_OWN = frozenset({"alertname", "severity", "priority", "vital"})
_MOST_SHOWN = 20


class AlertLine(NamedTuple):
    """One alert of a rule: a label set for which its expression is true."""

    state: str
    css: str
    symbol: str
    labels: Sequence[tuple[str, str]]
    since_ms: int
    value: str
    summary: str
    muted: str


class RuleLine(NamedTuple):
    """A rule as the page shows it, or what was posted under one name."""

    name: str
    state: str
    words: str
    symbol: str
    css: str
    priority: str
    severity: str
    alerts: Sequence[AlertLine]
    more: int
    waits: str = ""
    query: str = ""
    error: str = ""
    panel: str = ""
    runbook: str = ""


class AlertsPage(Page):
    """Handler of /alerts."""

    def routes(self, app: web.Application) -> None:
        """Add the handler to `app`."""
        app.router.add_get("/alerts", self.alerts)

    async def alerts(self, request: web.Request) -> web.Response:
        """List the rules, worst first."""
        services = self._services
        views = services.dispatcher.alerts(round(services.now() * 1000))
        every = [
            rule for group in services.rules.loaded.views() for rule in group.rules
        ]
        # Not the copies that only drills can fire, nor the inhibitor: a muted alert
        # is marked itself.
        rules = [
            rule
            for rule in every
            if rule.type == "alerting"
            and "drill" not in dict(rule.labels)
            and rule.name != INHIBITOR
        ]
        books = runbooks.names(services.config.root)
        beside = posted(views, {rule.name for rule in every})
        external = services.config.external_labels
        shown = [*beside, *lines(rules, muted_of(views), books, external)]
        counts = {
            state: sum(line.state == state for line in shown)
            for state in ("firing", "pending", "inactive")
        }
        return self._renderer.page(request, "alerts.html", lines=shown, counts=counts)


def muted_of(views: Iterable[AlertStatusView]) -> dict[Labels, str]:
    """Return why muted alerts notify nobody, by their labels."""
    return {
        view.alert.labels: "silenced"
        if view.silenced_by
        else "inhibited by another alert"
        for view in views
        if view.state != "active"
    }


def posted(views: Sequence[AlertStatusView], rules: Collection[str]) -> list[RuleLine]:
    """Return firing alerts that no rule sent: a client posted them to /api/v2.

    Incidents opened by hand have a page of their own.

    Args:
        views: The firing alerts that routing has.
        rules: The names of all rules.
    """
    named: dict[str, list[AlertStatusView]] = {}
    for view in views:
        name = dict(view.alert.labels).get("alertname", "")
        if name not in rules and not is_page_of_incident(dict(view.alert.labels)):
            named.setdefault(name, []).append(view)
    muted = muted_of(views)
    return [_posted(name, named[name], muted) for name in sorted(named)]


def _posted(
    name: str, views: Sequence[AlertStatusView], muted: Mapping[Labels, str]
) -> RuleLine:
    labels = dict(views[0].alert.labels)
    symbol, css = _SIGNS["firing"] if opens_incident(labels) else _CALM
    return RuleLine(
        name=name or "an alert without a name",
        state="firing",
        words="posted",
        symbol=symbol,
        css=css,
        priority=_priority(labels),
        severity=labels.get("severity", ""),
        alerts=[
            _alert_line(
                "firing", alert, alert.starts_at_ms, muted.get(alert.labels, "")
            )
            for alert in [view.alert for view in views[:_MOST_SHOWN]]
        ],
        more=max(0, len(views) - _MOST_SHOWN),
    )


def _priority(labels: Mapping[str, str]) -> str:
    """Return the priority to show: empty if the alert opens no incident."""
    return priority_of(labels) if opens_incident(labels) else ""


def lines(
    rules: Iterable[RuleView],
    muted: Mapping[Labels, str],
    books: frozenset[str],
    external: Mapping[str, str],
) -> list[RuleLine]:
    """Return the rules to show: firing, pending, broken, quiet; each by priority.

    Args:
        rules: With their alerts, which lack the external labels.
        muted: Why an alert notifies nobody, by its labels as routing has them.
        books: Names of the existing runbooks.
        external: The external labels, which routing adds.
    """
    shown = [_line(rule, muted, books, external) for rule in rules]
    return sorted(
        shown,
        key=lambda line: (_ORDER[line.state], _RANK.get(line.priority, 3), line.name),
    )


def _line(
    rule: RuleView,
    muted: Mapping[Labels, str],
    books: frozenset[str],
    external: Mapping[str, str],
) -> RuleLine:
    labels, annotations = dict(rule.labels), dict(rule.annotations)
    # Watchdog always fires and drills are tests: neither is a problem.
    real = [alert for alert in rule.alerts if is_real(dict(alert.labels))]
    state = "inactive"
    if rule.health == "err":
        state = "error"
    elif real:
        state = "firing" if any(a.state == "firing" for a in real) else "pending"
    symbol, css = _SIGNS[state]
    if real and not any(opens_incident(dict(alert.labels)) for alert in real):
        symbol, css = _CALM
    alerts = sorted(rule.alerts, key=lambda alert: (alert.state, alert.active_at_ms))
    panel = annotations.get("__panelId__", "")
    return RuleLine(
        name=rule.name,
        state=state,
        words="always firing, by design"
        if rule.alerts and state == "inactive"
        else _WORDS.get(state, state),
        symbol=symbol,
        css=css,
        priority=_priority({"alertname": rule.name, **labels}),
        severity=labels.get("severity", ""),
        waits=span(rule.duration) if rule.duration else "",
        query=rule.query,
        error=rule.last_error,
        panel=panel if panel.isdigit() else "",
        runbook=rule.name if rule.name in books else "",
        alerts=[
            _alert_line(
                alert.state,
                alert,
                alert.active_at_ms,
                muted.get(routed(dict(alert.labels), external), ""),
                digits(alert.value),
            )
            for alert in alerts[:_MOST_SHOWN]
        ],
        more=max(0, len(alerts) - _MOST_SHOWN),
    )


def _alert_line(
    state: str, alert: AlertView | Alert, since_ms: int, muted: str, value: str = ""
) -> AlertLine:
    symbol, css = _SIGNS[state] if opens_incident(dict(alert.labels)) else _CALM
    return AlertLine(
        state=state,
        css=css,
        symbol=symbol,
        labels=[pair for pair in alert.labels if pair[0] not in _OWN],
        since_ms=since_ms,
        value=value,
        summary=dict(alert.annotations).get("summary", "").strip(),
        muted=muted,
    )
