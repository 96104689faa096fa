"""Which series and labels there are: an expression that reads others is refused."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from watchroom.promql.syntax import Selector

# What the servers make themselves.
BUILT_IN = frozenset({
    "up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS",
    "scrape_samples_post_metric_relabeling", "scrape_series_added",
    "ALERTS_FOR_STATE", "probe_success", "probe_duration_seconds",
    "probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_http_status_code",
    "probe_ssl_earliest_cert_lifetime_seconds", "probe_failed_due_to_certificate",
    "alertmanager_notifications_total", "alertmanager_notifications_failed_total",
})  # fmt: skip
_EVERYWHERE = ("__name__", "job", "instance")


def check_name(name: str, known: set[str], where: str) -> None:
    """Refuse a metric that nothing exposes.

    Raises:
        ConfigError: It names the nearest known metric.
    """
    if not name or name in known:
        return
    near = difflib.get_close_matches(name, sorted(known), n=1)
    raise ConfigError(
        f"{where}: there is no metric named {name!r}",
        hint=f"did you mean {near[0]!r}?"
        if near
        else "declare it with watchroom.gauge or watchroom.counter",
    )


def check_labels(selector: Selector, labels: set[str], where: str) -> None:
    """Refuse a matcher of a label that the metric does not have.

    Raises:
        ConfigError: It names the nearest label that there is.
    """
    known = {*labels, *_EVERYWHERE}
    for matcher in selector.matchers:
        if matcher.name in known:
            continue
        near = difflib.get_close_matches(matcher.name, sorted(known), n=1)
        raise ConfigError(
            f"{where}: {selector.metric} has no label {matcher.name!r}",
            hint=f"did you mean {near[0]!r}?"
            if near
            else f"its labels are {', '.join(sorted(known - {'__name__'}))}",
        )
