"""Whether the app can do its work: checks, and who is told what they found."""
