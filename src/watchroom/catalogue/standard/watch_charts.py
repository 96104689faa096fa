"""The watch over time: processes, sites, and how long reading them takes."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query

PROCESSES = (
    Chart(
        title="Processes",
        description="Live processes of the app by what they do.",
        row="The watch",
        queries=(
            Query(
                "sum by (role) (min_over_time("
                "watchroom_processes{$targets}[$rate_interval]))",
                "{{role}}",
            ),
        ),
        decimals=0,
    ),
)

SITES = (
    Chart(
        title="Public sites, time to answer",
        description=(
            "How long a visitor waits for the public URLs, probed at each scrape."
        ),
        row="The watch",
        queries=(
            Query(
                "max by (instance)"
                " (max_over_time(probe_duration_seconds{$targets}[$rate_interval]))",
                "{{instance}}",
            ),
        ),
        unit="s",
    ),
)

TARGETS = (
    Chart(
        title="Time to read a target",
        description="How long scrapes take; near the interval, samples are lost.",
        row="The watch",
        queries=(
            Query(
                "max by (job, instance)"
                " (max_over_time(scrape_duration_seconds{$targets}[$rate_interval]))",
                "{{job}} {{instance}}",
            ),
        ),
        unit="s",
    ),
)
