"""From the catalogue to files: pure functions, without Django and without I/O."""
