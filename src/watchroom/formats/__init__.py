"""File and wire formats: each module reads and writes one. Import the module you need."""
