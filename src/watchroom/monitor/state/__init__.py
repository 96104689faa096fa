"""The state directory and the state database."""
