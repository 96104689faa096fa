"""The launch checklist, verified against the live system."""
