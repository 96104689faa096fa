"""Series of drills that several vitals show, in promtool's notation."""

from __future__ import annotations


def answered(status: str, values: str) -> str:
    """Return requests of the drill that got a status."""
    labels = f'method="GET",route="drill",status="{status}"'
    return f"http_requests_total{{{labels}}} {values}"


def durations(
    metric: str, labels: str, *, quick: int, every: int, total: str, start: int = 0
) -> tuple[str, ...]:
    """Return a histogram whose limit is an edge.

    Args:
        metric: Its name.
        labels: Of all its series.
        quick: How many a scrape stay within the limit.
        every: How many a scrape there are.
        total: Seconds at first and a scrape: ``0+60``.
        start: How many there are at first.
    """
    return (
        f'{metric}_bucket{{{labels},le="$limit_edge"}} {start}+{quick}x$steps',
        f'{metric}_bucket{{{labels},le="+Inf"}} {start}+{every}x$steps',
        f"{metric}_count{{{labels}}} {start}+{every}x$steps",
        f"{metric}_sum{{{labels}}} {total}x$steps",
    )
