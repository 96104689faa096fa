"""Vitals of Celery: tasks, queues, schedule."""
