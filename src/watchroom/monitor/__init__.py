"""The embedded monitor: scrape, store, evaluate, page, show; files in, HTTP out."""
