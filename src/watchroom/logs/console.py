"""Writes each record as one line to stdout, and never lets stdout reach the app."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from copy import copy
from typing import Any

from watchroom.catalogue.metrics import LOG_DROPPED
from watchroom.context.trace import current
from watchroom.logs.formatter import Formatter
from watchroom.redact import shapes
from watchroom.redact.walk import REDACTED

# Logger → the logger whose line has the same about a request or a task.
_COVERED_BY = {
    "django.request": logging.getLogger("watchroom.request"),
    "celery.app.trace": logging.getLogger("watchroom.task"),
}


class Console(logging.Handler):
    """The handler that ``watchroom.logging()`` names.

    Written past the text layer, in one system call a line, so that lines of several
    processes do not mix, and that what a full disk refused is not kept to fail again
    at exit.
    """

    def __init__(self, schema: str = "guide", form: str = "") -> None:
        super().__init__()
        self._lines = Formatter(schema)
        self._form = form or os.environ.get("WATCHROOM_LOGS", "")
        self._text: logging.Formatter | None = None
        self._stream: Any = None
        self._fd = -1
        self._torn = False
        self._dropped = 0
        _STANDING.append(self)
        own_apps_to_debug()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless a line of its request or task covers it."""
        try:
            if record.name in _COVERED_BY and self._covered(record):
                return
            if sys.stdout is not self._stream:
                self._adopt(sys.stdout)
            if "request" in record.__dict__:
                record = _routed(record)
            if self._text is None:
                line = self._lines.line(record) + b"\n"
            else:
                line = f"{self._text.format(record)}\n".encode("utf-8", "replace")
            if self._fd < 0 or self._torn:
                self._write(line, 0)
            elif (done := os.write(self._fd, line)) < len(line):
                self._write(line, done)
        except Exception:  # noqa: BLE001 - the app's answer comes first
            self._drop()

    def close(self) -> None:
        """Stop handling the project's logs."""
        if self in _STANDING:
            _STANDING.remove(self)
        super().close()

    def _adopt(self, stream: Any) -> None:
        """Find out where stdout leads, which a test or a server may have changed."""
        fd = _descriptor(stream)
        if fd is None:  # closed, absent, or one that logs what is printed
            stream, fd = sys.__stdout__, _descriptor(sys.__stdout__)
        terminal = fd is not None and fd >= 0 and os.isatty(fd)
        text = self._form == "text" or (terminal and self._form != "json")
        if text:
            from watchroom.logs.readable import ReadableFormatter, coloured

            self._text = ReadableFormatter(
                colours=coloured(os.environ, terminal=terminal)
            )
        else:
            self._text = None
        self._stream, self._fd = sys.stdout, -1 if fd is None else fd
        self._target = stream

    def _write(self, line: bytes, done: int) -> None:
        """Write what is left of a line, or a line to what takes text."""
        if self._fd < 0:
            if self._target is None:
                raise OSError("there is no stdout")
            self._target.write(line.decode())
            self._target.flush()
            return
        if self._torn and not done:  # the last line ended in the middle
            line = b"\n" + line
        try:
            while done < len(line):
                done += os.write(self._fd, line[done:])
        finally:
            self._torn = done < len(line) and (done > 0 or self._torn)

    @staticmethod
    def _covered(record: logging.LogRecord) -> bool:
        """Return whether another line covers it; twice is better than lost."""
        try:
            return _logged_elsewhere(record)
        except Exception:  # noqa: BLE001 - the app's answer comes first
            from watchroom.registry.guard import fault

            fault("logs")
        return False

    def _drop(self) -> None:
        """Count a record that cannot be written; logging that would fail too."""
        from watchroom.registry.process import PROCESS, add

        with suppress(Exception):
            if PROCESS.on:
                add(*PROCESS.cell(LOG_DROPPED, ()), 1.0)


_STANDING: list[Console] = []


def active() -> bool:
    """Return whether the project's logs are written here."""
    return bool(_STANDING)


def own_apps_to_debug() -> None:
    """Have the project's own apps log from DEBUG on; explicit levels come later."""
    from django.conf import settings as django_settings

    from watchroom.logs.apps import own_roots

    if django_settings.configured:
        for root in own_roots(django_settings.INSTALLED_APPS):
            logging.getLogger(root).setLevel(logging.DEBUG)


def _logged_elsewhere(record: logging.LogRecord) -> bool:
    """Return whether a line of its request or task covers it, exception included."""
    if not _COVERED_BY[record.name].isEnabledFor(record.levelno):
        return False
    trace = current()
    if record.name == "django.request":
        # Also after the middleware: then the line is written already.
        logged = getattr(getattr(record, "request", None), "_watchroom_logged", False)
    else:
        data = getattr(record, "data", None)
        logged = (
            trace is not None
            and trace.logged
            and isinstance(data, dict)
            and data.get("id") == trace.task_id
        )
    if logged and record.exc_info:
        if trace is None:  # raised outside the middleware, so the line lacks it
            return False
        trace.exc_info = record.exc_info
    return bool(logged)


def _routed(record: logging.LogRecord) -> logging.LogRecord:
    """Return Django's record of a request, its path replaced by the route."""
    request: Any = record.__dict__["request"]
    path = getattr(request, "path", None)
    if not isinstance(path, str) or len(path) < 2:
        return record
    from watchroom.context import route

    match = request.resolver_match
    pattern = route.of(request.path_info) if match is None else match.route
    written = shapes.path(path, REDACTED) if pattern is None else route.written(pattern)
    if written == path:
        return record
    clean = copy(record)
    clean.msg, clean.args = record.getMessage().replace(path, written), None
    clean.__dict__["request"] = str(request).replace(path, written)
    return clean


def _descriptor(stream: Any) -> int | None:
    """Return a stream's descriptor; -1 when it keeps text; None when it is unusable."""
    if stream is None or getattr(stream, "closed", False):
        return None
    try:
        fd = stream.fileno()
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return -1 if isinstance(stream, io.TextIOBase) else None
    return fd if isinstance(fd, int) else None
