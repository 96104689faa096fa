"""What an alert is once a rule has seen it: labels, times, and its identity."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
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


class Alert(NamedTuple):
    """An alert on its way from a rule to the receivers; never pending.

    Attributes:
        labels: Sorted, with ``alertname`` and the external labels.
        annotations: Sorted, templates expanded.
        starts_at_ms: When it began to fire.
        ends_at_ms: When it ended, or will end unless heard of again; None while firing.
        updated_at_ms: When this was said of it.
        generator_url: Where its expression can be looked at.
    """

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int | None
    updated_at_ms: int
    generator_url: str = ""

    @property
    def fingerprint(self) -> str:
        """The identity: equal labels, equal alert."""
        return fingerprint(self.labels)

    def resolved(self, now_ms: int) -> bool:
        """Return whether it has ended by `now_ms`."""
        return self.ends_at_ms is not None and self.ends_at_ms <= now_ms
