"""How each item of the checklist is verified: one module per thing that is asked."""
