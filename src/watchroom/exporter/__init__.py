"""The exporter: one process that serves an app's metrics, probes and drills."""

from __future__ import annotations


def version() -> str:
    """Return the installed version of watchroom."""
    from importlib.metadata import version as installed

    return installed("watchroom")
