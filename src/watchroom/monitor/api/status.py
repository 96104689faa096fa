"""/api/v1 as Prometheus answers it: rules, alerts, targets, status."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from watchroom.formats import masked
from watchroom.monitor.api.answers import API, answered, success_of
from watchroom.monitor.api.params import BadDataError, whole
from watchroom.monitor.api.prometheus import matchers_of
from watchroom.promql.model import matches_all
from watchroom.promql.value import exponential
from watchroom.units import format_duration

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

    from watchroom.monitor.rules.views import AlertView, GroupView, RuleView
    from watchroom.monitor.scrape.loop import Scraper

_ZERO_TIME = "0001-01-01T00:00:00Z"


def rfc3339(at_ms: int | None) -> str:
    """Return an instant as RFC 3339 in UTC with milliseconds; Go's zero for None."""
    if at_ms is None:
        return _ZERO_TIME
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z" if "." in text else text + "Z"


class StatusAPI(API):
    """Handlers that report what the monitor does."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        for path, handler in (
            ("/api/v1/rules", self.rules),
            ("/api/v1/alerts", self.alerts),
            ("/api/v1/targets", self.targets),
            ("/api/v1/alertmanagers", self.alertmanagers),
            ("/api/v1/metadata", self.metadata),
            ("/api/v1/status/buildinfo", self.build),
            ("/api/v1/status/config", self.config),
            ("/api/v1/status/runtimeinfo", self.runtime),
            ("/api/v1/status/flags", self.metadata),
        ):
            app.router.add_get(path, answered(handler))

    async def rules(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/rules, filtered by ``type`` and names."""
        kind = request.query.get("type", "").lower()
        if kind not in {"", "alert", "record"}:
            raise BadDataError(f'invalid parameter "type": unsupported value {kind!r}')
        names = set(request.query.getall("rule_name[]", []))
        groups = set(request.query.getall("rule_group[]", []))
        files = set(request.query.getall("file[]", []))
        selectors = [matchers_of(t) for t in request.query.getall("match[]", [])]
        without = _bool(request.query, "exclude_alerts")
        listed = []
        for view in self._services.rules.loaded.views():
            if (groups and view.key.name not in groups) or (
                files and view.key.file not in files
            ):
                continue
            rules = [
                rule
                for rule in view.rules
                if (not kind or rule.type.startswith(kind))
                and (not names or rule.name in names)
                and (
                    not selectors
                    or any(matches_all(matchers, rule.labels) for matchers in selectors)
                )
            ]
            if without:
                rules = [rule._replace(alerts=()) for rule in rules]
            if rules or not (kind or names or selectors):
                listed.append(_group(view, rules))
        return success_of({"groups": listed}, request)

    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/alerts."""
        views = self._services.rules.loaded.alerts()
        return success_of({"alerts": [_alert(view) for view in views]}, request)

    async def targets(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/targets."""
        state = request.query.get("state", "").lower() or "any"
        only = request.query.get("scrapePool", "")
        active, dropped = [], []
        relabelled = [
            (pool, labels)
            for pool, labels in self._services.dropped_targets()
            if only in {"", pool}
        ]
        if state in {"any", "active"}:
            active = [
                _target(scraper)
                for scraper in self._services.scrapers.all()
                if only in {"", scraper.target.pool}
            ]
        if state in {"any", "dropped"}:
            dropped = [
                {"discoveredLabels": masked.labels(dict(labels)), "scrapePool": pool}
                for pool, labels in relabelled
            ]
        counts = Counter(pool for pool, _ in relabelled)
        return success_of(
            {
                "activeTargets": active,
                "droppedTargets": dropped,
                "droppedTargetCounts": {
                    job.name: counts.get(job.name, 0)
                    for job, _ in self._services.config.jobs
                    if only in {"", job.name}
                },
            },
            request,
        )

    async def alertmanagers(self, request: web.Request) -> web.StreamResponse:
        """Answer with an empty list: the monitor is its own Alertmanager."""
        return success_of(
            {"activeAlertmanagers": [], "droppedAlertmanagers": []}, request
        )

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        """Answer what is kept for no metric: types and help texts, flags."""
        for name in ("limit", "limit_per_metric"):
            whole(request.query, name)
        return success_of({}, request)

    async def build(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/status/buildinfo with the Prometheus we answer as."""
        return success_of(
            {
                # Grafana reads the version to know which API it may use.
                "version": "3.0.0",
                "revision": f"watchroom-{version('watchroom')}",
                "branch": "watchroom",
                "buildUser": "",
                "buildDate": "",
                "goVersion": f"python{platform.python_version()}",
            },
            request,
        )

    async def config(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/status/config with the file, its secrets masked."""
        return success_of({"yaml": self._services.config.text}, request)

    async def runtime(self, request: web.Request) -> web.StreamResponse:
        """Answer /api/v1/status/runtimeinfo as far as it means something here."""
        services = self._services
        return success_of(
            {
                "startTime": rfc3339(round(services.started * 1000)),
                "CWD": "",
                "reloadConfigSuccess": not services.reloads.problem,
                "lastConfigTime": rfc3339(round(services.reloads.good_at * 1000)),
                "storageRetention": "",
            },
            request,
        )


def _bool(params: MultiMapping[str], name: str) -> bool:
    text = params.get(name, "").lower()
    if text not in {"", "0", "1", "t", "f", "true", "false"}:
        raise BadDataError(f'invalid parameter "{name}": {text!r} is not true or false')
    return text in {"1", "t", "true"}


def _group(view: GroupView, rules: list[RuleView]) -> dict[str, Any]:
    return {
        "name": view.key.name,
        "file": view.key.file,
        "rules": [_rule(rule) for rule in rules],
        "interval": view.interval_seconds,
        "limit": view.limit,
        "evaluationTime": view.evaluation_seconds,
        "lastEvaluation": rfc3339(view.last_evaluation_ms),
    }


def _rule(rule: RuleView) -> dict[str, Any]:
    common: dict[str, Any] = {
        "name": rule.name,
        "query": rule.query,
        "labels": dict(rule.labels),
        "health": rule.health,
        "evaluationTime": rule.evaluation_seconds,
        "lastEvaluation": rfc3339(rule.last_evaluation_ms),
        "type": rule.type,
    }
    if rule.last_error:
        common["lastError"] = rule.last_error
    if rule.type == "recording":
        return common
    return {
        "state": rule.state,
        "duration": rule.duration,
        "keepFiringFor": rule.keep_firing_for,
        "annotations": dict(rule.annotations),
        "alerts": [_alert(alert) for alert in rule.alerts],
        **common,
    }


def _alert(view: AlertView) -> dict[str, Any]:
    body = {
        "labels": dict(view.labels),
        "annotations": dict(view.annotations),
        "state": view.state,
        "activeAt": rfc3339(view.active_at_ms),
        "value": exponential(view.value),
    }
    if view.keep_firing_since_ms is not None:
        body["keepFiringSince"] = rfc3339(view.keep_firing_since_ms)
    return body


def _target(scraper: Scraper) -> dict[str, Any]:
    target = scraper.target
    return {
        "discoveredLabels": masked.labels(dict(target.discovered)),
        "labels": dict(target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": masked.url(target.url),
        "globalUrl": masked.url(target.url),
        "lastError": scraper.last_error,
        "lastScrape": rfc3339(
            round(scraper.last_scrape * 1000) if scraper.last_scrape else None
        ),
        "lastScrapeDuration": scraper.last_seconds,
        "health": scraper.health,
        "scrapeInterval": format_duration(target.interval),
        "scrapeTimeout": format_duration(target.timeout),
    }
