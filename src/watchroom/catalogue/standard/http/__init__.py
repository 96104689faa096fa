"""Vitals of web requests."""

FAILED = 'status=~"5..|lost"'
"""The matcher of requests that failed, or were lost with their process."""
