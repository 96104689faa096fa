"""The monitor as its own target: it is the Alertmanager that prometheus.yml names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.formats.prometheus import Prometheus
    from watchroom.monitor.scrape.target import Target


class SelfTarget:
    """Answers the scrape of the Alertmanager that `alerting:` names.

    The same files serve Prometheus, which scrapes a real Alertmanager there. Here
    nothing listens on that address: this monitor delivers, so it answers with its own
    metrics under Alertmanager's names.

    Args:
        metrics: Gives the text exposition of the delivery; called in any thread.
    """

    def __init__(self, metrics: Callable[[], str]) -> None:
        self._metrics = metrics
        self._addresses: frozenset[str] = frozenset()

    def apply(self, config: Prometheus) -> None:
        """Take the addresses of a configuration."""
        self._addresses = frozenset(
            address
            for manager in (config.alerting.alertmanagers if config.alerting else ())
            for group in manager.static_configs
            for address in group.targets
        )

    def answers(self, target: Target) -> bool:
        """Return whether a target is this monitor's part."""
        parts = urlsplit(target.url)
        return parts.path == "/metrics" and parts.netloc in self._addresses

    def body(self) -> str:
        """Return the exposition text of the target."""
        return self._metrics()
