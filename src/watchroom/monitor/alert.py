"""What an alert is once a rule has seen it: labels, times, and its identity."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from watchroom.promql.model import labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.promql.model import Labels

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_U64 = 0xFFFFFFFFFFFFFFFF


@functools.lru_cache(maxsize=8192)
def fingerprint(labels: Labels) -> str:
    """Return Alertmanager's fingerprint of a label set: FNV-1a 64, 16 hex digits.

    Name and value of each label in order of name, each followed by the byte 0xFF.
    """
    state = _FNV_OFFSET
    for name, value in labels:
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            state = ((state ^ byte) * _FNV_PRIME) & _U64
    return f"{state:016x}"


def routed(labels: Mapping[str, str], external: Mapping[str, str]) -> Labels:
    """Return an alert's labels as routing knows them: the external ones joined."""
    return labels_of({**external, **labels})


PAGE_LABEL = "incident"
"""Carried by the alert by which an incident opened by hand notifies people."""


def page_name(number: int) -> str:
    """Return the name of the alert of an incident opened by hand."""
    return f"Incident{number}"


def is_page_of_incident(labels: Mapping[str, str]) -> bool:
    """Return whether an alert is an incident's own: nothing opens by it or ends."""
    number = labels.get(PAGE_LABEL, "")
    return bool(number) and labels.get("alertname") == f"Incident{number}"


class Alert(NamedTuple):
    """An alert on its way from a rule to the receivers; never pending.

    Attributes:
        labels: Sorted, with ``alertname`` and the external labels.
        annotations: Sorted, templates expanded.
        starts_at_ms: When it began to fire.
        ends_at_ms: When it ended, or will end unless heard of again; None while firing.
        updated_at_ms: When this was said of it.
        generator_url: Where its expression can be looked at.
        timeout: Whether its end is only our guess, for want of news.
        active_at_ms: Since when its expression has held, pending at first, if known:
            our own rules say it.
    """

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int | None
    updated_at_ms: int
    generator_url: str = ""
    timeout: bool = False
    active_at_ms: int | None = None

    @property
    def fingerprint(self) -> str:
        """The identity: equal labels, equal alert."""
        return fingerprint(self.labels)

    def resolved(self, now_ms: int) -> bool:
        """Return whether it has ended by `now_ms`."""
        return self.ends_at_ms is not None and self.ends_at_ms <= now_ms

    def merged(self, before: Alert) -> Alert:
        """Return this news of an alert with what `before` still says, as one activity.

        As Alertmanager merges what it is sent: the earlier start, and of two ends in
        the future the later one, unless that was a guess.
        """
        ends, old = self.ends_at_ms, before.ends_at_ms
        if ends is None or old is None:
            return self
        overlap = before.starts_at_ms < ends < old
        overlap = overlap or before.starts_at_ms < self.starts_at_ms < old
        if not overlap:
            return self
        if old > ends and (
            before.resolved(self.updated_at_ms)
            if self.resolved(self.updated_at_ms)
            else not before.timeout
        ):
            ends = old
        starts = min(self.starts_at_ms, before.starts_at_ms)
        return self._replace(starts_at_ms=starts, ends_at_ms=ends)
