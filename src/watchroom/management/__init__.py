"""`manage.py watchroom …`."""
