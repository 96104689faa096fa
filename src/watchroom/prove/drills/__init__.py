"""Drills: a fault injected, and its page followed to the receiver."""
