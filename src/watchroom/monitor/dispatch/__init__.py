"""Alerts in groups, each with its timers: what is notified and when."""
