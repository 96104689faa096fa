"""Celery over time: what waits, who works, what fails, how long it takes."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query
from watchroom.catalogue.prose import beside

TEXTS = beside(__name__)

ROW = "Celery"

TASKS = (
    Chart(
        **TEXTS.chart("Tasks by outcome"),
        row=ROW,
        queries=tuple(
            Query(
                f"sum(rate(celery_task_{outcome}_total{{$targets}}[$rate_interval]))",
                outcome,
            )
            for outcome in ("succeeded", "failed", "retried")
        ),
        unit="ops",
    ),
    Chart(
        **TEXTS.chart("Failures by task"),
        row=ROW,
        queries=(
            Query(
                "topk(5, sum by (name)"
                " (rate(celery_task_failed_total{$targets}[$rate_interval])))",
                "{{name}}",
            ),
        ),
        unit="ops",
    ),
    Chart(
        **TEXTS.chart("Slowest tasks, p95"),
        row=ROW,
        queries=(
            Query(
                "topk(5, histogram_quantile(0.95, sum by (name, le)"
                " (rate(celery_task_runtime_seconds_bucket{$targets}"
                "[$rate_interval]))))",
                "{{name}}",
            ),
        ),
        unit="s",
    ),
)

LENGTH = (
    Chart(
        **TEXTS.chart("Celery queue length"),
        row=ROW,
        queries=(
            Query(
                "max by (queue_name) (max_over_time("
                "celery_queue_length{$targets}[$rate_interval]))",
                "{{queue_name}}",
            ),
        ),
        limit="$limit",
    ),
)

OLDEST = (
    Chart(
        **TEXTS.chart("Oldest waiting task"),
        row=ROW,
        queries=(
            Query(
                "max by (queue_name) (max_over_time("
                "celery_queue_oldest_seconds{$targets}[$rate_interval]))",
                "{{queue_name}}",
            ),
        ),
        unit="s",
        limit="$limit",
    ),
)

WORKERS = (
    Chart(
        **TEXTS.chart("Task workers"),
        row=ROW,
        queries=(
            Query(
                "sum by (instance) (min_over_time("
                'watchroom_processes{$targets,role="worker"}[$rate_interval]))',
                "{{instance}}",
            ),
        ),
        decimals=0,
    ),
)

SCHEDULE = (
    Chart(
        **TEXTS.chart("Overdue scheduled tasks"),
        row=ROW,
        queries=(
            Query(
                "min by (entry) (max_over_time("
                "celery_beat_overdue_seconds{$targets}[$rate_interval]))",
                "{{entry}}",
            ),
        ),
        unit="s",
        limit="$limit",
    ),
)
