"""The files in which processes keep their metrics, and their directory."""
