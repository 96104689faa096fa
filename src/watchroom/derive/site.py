"""The inputs of a build beside the catalogue: addresses, receivers, options."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchroom.derive import selectors
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.conf.receivers import Receiver
    from watchroom.formats.manifest import Inputs


class Site(NamedTuple):
    """One project in one environment, and how its files are built.

    Attributes:
        project: Its name.
        environment: ``production``, ``staging``; becomes the external label `env`.
        sites: Public URLs.
        exporter: host:port.
        monitor_url: Where people open the monitor.
        receivers: All receivers, of any environment.
        inputs: The options of `build`.
        logs_url: Template of the address of the logs; see `watchroom.messages.links`.
        sentry_url: Template of the address of the errors.
        has: What of ``sites``, ``database``, ``cache``, ``celery``, ``broker`` and
            ``beat`` is configured.
        heartbeat: Receives a heartbeat every minute: one or none.
    """

    project: str
    environment: str
    sites: tuple[str, ...]
    exporter: str
    monitor_url: str
    receivers: tuple[Receiver, ...]
    inputs: Inputs
    has: frozenset[str]
    heartbeat: tuple[Receiver, ...] = ()
    logs_url: str = ""
    sentry_url: str = ""

    @property
    def active_receivers(self) -> tuple[Receiver, ...]:
        """The receivers that are notified of this environment."""
        return tuple(
            receiver
            for receiver in self.receivers
            if not receiver.environments or self.environment in receiver.environments
        )

    @property
    def exporter_is_local(self) -> bool:
        """Whether the exporter listens on loopback, where no token is needed."""
        host = self.exporter.rpartition(":")[0].strip("[]")
        return host in {"localhost", "::1"} or host.startswith("127.")


def unselected(site: Site) -> Site:
    """Return the same site with a Prometheus of its own, where all series are ours.

    A pattern in a select does not tell what labels the series of a drill should have.
    """
    labels = rule_labels(site.inputs)
    inputs = msgspec.structs.replace(site.inputs, select="", labels=labels)
    return site._replace(inputs=inputs)


def select_labels(inputs: Inputs) -> dict[str, str]:
    """Return the labels that a select gives our own targets: its ``=`` matchers.

    Raises:
        ConfigError: It is not a list of matchers, or names `job`.
    """
    if not inputs.select:
        return {}
    try:
        (selector,) = selectors.names(f"up{{{inputs.select}}}", "--select")
    except ValueError:
        selector = None
    except ConfigError as error:
        raise ConfigError(
            error.what, hint="write it as --select 'namespace=\"shop\"'"
        ) from None
    if selector is None:
        raise ConfigError(f"--select {inputs.select!r} isn't a list of matchers")
    labels = {}
    for matcher in selector.matchers:
        if matcher.name in {"job", "instance"}:
            raise ConfigError(
                f"--select can't match {matcher.name}: the rules use that "
                "label themselves",
                hint="match a label of the targets, such as namespace",
            )
        if matcher.name != "__name__" and matcher.op == "=":
            labels[matcher.name] = matcher.value
    return labels


def rule_labels(inputs: Inputs) -> dict[str, str]:
    """Return the labels of every rule: ``--label``, or else what `select` fixes.

    Raises:
        ConfigError: There is a select and nothing that marks the results as ours.
    """
    chosen = select_labels(inputs)
    labels: Mapping[str, str] = inputs.labels or chosen
    if inputs.select and not labels:
        raise ConfigError(
            "--select without an equality matcher needs --label",
            hint="without a label of your own, another team's recorded series would "
            "be read as yours: --label team=shop",
        )
    for name in labels:
        if name in {"job", "instance", "alertname", "severity", "priority", "vital"}:
            raise ConfigError(
                f"--label can't set {name}: the rules use that label themselves"
            )
    return dict(sorted(labels.items()))
