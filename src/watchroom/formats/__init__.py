"""File and wire formats: each module reads and writes one."""
