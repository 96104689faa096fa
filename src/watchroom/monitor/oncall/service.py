"""On-call as one part: what dispatching, delivery, the pages and the API see of it.

What people do (`Actions`, `ManualAlerts`, `PassedOn`) is built on top of delivery, and
is no part of this.
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
from watchroom.monitor.oncall.recovery import Recovery, judge
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
_LOOK_SECONDS = 10.0


class OnCall:
    """Incidents, who is called, links, deployments.

    It is the policy of the dispatcher's groups and the listener of the notifier.

    Args:
        state: state.db.
        token: The monitor's; links are signed with a key made from it.
        url: Where people reach this monitor.
        places: Asks routing about alerts: `Routing.places`.
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

    def answer_url(self, incident: Incident) -> str:
        """Return a signed link by which its reader can answer."""
        name = self.signer.name(incident.id, incident.opened_ms, self._now())
        return f"{self.url}/answer/{name}"

    # What dispatching and delivery ask.

    @survived("an incident could not be updated")
    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts, once routing has them."""
        self.incidents.receive(alerts, now_ms)

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take the ends of alerts whose group rang, muted or not."""
        self.receive(alerts, now_ms)

    @survived(
        "escalation failed; the route applies as it is", lambda *_, **__: ROUTE_ONLY
    )
    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return what holds for the messages of a group, besides its route.

        What fires among its alerts is in an incident from here on. Not only once the
        message is dressed: an alert that ended meanwhile would be put back into its
        incident, which then stayed open for good.
        """
        firing = [alert for alert in alerts if alert.ends_at_ms is None]
        names = [alert.fingerprint for alert in alerts]
        for alert in firing:
            if concerns(dict(alert.labels)):
                self.incidents.fires(alert, group, now_ms)
                self.incidents.told(alert, group)
        return self.escalation.policy_of(names, now_ms, firing=bool(firing))

    @survived(
        "a notification is sent without the links to its incident",
        lambda _, notification: notification,
    )
    def with_links(self, notification: Notification) -> Notification:
        """Return a message with the links to its incident in its alerts' annotations.

        ``incident_url`` in all of them; ``ack_url`` in those that fire, while nobody
        has acknowledged.
        """
        incident = self.incidents.holding(
            alert.fingerprint for alert in notification.alerts
        )
        if incident is None:
            return notification
        links = {"incident_url": self.incident_url(incident)}
        if incident.state == "firing":
            links["ack_url"] = self.answer_url(incident)
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
        """Return text and address of what a dressed message leads to."""
        shared = dict(notification.alerts[0].annotations) if notification.alerts else {}
        names = (("Acknowledge", "ack_url"), ("Incident", "incident_url"))
        return tuple((text, shared[name]) for text, name in names if name in shared)

    @survived("a delivery is missing from its incident's timeline")
    def delivered(
        self, notification: Notification, attempt: Attempt, attempts: int
    ) -> None:
        """Take how a message ended: accepted by its receiver, or given up."""
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

    # What is looked at while time passes.

    async def watch(
        self,
        queries: Queries,
        *,
        every: Callable[[], float],
        exprs: Callable[[], Mapping[str, Sequence[str]]],
        acknowledge: Callable[[], Awaitable[None]],
    ) -> None:
        """Judge ended alerts, look for releases, pass on answers, until cancelled.

        Args:
            queries: Answers.
            every: Seconds between two looks.
            exprs: Alert name → the expressions of its rules: `LoadedGroups.exprs`.
            acknowledge: Tells pagers of acknowledgements: `PassedOn.all`.
        """
        while True:
            await asyncio.sleep(max(0.5, every()))
            # Each by itself: what cannot be asked now holds up nothing else.
            for step in (
                partial(self.releases, queries),
                partial(self.look, queries, exprs),
                acknowledge,
            ):
                try:
                    await step()
                except WatchroomError:
                    self.looks_failed += 1  # too many queries, or the store is closing
                except Exception:  # noqa: BLE001 - tried again in a moment, and counted
                    self.looks_failed += 1
                    _LOG.exception("incident upkeep failed")

    async def look(
        self, queries: Queries, exprs: Callable[[], Mapping[str, Sequence[str]]]
    ) -> None:
        """Look once at the alerts that ended."""
        at_ms = self.now_ms()
        self.incidents.end_unheard(at_ms)
        waiting = self.incidents.unjudged()
        if waiting:
            random.shuffle(waiting)  # what there is no time for has its turn later
            rules = exprs()

            def work(_: Engine, queryable: Queryable) -> Recovery:
                return judge(queryable, waiting, rules, at_ms, _LOOK_SECONDS / 2)

            found = await queries.run(work, _LOOK_SECONDS)
            for number, gone in found.gone.items():
                self.incidents.judge(number, gone, at_ms)
            self.looks_failed += found.failed
        self.looks += 1

    async def releases(self, queries: Queries) -> None:
        """Look once at which releases run."""
        at_ms = self.now_ms()

        def work(engine: Engine, queryable: Queryable) -> list[str]:
            found = engine.instant(queryable, EXPR, at_ms)
            samples = found.samples if isinstance(found, Vector) else []
            return [dict(labels).get("release", "") for labels, _ in samples]

        self.deploys.observed(await queries.run(work, _LOOK_SECONDS), at_ms)

    def _deployed(self, deploy: Deploy) -> None:
        self.incidents.add_to_open(
            lambda incident: timeline.deployed(deploy, incident.first_failure_ms)
        )


def _with(alert: Alert, links: dict[str, str]) -> Alert:
    annotations = tuple(sorted({**dict(alert.annotations), **links}.items()))
    return alert._replace(annotations=annotations)
