"""Celery over time: what waits, who works, what fails, how long it takes."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query

ROW = "Celery"

TASKS = (
    Chart(
        title="Tasks by outcome",
        description="Runs a second that succeeded, failed and are tried again.",
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
        title="Failures by task",
        description="At each moment the five tasks with the most failures a second.",
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
        title="Slowest tasks, p95",
        description="At each moment the five tasks with the highest 95th percentile.",
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
        title="Celery queue length",
        description=(
            "Messages that wait for a worker, at the most of each step; "
            "CeleryBacklogHigh fires above $limit_words."
        ),
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
        title="Oldest waiting task",
        description=(
            "How long the first message of each queue has waited; CeleryQueueStuck "
            "fires above $limit_words."
        ),
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
        title="Task workers",
        description="Live worker processes that count; none is CeleryWorkersDown.",
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
        title="Scheduled tasks, overdue",
        description=(
            "How long ago an entry of the schedule should have run and has not; "
            "ScheduledTaskOverdue fires above $limit_words."
        ),
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
