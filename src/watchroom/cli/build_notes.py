"""The notes of a build, most serious first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive import routing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchroom import conf
    from watchroom.derive.plan import Plan
    from watchroom.derive.site import Site

_SECRET_IS = {"pagerduty": "routing key", "email": "password"}


def notes(planned: Plan, root: Path, settings: conf.Settings) -> Iterator[str]:
    """Yield what the user must know about this build, most serious first."""
    site = planned.site
    yield from _hearing(site)
    if not site.sites:
        yield (
            "SITES is empty: SiteDown can't page when the public site is down. Add "
            "WATCHROOM['SITES'] = ['https://…']"
        )
    if site.receivers and not settings.monitor_url_set:
        yield (
            "MONITOR_URL is not set: links in alert messages lead to "
            f"{site.monitor_url}, which on the reader's phone or laptop is that "
            "device itself. Add WATCHROOM['MONITOR_URL'] = 'https://…'"
        )
    yield from _secrets(site, root)
    yield from _shape(planned)


def _hearing(site: Site) -> Iterator[str]:
    if not site.receivers:
        yield (
            "RECEIVERS is empty: no alert notifies anybody. Add "
            "WATCHROOM['RECEIVERS'] = {'ops': {'secret': 'ops_webhook'}}"
        )
    elif not any(
        routing.notifies(receiver, "critical", "P1")
        for receiver in site.active_receivers
    ):
        yield (
            "no receiver accepts critical P1 alerts: they page nobody. Check "
            "'severity' and 'priority' in RECEIVERS"
        )
    for receiver in site.receivers:
        if receiver not in site.active_receivers:
            yield (
                f"receiver {receiver.name} gets alerts only from "
                f"{', '.join(receiver.environments)}, not from {site.environment}: see "
                "its 'environments'"
            )
    if len(site.active_receivers) == 1:
        yield (
            f"{site.active_receivers[0].name} is the only receiver: if it fails, "
            "nobody is notified of the failure. Add a second one"
        )
    if not site.heartbeat:
        yield (
            "HEARTBEAT is not set: if the monitor stops, nobody is notified. Add "
            "WATCHROOM['HEARTBEAT'] = 'heartbeat_url', the name of the secret file "
            "with the URL of an external heartbeat service"
        )


def _secrets(site: Site, root: Path) -> Iterator[str]:
    everybody = (*site.active_receivers, *site.heartbeat)
    for receiver in everybody:
        if receiver.secret and not (root / "secrets" / receiver.secret).is_file():
            yield (
                f"receiver {receiver.name}: put its "
                f"{_SECRET_IS.get(receiver.kind, 'URL')} into {root}/secrets/"
                f"{receiver.secret} (mode 0600; git ignores that directory)"
            )
    if any(receiver.secret and receiver.kind == "webhook" for receiver in everybody):
        yield "webhook URLs in files (url_file) need Alertmanager 0.26 or newer"


def _shape(planned: Plan) -> Iterator[str]:
    inputs = planned.site.inputs
    if inputs.window is not None or inputs.for_ is not None:
        window = inputs.window or "each vital's own"
        hold = inputs.for_ or "each alert's own"
        yield (
            f"built with window {window} and for {hold}, for demos and tests only: in "
            "production, such short times page for every brief error. To reset: "
            "--window '' --for ''"
        )
    for vital in planned.vitals:
        if not vital.applicable:
            yield f"{vital.name} is not applicable: no {vital.vital.needs} configured"
