"""What is counted, and where Django is asked for it."""
