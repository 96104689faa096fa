"""The HTTP API: Prometheus' v1, Alertmanager's v2, and the monitor's own pages."""
