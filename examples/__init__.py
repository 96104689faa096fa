"""A project to watch, and the demo that watches it."""
