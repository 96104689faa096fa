"""Notifications to receivers: sent, retried, recorded."""
