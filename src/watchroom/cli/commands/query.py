"""`watchroom query EXPR`: a PromQL query to a monitor or a Prometheus."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlencode

import click

from watchroom.cli.ask import Monitor


@click.command()
@click.argument("expr")
@click.option(
    "--url", metavar="URL", help="The server's URL. Default: http://127.0.0.1:9700."
)
@click.option(
    "--time",
    "at",
    metavar="TIME",
    help="Evaluation time, as epoch seconds or RFC 3339. Default: now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the raw response.")
def query(expr: str, url: str | None, at: str | None, *, as_json: bool) -> None:
    """Run a PromQL query on a monitor or a Prometheus.

    \b
    Examples:
      watchroom query 'sum by (route) (rate(http_requests_total[5m]))'
      watchroom query up --url http://prometheus:9090 --json

    Exit codes: 0 success, 1 the query was refused, 2 the server can't be reached.
    """  # noqa: D301 - click reads \b as the control character
    monitor = Monitor(None, url)
    params = {"query": expr} | ({"time": at} if at else {})
    answer = monitor.raw(f"/api/v1/query?{urlencode(params)}")
    if as_json:
        click.echo(answer.body)
        sys.exit(0 if answer.ok else 1)
    body: dict[str, Any] = monitor.json(answer)
    for line in lines(body["data"]):
        click.echo(line)


def lines(data: dict[str, Any]) -> list[str]:
    """Return the answer for people: one line a series, values first."""
    if data["resultType"] in {"scalar", "string"}:
        return [data["result"][1]]
    if not data["result"]:
        return ["(no series)"]
    rows = []
    for series in data["result"]:
        points = series.get("values") or [series["value"]]
        name = _series(series["metric"])
        rows += [(point[1], name, point[0]) for point in points]
    width = max(len(value) for value, _, _ in rows)
    many = data["resultType"] == "matrix"
    return [
        f"{value:>{width}}  {name}" + (f"  @{at}" if many else "")
        for value, name, at in rows
    ]


def _series(metric: dict[str, str]) -> str:
    inner = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in sorted(metric.items())
        if name != "__name__"
    )
    name = metric.get("__name__", "")
    return f"{name}{{{inner}}}" if inner else name or "{}"
