"""On-call as one object: what dispatch, delivery, the console and the API use.

What people do (`Actions`, `ManualAlerts`, `AckForwarder`) is built on top of delivery,
and isn't part of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING

from watchroom.errors import WatchroomError
from watchroom.formats.contacts import Contacts
from watchroom.monitor.dispatch.policy import ROUTE_ONLY, Policy
from watchroom.monitor.oncall import timeline
from watchroom.monitor.oncall.deploys import EXPR, Deploys
from watchroom.monitor.oncall.escalation import Escalation
from watchroom.monitor.oncall.incident import Event, concerns
from watchroom.monitor.oncall.incidents import Incidents
from watchroom.monitor.oncall.links import Signer
from watchroom.monitor.oncall.records import Records
from watchroom.monitor.oncall.recovery import Recovery, check_recovery
from watchroom.monitor.survived import survived
from watchroom.promql.model import Vector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.notification import Notification
    from watchroom.monitor.notify.integration import Attempt, Links
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.records import Deploy
    from watchroom.monitor.queries import Queries
    from watchroom.monitor.routing.routing import Place
    from watchroom.monitor.routing.silences import Silence
    from watchroom.monitor.state.database import StateDB
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels, Queryable

_LOG = logging.getLogger(__name__)
_CHECK_SECONDS = 10.0


class OnCall:
    """Incidents, escalation, links, deployments.

    It is the dispatcher's group policy and the notifier's listener.

    Args:
        state: state.db.
        token: The monitor's token; links are signed with a key made from it.
        url: The monitor's public URL.
        places: Returns each alert's group: `Routing.places`.
        contacts: Who is on call.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        state: StateDB,
        *,
        token: str,
        url: str,
        places: Callable[[Sequence[Labels], int], Sequence[Place]],
        contacts: Contacts | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.url = url.rstrip("/")
        self.records = Records(state)
        self.signer = Signer(token)
        self.contacts = contacts or Contacts()
        self._now = now
        self.deploys = Deploys(self.records, self._deployed)
        self.incidents = Incidents(
            self.records,
            places=places,
            deploys=self.deploys.between,
            now_ms=self.now_ms,
        )
        self.escalation = Escalation(self.incidents, lambda: self.contacts)
        self.looks = self.looks_failed = 0

    def use(self, contacts: Contacts) -> None:
        """Take the contacts that a reload brought."""
        self.contacts = contacts

    def now_ms(self) -> int:
        """Return now in milliseconds."""
        return round(self._now() * 1000)

    def incident_url(self, incident: Incident) -> str:
        """Return the address of an incident's page."""
        return f"{self.url}/incidents/{incident.id}"

    def ack_url(self, incident: Incident) -> str:
        """Return a signed link by which its reader can acknowledge."""
        name = self.signer.name(incident.id, incident.opened_ms, self._now())
        return f"{self.url}/answer/{name}"

    # What dispatch and delivery call.

    @survived("an incident could not be updated")
    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take new, firing or resolved alerts, once routing has them."""
        self.incidents.receive(alerts, now_ms)

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take the resolved alerts of a flushed group, muted or not."""
        self.receive(alerts, now_ms)

    @survived(
        "escalation failed; the alert's normal route is used",
        lambda *_, **__: ROUTE_ONLY,
    )
    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return what applies to a group's notifications, besides its route.

        Its firing alerts are put into an incident here. If that were done once the
        notification gets its links, an alert that ended meanwhile would be put back
        into its incident, which would then never resolve.
        """
        firing = [alert for alert in alerts if alert.ends_at_ms is None]
        names = [alert.fingerprint for alert in alerts]
        for alert in firing:
            if concerns(dict(alert.labels)):
                self.incidents.add_firing(alert, group, now_ms)
                self.incidents.retitle(alert, group)
        return self.escalation.policy_of(names, now_ms, firing=bool(firing))

    @survived(
        "sending a notification without links to its incident",
        lambda _, notification: notification,
    )
    def with_links(self, notification: Notification) -> Notification:
        """Return a notification with links to its incident in the alerts' annotations.

        ``incident_url`` in all of them; ``ack_url`` in firing ones, until someone
        has acknowledged.
        """
        incident = self.incidents.holding(
            alert.fingerprint for alert in notification.alerts
        )
        if incident is None:
            return notification
        links = {"incident_url": self.incident_url(incident)}
        if incident.state == "firing":
            links["ack_url"] = self.ack_url(incident)
        return notification._replace(
            alerts=tuple(
                _with(alert, links)
                if alert.ends_at_ms is None
                else _with(alert, {"incident_url": links["incident_url"]})
                for alert in notification.alerts
            )
        )

    @staticmethod
    def links(notification: Notification) -> Links:
        """Return text and URL of a notification's links."""
        shared = dict(notification.alerts[0].annotations) if notification.alerts else {}
        names = (("Acknowledge", "ack_url"), ("Incident", "incident_url"))
        return tuple((text, shared[name]) for text, name in names if name in shared)

    @survived("a delivery is missing from its incident's timeline")
    def delivered(
        self, notification: Notification, attempt: Attempt, attempts: int
    ) -> None:
        """Take how a delivery ended: accepted by its receiver, or given up."""
        tries = f" at attempt {attempts}" if attempts > 1 else ""
        if attempt.accepted:
            took = f"{attempt.latency_ms:.0f} ms"
            text = f"{notification.status}, delivered in {took}{tries}"
        else:
            text = f"{notification.status}, not delivered{tries}: {attempt.error}"
        receiver = notification.key.receiver
        people = self.contacts.behind().get(receiver, "")
        who = f"{receiver} ({people})" if people else receiver
        kind = "notified" if attempt.accepted else "refused"
        event = Event(self.now_ms(), "notifier", kind, f"{who}: {text}")
        self.incidents.add(notification.firing | notification.resolved, event)

    @survived("a silence is missing from its incident's timeline")
    def silenced(self, silence: Silence) -> None:
        """Take a silence that the API made, changed or ended."""
        event = timeline.silenced(silence, self.now_ms())
        self.incidents.add_matching(silence.matchers, event)

    def stats(self) -> dict[str, float]:
        """Return counts for the monitor's own metrics."""
        return {
            **self.incidents.stats(),
            "looks_total": float(self.looks),
            "looks_failed_total": float(self.looks_failed),
        }

    # What is done at intervals.

    async def watch(
        self,
        queries: Queries,
        *,
        every: Callable[[], float],
        exprs: Callable[[], Mapping[str, Sequence[str]]],
        acknowledge: Callable[[], Awaitable[None]],
    ) -> None:
        """Check ended alerts and releases, forward acknowledgements, until cancelled.

        Args:
            queries: Runs queries.
            every: Seconds between two checks.
            exprs: Alert name → the expressions of its rules: `LoadedGroups.exprs`.
            acknowledge: Forwards acknowledgements: `AckForwarder.forward`.
        """
        while True:
            await asyncio.sleep(max(0.5, every()))
            # Each by itself: a failing step delays no other.
            for step in (
                partial(self.releases, queries),
                partial(self.check_recovery, queries, exprs),
                acknowledge,
            ):
                try:
                    await step()
                except WatchroomError:
                    self.looks_failed += 1  # too many queries, or the store is closing
                except Exception:  # noqa: BLE001 - tried again in a moment, and counted
                    self.looks_failed += 1
                    _LOG.exception("incident upkeep failed")

    async def check_recovery(
        self, queries: Queries, exprs: Callable[[], Mapping[str, Sequence[str]]]
    ) -> None:
        """Check once whether ended alerts have recovered."""
        at_ms = self.now_ms()
        self.incidents.end_unreported(at_ms)
        waiting = self.incidents.unconfirmed()
        if waiting:
            random.shuffle(waiting)  # so that each has its turn when time is short
            rules = exprs()

            def work(_: Engine, queryable: Queryable) -> Recovery:
                seconds = _CHECK_SECONDS / 2
                return check_recovery(queryable, waiting, rules, at_ms, seconds)

            recovery = await queries.run(work, _CHECK_SECONDS)
            for number, missing in recovery.missing.items():
                self.incidents.confirm(number, missing, at_ms)
            self.looks_failed += recovery.failed
        self.looks += 1

    async def releases(self, queries: Queries) -> None:
        """Check once which releases run."""
        at_ms = self.now_ms()

        def work(engine: Engine, queryable: Queryable) -> list[str]:
            value = engine.instant(queryable, EXPR, at_ms)
            samples = value.samples if isinstance(value, Vector) else []
            return [dict(labels).get("release", "") for labels, _ in samples]

        self.deploys.observed(await queries.run(work, _CHECK_SECONDS), at_ms)

    def _deployed(self, deploy: Deploy) -> None:
        self.incidents.add_to_open(
            lambda incident: timeline.deployed(deploy, incident.first_failure_ms)
        )


def _with(alert: Alert, links: dict[str, str]) -> Alert:
    annotations = tuple(sorted({**dict(alert.annotations), **links}.items()))
    return alert._replace(annotations=annotations)
