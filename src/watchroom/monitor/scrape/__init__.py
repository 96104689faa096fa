"""Targets: discovered, scraped, their samples made into series."""
