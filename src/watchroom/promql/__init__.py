"""PromQL: parsed by promql-parser, evaluated in NumPy, with Prometheus 3 semantics."""
