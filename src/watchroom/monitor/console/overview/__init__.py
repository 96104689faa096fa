"""The first page: verdict, tiles, what changed."""
