"""The cache over time: the share of reads it answers, and how many there are."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query

HITS = (
    Chart(
        title="Cache hit rate",
        description=(
            "The share of the keys asked for that were there, at the worst of "
            "each step; CacheHitRateLow fires below $limit_words."
        ),
        row="Cache",
        queries=(
            Query(
                "min by (alias) (min_over_time(job_alias:cache_hits:ratio_rate"
                "$window{$jobs}[$rate_interval]))",
                "{{alias}}",
            ),
        ),
        unit="percentunit",
        limit="$limit",
        bad="below",
    ),
    Chart(
        title="Cache reads",
        description="Keys asked for a second, found and missed.",
        row="Cache",
        queries=(
            Query(
                "sum by (alias, result)"
                " (rate(cache_gets_total{$targets}[$rate_interval]))",
                "{{alias}} {{result}}",
            ),
        ),
        unit="ops",
        stacked=True,
    ),
)
