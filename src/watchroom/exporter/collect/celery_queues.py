"""The queues that a Celery app is configured with, and what waits in them.

Configured, not consumed: an exporter that learns queues from workers knows none when
all workers are dead. Lengths come from kombu's passive declare, which every transport
has. The age of the oldest message needs a look at it without taking it: possible in
Redis' lists and in a folder; elsewhere there is no age rather than a wrong one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# As `watchroom.instrument.celery` writes it.
PUBLISHED = "watchroom_published"
MOST_QUEUES = 500


class QueueState(NamedTuple):
    """What waits in a queue.

    Attributes:
        length: Messages.
        oldest: Age of the oldest in seconds, 0 when none waits; None when this
            transport cannot be looked into.
    """

    length: int
    oldest: float | None


def configured(app: Any, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of all queues that the app's configuration names.

    Args:
        app: A Celery app, its tasks loaded.
        more: Names that only the project knows, such as those of dynamic routes.
    """
    names: dict[str, None] = {}
    for name in (*_configured_names(app), *more):
        if name and len(names) < MOST_QUEUES:
            names.setdefault(str(name))
    return tuple(names)


def _configured_names(app: Any) -> Iterator[Any]:
    conf = app.conf
    for queue in conf.task_queues or ():
        yield getattr(queue, "name", queue)
    yield conf.task_default_queue
    yield from _of_routes(conf.task_routes)
    for name, task in app.tasks.items():
        if name.startswith("celery."):
            continue
        yield _queue_of({"queue": getattr(task, "queue", None)})
        # A router that is a function, asked as for a call without arguments.
        with suppress(Exception):
            route = app.amqp.router.route({}, name, (), {}, task_type=task)
            yield _queue_of(route)
    for entry in (conf.beat_schedule or {}).values():
        options = entry.get("options") if isinstance(entry, dict) else entry.options
        yield _queue_of(options or {})


def _of_routes(routes: Any) -> Iterator[Any]:
    if isinstance(routes, dict):
        for target in routes.values():
            yield _queue_of({"queue": target} if isinstance(target, str) else target)
    elif isinstance(routes, list | tuple):
        if len(routes) == 2 and isinstance(routes[0], str):
            yield from _of_routes({routes[0]: routes[1]})
            return
        for each in routes:
            yield from _of_routes(each)


def _queue_of(options: Any) -> Any:
    queue = options.get("queue") if isinstance(options, dict) else None
    return getattr(queue, "name", queue)


class Broker:
    """Asks a broker what waits; a connection per question, since brokers restart.

    Args:
        app: Whose broker.
        queues: Which queues.
        now: Epoch seconds.
        more: Names that are known only later, such as those in a schedule's database.
    """

    def __init__(
        self,
        app: Any,
        queues: Iterable[str],
        now: Callable[[], float] = time.time,
        more: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._app = app
        self._queues = tuple(queues)
        self._more = more
        self._now = now
        self._last_logged = ""
        # Who stands first in a list and does not say since when: first seen.
        self._seen: dict[str, tuple[str, float]] = {}

    def ask(self) -> dict[str, QueueState] | None:
        """Return what waits by queue, or None when the broker can't be reached."""
        connection = self._app.connection_for_read()
        try:
            # connect() would try for two seconds; the next question comes soon.
            connection.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0
            )
            queues = dict.fromkeys((*self._queues, *self._more()))
            waiting = {
                queue: self._queue_state(connection, queue)
                for queue in list(queues)[:MOST_QUEUES]
            }
        except Exception as error:  # noqa: BLE001 - each transport has its own errors
            # Without its text: some have the password in it.
            self._log_once(f"can't reach {connection.as_uri()}: {type(error).__name__}")
            return None
        finally:
            with suppress(Exception):
                connection.release()
        self._log_once("")
        return waiting

    def _queue_state(self, connection: Any, queue: str) -> QueueState:
        errors = connection.channel_errors
        channel = connection.channel()
        try:
            length = int(channel.queue_declare(queue, passive=True).message_count)
            since = self._since(connection, channel, queue) if length else None
        except errors as error:
            if getattr(error, "reply_code", None) != 404 and "404" not in str(error):
                raise
            # Nobody has declared it yet, so nothing waits; but kombu looks for Redis'
            # lists without their global_keyprefix, and finds none ever.
            size = getattr(channel, "_size", None)
            length = int(size(queue)) if size is not None else 0
            since = self._since(connection, channel, queue) if length else None
        finally:
            with suppress(Exception):
                channel.close()
        if not length:
            self._seen = {k: v for k, v in self._seen.items() if _queue(k) != queue}
            return QueueState(0, 0.0 if _peeker(connection) else None)
        age = None if since is None else max(0.0, self._now() - since)
        return QueueState(length, age)

    def _since(self, connection: Any, channel: Any, queue: str) -> float | None:
        peek = _peeker(connection)
        if peek is None:
            return None
        times = []
        for key, message in peek(channel, queue):
            if isinstance(message, float):
                times.append(message)
                continue
            with suppress(ValueError, TypeError, AttributeError):
                times.append(self._published(key, json.loads(message)))
        return min(times, default=None)

    def _published(self, key: str, message: Mapping[str, Any]) -> float:
        stamp = (message.get("headers") or {}).get(PUBLISHED)
        if isinstance(stamp, int | float):
            return float(stamp)
        # Published by a process without watchroom: it waits at least since it was
        # first seen at the head.
        tag = str((message.get("properties") or {}).get("delivery_tag"))
        if self._seen.get(key, ("", 0.0))[0] != tag:
            self._seen[key] = (tag, self._now())
        return self._seen[key][1]

    def _log_once(self, text: str) -> None:
        if text != self._last_logged:
            sys.stderr.write(f"{text or 'the broker answers again'}\n")
        self._last_logged = text


def _queue(key: str) -> str:
    return key.partition("\x06")[0]


def _peeker(connection: Any) -> Callable[[Any, str], Iterator[tuple[str, Any]]] | None:
    kind = connection.transport.driver_type
    return {"redis": _redis_heads, "filesystem": _oldest_file}.get(kind)


def _redis_heads(channel: Any, queue: str) -> Iterator[tuple[str, Any]]:
    """Yield the message that is next of each priority's list."""
    prefix = getattr(channel, "global_keyprefix", "") or ""
    with channel.conn_or_acquire() as client:
        if "LINDEX" in getattr(client, "PREFIXED_SIMPLE_COMMANDS", ()):
            prefix = ""
        for priority in channel.priority_steps:
            key = channel._q_for_pri(queue, priority)  # noqa: SLF001 - kombu has no other name for it
            message = client.lindex(f"{prefix}{key}", -1)
            if message is not None:
                yield key, message


def _oldest_file(channel: Any, queue: str) -> Iterator[tuple[str, Any]]:
    oldest = None
    with os.scandir(channel.data_folder_in) as entries:
        for entry in entries:
            if entry.name.partition(".")[2] != f"{queue}.msg":
                continue
            with suppress(FileNotFoundError):  # taken meanwhile
                put = entry.stat().st_mtime
                oldest = put if oldest is None else min(oldest, put)
    if oldest is not None:
        yield queue, oldest
