"""Incidents: their pages, words and next steps."""
