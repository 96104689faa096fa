"""What `watchroom build` builds: options and a project become a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchroom.catalogue import load as catalogue
from watchroom.derive import proof
from watchroom.derive import site as sites
from watchroom.derive.plan import Plan, plan
from watchroom.errors import ConfigError
from watchroom.formats.manifest import Inputs
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.cli.project import Project
    from watchroom.formats.manifest import Manifest


def inputs(
    last: Manifest | None,
    *,
    settings: str | None,
    interval: str | None,
    window: str | None,
    hold: str | None,
    select: str | None,
    labels: tuple[str, ...],
    alertmanager: str | None,
) -> Inputs:
    """Return what to build with: the options, else what the last build recorded.

    An empty option resets a recorded one.

    Raises:
        ConfigError: A value is wrong; it names the option.
    """
    base = last.inputs if last else Inputs()
    chosen = Inputs(
        settings=base.settings if settings is None else settings,
        interval=base.interval if interval is None else interval,
        window=base.window if window is None else window or None,
        for_=base.for_ if hold is None else hold or None,
        select=base.select if select is None else select.strip(),
        labels=_labels(labels) if labels else base.labels,
        alertmanager=base.alertmanager if alertmanager is None else alertmanager,
    )
    for option, text in (
        ("--interval", chosen.interval),
        ("--window", chosen.window),
        ("--for", chosen.for_),
    ):
        if text is None:
            continue
        try:
            seconds = parse_duration(text)
        except ConfigError as error:
            raise ConfigError(error.what, field=option, hint=error.hint) from None
        if seconds <= 0 and option != "--for":
            raise ConfigError("must be longer than 0", field=option)
    return chosen


def _labels(given: Iterable[str]) -> dict[str, str]:
    labels = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not text:
            continue
        if not sign or not name.isidentifier() or not value or '"' in value:
            raise ConfigError(
                f"{text!r} is not a label", field="--label", hint="write team=shop"
            )
        labels[name] = value
    return labels


def planned(project: Project, inputs: Inputs) -> Plan:
    """Return what to build for a project; every drill is tried on the way.

    Raises:
        ConfigError: The project's vitals, limits or receivers contradict each other.
    """
    settings = project.settings
    overrides = {
        name: catalogue.Override(*each) for name, each in settings.vitals.items()
    }
    site = sites.Site(
        project=settings.project,
        environment=settings.environment,
        sites=settings.sites,
        exporter=settings.exporter,
        monitor_url=settings.monitor_url,
        receivers=tuple(settings.receivers.values()),
        inputs=msgspec.structs.replace(inputs, settings=project.module),
        has=project.has,
        heartbeat=settings.heartbeat,
        logs_url=settings.logs_url,
        sentry_url=settings.sentry_url,
    )
    vitals = catalogue.catalogue(
        project.vitals, overrides, project.metrics, settings.objective
    )
    known = catalogue.series_labels(project.metrics)
    built = plan(vitals, site, known)
    proof.check(plan(vitals, sites.unselected(site), known) if inputs.select else built)
    return built
