"""Alerts and groups as the API of Alertmanager shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


class AlertStatusView(NamedTuple):
    """An alert as /api/v2/alerts shows it."""

    alert: Alert
    receivers: Sequence[str]
    state: Literal["active", "suppressed"]
    inhibited_by: Sequence[str]
    silenced_by: Sequence[str]


class AlertGroupView(NamedTuple):
    """A group as /api/v2/alerts/groups shows it."""

    labels: Labels
    receiver: str
    alerts: Sequence[AlertStatusView]
