"""A Celery task that can fail on purpose."""

from celery import Task

from faults.switches import FaultError, switches


class FaultyTask(Task):
    """Fails before its work when the fault strikes."""

    def __call__(self, *args, **kwargs):
        if switches.struck("task-failures"):
            raise FaultError("a failure that was asked for")
        return super().__call__(*args, **kwargs)
