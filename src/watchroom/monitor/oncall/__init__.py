"""On call: incidents, acknowledgement, escalation, deployments."""
