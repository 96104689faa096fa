"""Rule groups: evaluated, their alerts' states kept."""
