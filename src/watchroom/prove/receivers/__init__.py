"""Receivers: which ones labels reach, and a message to each."""
