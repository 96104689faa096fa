"""Which request, or task, the code that runs now belongs to."""
