"""The metrics of this process: cells, roles, and what a project declares."""
