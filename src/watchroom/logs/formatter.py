"""One record, one line of JSON: whatever is in the record, and without its secrets.

Two ways. The quick one hands what it finds to the encoder and looks at the line for
anything that may be a secret; nine lines of ten end there. The careful one walks
through every value, cuts, redacts and replaces; it takes what the quick one refuses.
"""

from __future__ import annotations

import json
import logging
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from watchroom.context.trace import current
from watchroom.logs.schemas import LINE, OWN, SCHEMAS
from watchroom.redact import Redactor
from watchroom.redact.walk import (
    LEAST_CARD,
    REDACTED,
    Limits,
    clip,
    safe_text,
    speakable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchroom.context.trace import TraceContext
    from watchroom.logs.schemas import Schema

MAX_LINE = 65536
MAX_MESSAGE = 16384
MAX_STACK = 32768
_SCALARS = frozenset((str, int, float, bool, type(None)))
_BARE = vars(logging.LogRecord("", 0, "", 0, "", None, None))
# What a logger's `extra` adds comes after these; `message` and `asctime` other
# formatters leave behind.
_STANDARD = frozenset((*_BARE, "message", "asctime", "taskName"))
_FIRST_EXTRA = len(_BARE)
_KNOWN_SHAPES = 512


def encoder() -> Callable[[Any], bytes]:
    """Return orjson's encoder when it is installed, or one of the standard library."""
    try:
        from orjson import dumps
    except ImportError:
        encode = json.JSONEncoder(
            ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode
        return lambda value: encode(value).encode()
    return dumps


class Formatter(logging.Formatter):
    """Makes lines of one schema.

    Attributes:
        schema: What fields are called.
    """

    def __init__(self, schema: str = "guide") -> None:
        super().__init__()
        self.schema: Schema = SCHEMAS[schema]
        self._dumps = encoder()
        names = self.schema.names
        self._time, self._logger, self._level, self._message = (
            names.get(field, field) for field in ("time", "logger", "level", "message")
        )
        self._second = (0, "")
        self._redactor: Redactor | None = None
        # Which extras, in which order, go out under their own names.
        self._shapes: set[tuple[str, ...]] = set()
        self._reserved = frozenset(names.get(field, field) for field in OWN)
        self._constants: dict[str, str] = dict(self.schema.constants)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        return self.line(record).decode()

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the line as UTF-8, without its end; never raises an Exception."""
        if not record.exc_info and not record.stack_info:
            try:
                line = self._quick(record)
            except Exception:  # noqa: BLE001 - the careful way takes anything
                line = None
            if line is not None:
                return line
        try:
            return self._dumps(self.fields(record))
        except Exception as error:  # noqa: BLE001 - a record is never lost
            return self._last_resort(record, error)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the line's fields, by the schema's names; plain and without secrets.

        Shape: one flat dict, but for values of the project's own.
        """
        names, redactor = self.schema.names, self.redactor()
        line: dict[str, Any] = {
            self._time: self.time(record.created),
            self._logger: redactor.plain(record.name),
            self._level: redactor.plain(record.levelname),
            self._message: self._text(redactor, _message(record), MAX_MESSAGE),
            **self._constants,
        }
        extras = {
            key: value
            for key, value in list(record.__dict__.items())
            if key not in _STANDARD
        }
        plain = redactor.plain(extras, Limits(chars=MAX_LINE))
        for key, value in plain.items():
            if key == LINE:
                self._own(line, value)
            else:
                self._other(line, key, value)
        if record.exc_info:
            for field, text in _error(record).items():
                line[names.get(field, field)] = self._text(redactor, text, MAX_STACK)
        if record.stack_info:
            stack = safe_text(record.stack_info)
            line[names.get("stack", "stack")] = self._text(redactor, stack, MAX_STACK)
        trace = current()
        if trace is not None:
            for field, value in _ids(trace).items():
                line[names.get(field, field)] = value
        return line

    def redactor(self) -> Redactor:
        """Return what knows the project's secrets, once its settings can be read."""
        if self._redactor is None:
            from watchroom.conf import redaction

            loaded = redaction.redactor()
            if loaded is None:  # a line while the settings are still being read
                return Redactor()
            self._redactor = loaded
            if self.schema.service:
                names = self.schema.names
                for field, value in redaction.service().items():
                    self._constants[names.get(field, field)] = value
        return self._redactor

    def time(self, created: float) -> str:
        """Return a moment in UTC as RFC 3339 has it, to the microsecond."""
        second = int(created)
        known = self._second
        if known[0] != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            known = self._second = (second, text)
        return f"{known[1]}.{int((created - second) * 1e6):06d}Z"

    def _quick(self, record: logging.LogRecord) -> bytes | None:
        redactor = self._redactor or self.redactor()
        message = record.getMessage() if record.args else record.msg
        if type(message) is not str:
            message = str(message)
        line: dict[str, Any] = {
            self._time: self.time(record.created),
            self._logger: record.name,
            self._level: record.levelname,
            self._message: message,
        }
        if self._constants:
            line.update(self._constants)
        strings = [message]
        extra = dict(islice(record.__dict__.items(), _FIRST_EXTRA, None))
        if extra:
            if tuple(extra) in self._shapes and _SCALARS.issuperset(
                map(type, extra.values())
            ):
                line.update(extra)
            else:
                self._extras(line, extra)
            strings += _texts(extra.values())
            own = extra.get(LINE)
            if type(own) is dict:
                strings += [text for text in own.values() if type(text) is str]
        # The other way cuts first: to search ten megabytes for secrets takes seconds.
        if sum(map(len, strings)) > MAX_LINE or redactor.suspects_any(strings):
            return None
        raw = self._dumps(line)
        if len(raw) > MAX_LINE:
            return None
        trace = current()
        if trace is not None:
            raw = raw[:-1] + self._tail(trace)
        return raw

    def _extras(self, line: dict[str, Any], extra: dict[str, Any]) -> None:
        """Write what a record brings along; remember it if it needs no second look."""
        redactor, plain = self.redactor(), not self.schema.others
        for key, value in extra.items():
            if key == LINE and type(value) is dict:
                self._own(line, value)
                plain = False
            elif key not in _STANDARD:
                scalar = type(value) in _SCALARS
                self._other(line, key, value if scalar else redactor.plain(value))
                plain = plain and not redactor.secret(key) and key not in self._reserved
            else:
                plain = False
        if plain and len(self._shapes) < _KNOWN_SHAPES:
            self._shapes.add(tuple(extra))

    def _own(self, line: dict[str, Any], fields: Any) -> None:
        names, units = self.schema.names, self.schema.units
        for field, value in fields.items():
            unit = units.get(field)
            line[names.get(field, field)] = value if unit is None else unit(value)

    def _other(self, line: dict[str, Any], key: str, value: Any) -> None:
        """Write a field of the project's own; what is ours stays ours."""
        if self.redactor().hides(key, value):
            value = REDACTED
        others = self.schema.others
        if others:
            if type(value) not in _SCALARS:
                value = json.dumps(value, ensure_ascii=False)
            line.setdefault(others, {})[key] = value
            return
        line[f"extra_{key}" if key in self._reserved else key] = value

    def _tail(self, trace: TraceContext) -> bytes:
        """Return the end of each line of a trace, encoded once."""
        tail = trace.tail
        if tail is None or tail[0] != self.schema.name:
            names = self.schema.names
            ids = {
                names.get(field, field): value for field, value in _ids(trace).items()
            }
            tail = trace.tail = (self.schema.name, b"," + self._dumps(ids)[1:])
        return tail[1]

    @staticmethod
    def _text(redactor: Redactor, text: str, most: int) -> str:
        return speakable(redactor.text(clip(text, most)))

    def _last_resort(self, record: logging.LogRecord, error: Exception) -> bytes:
        from watchroom.registry.process import PROCESS

        if PROCESS.on:
            PROCESS.failed("logs")
        line = {
            self._time: self.time(record.created),
            self._logger: str(record.name)[:256],
            self._level: str(record.levelname)[:64],
            # Its arguments are left out: one of them is the reason.
            self._message: Redactor().text(clip(safe_text(record.msg), 4096)),
            "log_error": type(error).__name__,
        }
        return json.dumps(line).encode()


def _texts(values: Iterable[object]) -> list[str]:
    """Return the texts among scalars, and the numbers that may be a card's."""
    return [
        value if type(value) is str else f"{value:.0f}"
        for value in values
        if type(value) is str
        or ((type(value) is int or type(value) is float) and value >= LEAST_CARD)
    ]


def _ids(trace: TraceContext) -> dict[str, str]:
    ids = {"request_id": trace.request_id, "trace_id": trace.trace_id}
    if trace.task_id:
        ids["task_id"] = trace.task_id
    return ids


def _message(record: logging.LogRecord) -> str:
    try:
        return str(record.getMessage())
    except Exception:  # noqa: BLE001 - arguments that do not fit, or cannot be told
        return f"{safe_text(record.msg)} % {_arguments(record.args)}"


def _arguments(args: object) -> str:
    values = args if isinstance(args, tuple) else (args,)
    return "(" + ", ".join(clip(safe_text(arg), 1024) for arg in values[:20]) + ")"


def _error(record: logging.LogRecord) -> dict[str, str]:
    import traceback

    exc_info: Any = record.exc_info
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        return {}
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in {"builtins", "__main__"}:
        name = f"{kind.__module__}.{name}"
    fields = {"error_type": name, "error_message": safe_text(error)}
    try:
        lines = traceback.format_exception(kind, error, error.__traceback__)
    except Exception:  # noqa: BLE001 - an exception that cannot be told
        lines = traceback.format_tb(error.__traceback__)
    return {**fields, "error_stack": "".join(lines).rstrip("\n")}
