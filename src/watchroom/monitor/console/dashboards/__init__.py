"""Dashboards: pages, charts, time ranges, variables."""
