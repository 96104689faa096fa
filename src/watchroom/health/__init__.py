"""Whether the app can do its work: checks, and the pages with their results."""
