"""Sites, certificates and health endpoints, asked from outside the app."""
