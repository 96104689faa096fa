"""The monitor about itself: health, readiness, metrics, reload."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

from aiohttp import web

from watchroom.formats.exposition import family, render
from watchroom.monitor.api.answers import API
from watchroom.monitor.notify import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from watchroom.formats.exposition import Family
    from watchroom.monitor.services import Services


RELOAD: web.AppKey[Callable[[], Awaitable[str]]] = web.AppKey("reload")
"""Reads the files again; returns why the old configuration stays, or ""."""


class OwnAPI(API):
    """Handlers under /-/, and /metrics."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/-/healthy", self.healthy)
        app.router.add_get("/-/ready", self.ready)
        app.router.add_post("/-/reload", self.reload)
        app.router.add_get("/metrics", self.metrics)

    async def healthy(self, _: web.Request) -> web.Response:
        """Answer that the process runs."""
        return web.Response(text="watchroom is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """Answer whether rules have been evaluated since the start."""
        if not self._services.ready:
            return web.Response(text="watchroom is starting.\n", status=503)
        return web.Response(text="watchroom is ready.\n")

    async def reload(self, request: web.Request) -> web.Response:
        """Read the files again; 400 gives the reason why the old ones stay loaded."""
        problem = await request.config_dict[RELOAD]()
        if problem:
            return web.Response(
                text=f"kept the old configuration: {problem}\n", status=400
            )
        return web.Response(text="reloaded\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer with the monitor's own metrics in the text format."""
        body = await asyncio.to_thread(lambda: render(families(self._services)))
        return web.Response(
            body=body.encode(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def families(services: Services) -> list[Family]:
    """Return the monitor's own metrics."""
    return [
        *_configuration(services),
        *_scraping(services),
        *_answering(services),
        *_stats(
            "watchroom_rules_",
            {f"{name}_total": value for name, value in services.rules.stats().items()},
        ),
        *_stats("watchroom_store_", services.store.stats()),
        *_paging(services),
        *_stats("watchroom_incidents_", services.oncall.stats()),
        *metrics.families(services),
    ]


def _configuration(services: Services) -> list[Family]:
    reloads = services.reloads
    return [
        _gauge(
            "watchroom_build_info",
            1,
            "Version of watchroom.",
            version=version("watchroom"),
        ),
        _gauge(
            "watchroom_config_last_reload_successful",
            not reloads.problem,
            "1 if the last configuration load succeeded.",
        ),
        _gauge(
            "watchroom_config_last_reload_success_timestamp_seconds",
            reloads.good_at,
            "When the active configuration was loaded.",
        ),
        _count(
            "watchroom_config_reload_failures",
            reloads.failures,
            "Reloads refused; the previous configuration stayed active.",
        ),
        _count(
            "watchroom_rule_evaluations_missed",
            services.pulse.missed,
            "Evaluations skipped because the last one was still running.",
        ),
    ]


def _scraping(services: Services) -> list[Family]:
    counts, scrapers = services.scrapers.counts, services.scrapers.all()
    families = [
        _gauge("watchroom_targets", len(scrapers), "Targets now."),
        _gauge(
            "watchroom_targets_down",
            sum(scraper.health == "down" for scraper in scrapers),
            "Targets whose last scrape failed.",
        ),
        _count(
            "watchroom_discovery_failures",
            sum(count for count, _ in services.discovery_failures().values()),
            "Discovery requests that failed; the last targets were kept.",
        ),
    ]
    for name, value, text in (
        ("scrapes", counts.scrapes, "Scrapes."),
        ("scrape_failures", counts.failures, "Scrapes that failed."),
        ("samples_stored", counts.samples, "Samples accepted."),
        ("samples_out_of_order", counts.out_of_order, "Samples refused as too old."),
        ("samples_duplicate", counts.duplicates, "Samples refused as duplicates."),
        (
            "samples_out_of_bounds",
            counts.out_of_bounds,
            "Samples refused: too old, or in the future.",
        ),
        ("timestamps_ignored", counts.timestamps, "Exposed timestamps not used."),
        (
            "store_append_failures",
            counts.store_failures,
            "Scrapes that could not be stored.",
        ),
    ):
        families.append(_count(f"watchroom_{name}", value, text))
    return families


def _answering(services: Services) -> list[Family]:
    queries = services.queries
    outcomes = [((("outcome", kind),), n) for kind, n in queries.counts.items()]
    memories = [
        ((("engine", name),), engine.memory)
        for name, engine in services.engines.items()
    ]
    return [
        family(
            "watchroom_query_memory_bytes",
            "gauge",
            "Memory held by running queries and their responses.",
            [(labels, memory.held) for labels, memory in memories],
        ),
        family(
            "watchroom_query_memory_refused_total",
            "counter",
            "Queries refused because memory for queries was used up.",
            [(labels, memory.refused) for labels, memory in memories],
        ),
        family("watchroom_queries_total", "counter", "Queries.", outcomes),
        _count(
            "watchroom_query_seconds", queries.busy_seconds, "Time spent in queries."
        ),
        _gauge(
            "watchroom_http_connections", services.listener.open, "Open connections."
        ),
        family(
            "watchroom_http_connections_closed_total",
            "counter",
            "Connections closed for being too slow or too many.",
            [((("why", why),), n) for why, n in services.listener.closed.items()],
        ),
        _count(
            "watchroom_requests_refused",
            services.access.refused,
            "Requests refused: no token, or another host or origin.",
        ),
    ]


def _paging(services: Services) -> list[Family]:
    stats = services.notifier.stats()
    rows = [
        ((("outcome", outcome), ("receiver", receiver)), value)
        for (receiver, outcome), value in stats.items()
        if receiver
    ]
    return [
        family(
            "watchroom_notifications_total",
            "counter",
            "Deliveries by receiver and outcome.",
            rows,
        ),
        _gauge(
            "watchroom_notifications_open",
            stats.get(("", "queue"), 0),
            "Deliveries that no receiver has accepted yet.",
        ),
        _count(
            "watchroom_notification_records_failed",
            stats.get(("", "ledger_failed"), 0),
            "Delivery records that state.db refused or wrote late.",
        ),
        _count(
            "watchroom_state_changes_refused",
            services.ledger.refused,
            "Changes to state.db refused because too many were queued.",
        ),
    ]


def _gauge(name: str, value: float, text: str, **labels: str) -> Family:
    return family(name, "gauge", text, [(tuple(sorted(labels.items())), value)])


def _count(name: str, value: float, text: str) -> Family:
    return family(f"{name}_total", "counter", text, [((), value)])


def _stats(prefix: str, stats: Mapping[str, float]) -> list[Family]:
    return [
        family(
            f"{prefix}{name}",
            "counter" if name.endswith("_total") else "gauge",
            f"{name.removesuffix('_total').replace('_', ' ').capitalize()}.",
            [((), value)],
        )
        for name, value in sorted(stats.items())
    ]
