"""What is worth watching, defined once."""
