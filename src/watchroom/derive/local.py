"""What a team adds in DIR/local/: jobs, routes and receivers of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from watchroom.formats import alertmanager, prometheus, receivers, yamlfile

PROMETHEUS = "local/prometheus.yml"
ALERTMANAGER = "local/alertmanager.yml"
_STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True}


class Jobs(msgspec.Struct, **_STRICT):
    """A local/prometheus.yml."""

    scrape_configs: list[prometheus.ScrapeConfig] = []


class Routes(msgspec.Struct, **_STRICT):
    """A local/alertmanager.yml."""

    routes: list[alertmanager.Route] = []
    receivers: list[receivers.Receiver] = []
    inhibit_rules: list[alertmanager.InhibitRule] = []


def with_jobs(
    config: prometheus.Prometheus, text: str | None, file: str
) -> prometheus.Prometheus:
    """Return `config` with the jobs of a local file appended.

    Raises:
        ConfigError: The file is wrong, or makes the whole wrong; with its line.
    """
    if text is None:
        return config
    local, node = yamlfile.read(text, file, Jobs)
    names_in_use = [job.job_name for job in config.scrape_configs]
    with yamlfile.placed(node, file):
        prometheus.check_jobs(local.scrape_configs, config.global_, names_in_use)
    return msgspec.structs.replace(
        config, scrape_configs=[*config.scrape_configs, *local.scrape_configs]
    )


def with_routes(
    config: alertmanager.Alertmanager, text: str | None, file: str
) -> alertmanager.Alertmanager:
    """Return `config` with the routes, receivers and inhibitions of a local file.

    Raises:
        ConfigError: The file is wrong, or makes the whole wrong; with its line.
    """
    if text is None:
        return config
    local, node = yamlfile.read(text, file, Routes)
    names_in_use = [receiver.name for receiver in config.receivers]
    with yamlfile.placed(node, file):
        names = alertmanager.check_receivers(local.receivers, names_in_use)
        for i, local_route in enumerate(local.routes):
            alertmanager.check_route(local_route, f"routes[{i}]", names)
        alertmanager.check_inhibitions(local.inhibit_rules)
    route = msgspec.structs.replace(
        config.route, routes=[*(config.route.routes or []), *local.routes]
    )
    return msgspec.structs.replace(
        config,
        route=route,
        receivers=[*config.receivers, *local.receivers],
        inhibit_rules=[*config.inhibit_rules, *local.inhibit_rules],
    )
