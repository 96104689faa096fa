"""The page at 3 a.m.: what is wrong, whether to trust that, and what changed."""
