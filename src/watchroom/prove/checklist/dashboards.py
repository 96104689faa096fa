"""The dashboards: built, their queries return data, and people can open them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.formats import grafana
from watchroom.formats.reading import text_of
from watchroom.prove import client
from watchroom.prove.checklist.world import Finding, green, named, red, unclear
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from watchroom.formats.grafana import Dashboard
    from watchroom.prove.checklist.world import World

_AT_ONCE = 4
_NAME = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


def dashboards(world: World) -> Finding:
    """Every panel's query is answered; the monitor or Grafana draws them."""
    folder = world.built.directory / "grafana"
    paths = sorted(folder.glob("*.json"))
    if not paths:
        return red(f"{folder} has no dashboards", world.command("build"))
    built: list[Dashboard] = []
    for path in paths:
        try:
            built.append(grafana.load(text_of(path), str(path)))
        except ConfigError as error:
            return red(str(error), f"build again: {world.command('build')}")
    panels = {
        expr: f"{dashboard.title} / {title}"
        for dashboard in built
        for title, expr in _queries(world, dashboard)
    }
    total, failing, drawn = len(panels), [], 0
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="panels") as pool:
        for summary, where in zip(
            pool.map(lambda expr: _answer(world, expr), panels),
            panels.values(),
            strict=True,
        ):
            drawn += summary is True
            if isinstance(summary, str):
                failing.append(f"{where}: {summary}")
    if failing:
        return red(
            f"{len(failing)} of {total} queries fail: {failing[0]}",
            "build and reload; one of your own dashboards may use a metric "
            "that doesn't exist",
        )
    if not drawn:
        return red(
            f"{total} queries are answered, but none returns data",
            "check that the app's exporter is scraped",
        )
    summary = f"{len(built)} dashboards, {total} queries answered, {drawn} with data"
    return _shown(world, built, summary)


def _answer(world: World, expr: str) -> bool | str:
    try:
        return bool(world.query(expr))
    except client.PeerError as error:
        return str(error)


def _shown(world: World, built: list[Dashboard], summary: str) -> Finding:
    if world.grafana:
        token = world.environ.get("GRAFANA_TOKEN", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        missing = []
        for dashboard in built:
            url = f"{world.grafana}/api/dashboards/uid/{dashboard.uid}"
            answer = client.fetch(url, headers=headers)
            if answer.status in {401, 403}:
                return unclear(
                    f"{summary}; {world.grafana} needs a token",
                    "set GRAFANA_TOKEN to a token that may read dashboards",
                )
            if answer.status != 200:
                missing.append(dashboard.title)
        if missing:
            return red(
                f"{summary}; missing from {world.grafana}: {named(missing)}",
                f"import {world.built.directory}/grafana/*.json into Grafana",
            )
        return green(f"{summary}; all of them are in {world.grafana}")
    if world.chain.embedded:
        return green(f"{summary}; shown by {world.chain.prometheus}")
    return unclear(
        f"{summary}; whether Grafana has them was not checked",
        "with GRAFANA_TOKEN set: " + world.command("check", "--grafana", "URL"),
    )


def _queries(world: World, dashboard: Dashboard) -> list[tuple[str, str]]:
    """Return (panel, query) with each variable at All."""
    interval = parse_duration(world.built.manifest.inputs.interval)
    values = {
        "__rate_interval": format_duration(max(4 * interval, 60.0)),
        "__interval": format_duration(max(interval, 15.0)),
        "__range": "1h",
    }
    for variable in dashboard.templating.entries:
        current = variable.current.get("value", "")
        chosen = current[0] if isinstance(current, list) and current else current
        everything = variable.allValue or ".+"
        chose_all = chosen in {"", "$__all"}
        values[variable.name] = everything if chose_all else str(chosen)

    def filled(expr: str) -> str:
        return _NAME.sub(lambda m: values.get(m[1] or m[2], m[0]), expr)

    return [
        (panel.title, filled(target.expr))
        for panel in dashboard.panels
        for target in panel.targets
        if target.expr and not target.hide
    ]
