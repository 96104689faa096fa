"""Commands found by Django."""
