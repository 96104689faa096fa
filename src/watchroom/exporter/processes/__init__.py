"""The metrics of the app's processes, folded into one exposition."""
