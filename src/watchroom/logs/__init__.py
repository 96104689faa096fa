"""The project's logs: one line of JSON a record, one line a request."""
