"""A routing configuration, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.routes import Node, compile_route
from watchroom.monitor.routing.inhibit import Inhibition, compile_rules

if TYPE_CHECKING:
    from watchroom.formats.alertmanager import Alertmanager


class Plan(NamedTuple):
    """A configuration, compiled.

    Attributes:
        tree: The routes.
        send_resolved: Receiver → integration → whether it is notified of ends.
        inhibitions: Which alerts mute which.
    """

    tree: Node
    send_resolved: dict[str, dict[str, bool]]
    inhibitions: list[Inhibition]


def compiled_plan(config: Alertmanager) -> Plan:
    """Return a configuration, compiled.

    Raises:
        ConfigError: A matcher's pattern is not RE2.
    """
    return Plan(
        compile_route(config.route),
        {
            receiver.name: {
                name: entry.send_resolved
                for name, entry in receiver.integrations().items()
            }
            for receiver in config.receivers
        },
        compile_rules(config.inhibit_rules),
    )
