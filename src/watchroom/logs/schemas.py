"""What fields are called: a schema is names, nothing else.

Records are built from the names on the left; a schema maps them to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Schema(NamedTuple):
    """The names of one back end.

    Attributes:
        name: As passed to ``watchroom.logging``.
        names: By our name; a field that has none here keeps ours.
        units: Where the back end counts in another unit: what to make of the value.
        constants: Fields that every line has.
        others: The object that takes fields of the project's own, or an empty text
            when they stand beside ours.
        service: Whether each line names its project, environment and release.
    """

    name: str
    names: Mapping[str, str]
    units: Mapping[str, Callable[[Any], Any]] = {}
    constants: Mapping[str, str] = {}
    others: str = ""
    service: bool = False


def _nanoseconds(milliseconds: float) -> int:
    return round(milliseconds * 1e6)


GUIDE = Schema(
    "guide",
    {
        "time": "asctime",
        "logger": "name",
        "level": "levelname",
        "error_stack": "exc_info",
        "stack": "stack_info",
    },
)
ECS = Schema(
    "ecs",
    {
        "time": "@timestamp",
        "logger": "log.logger",
        "level": "log.level",
        "request_id": "http.request.id",
        "trace_id": "trace.id",
        "method": "http.request.method",
        "status": "http.response.status_code",
        "route": "http.route",
        "path": "url.path",
        "duration_ms": "event.duration",
        "user_id": "user.id",
        "error_type": "error.type",
        "error_message": "error.message",
        "error_stack": "error.stack_trace",
        "stack": "log.origin.stack_trace",
        "db_count": "watchroom.db.count",
        "db_ms": "watchroom.db.ms",
        "cache_hits": "watchroom.cache.hits",
        "cache_misses": "watchroom.cache.misses",
        "task_id": "watchroom.task.id",
        "task_name": "watchroom.task.name",
        "task_state": "watchroom.task.state",
        "task_retries": "watchroom.task.retries",
        "queue": "watchroom.task.queue",
        "project": "service.name",
        "environment": "service.environment",
        "release": "service.version",
    },
    units={"duration_ms": _nanoseconds},
    constants={"ecs.version": "8.11.0"},
    others="labels",
    service=True,
)
SCHEMAS = {schema.name: schema for schema in (GUIDE, ECS)}

# What any line may carry of ours; a project's field of that name gets another.
OWN = frozenset(
    (
        *("time", "logger", "level", "message", "stack", "log_error"),
        *("request_id", "trace_id", "task_id"),
        *("error_type", "error_message", "error_stack"),
    )
)
# The attribute of a record under which a line of watchroom's own has its fields.
LINE = "watchroom"
