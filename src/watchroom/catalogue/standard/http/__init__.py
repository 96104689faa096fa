"""Vitals of web requests."""
