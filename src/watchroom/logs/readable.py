"""A record as people read it on a terminal: one line, and a traceback below it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from watchroom.logs.formatter import Formatter

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLOURS = {
    "DEBUG": "2",
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "1;31",
}
_SHOWN = ("asctime", "name", "levelname", "message")
_BLOCKS = ("exc_info", "stack_info")
# The traceback has them, or they are of no use on one machine.
_LEFT_OUT = frozenset((*_SHOWN, *_BLOCKS, "error_type", "error_message", "trace_id"))


def coloured(env: Mapping[str, str], *, terminal: bool) -> bool:
    """Return whether to colour: NO_COLOR and FORCE_COLOR decide, else the terminal."""
    if env.get("NO_COLOR"):
        return False
    return bool(env.get("FORCE_COLOR")) or (terminal and env.get("TERM") != "dumb")


class ReadableFormatter(logging.Formatter):
    """Makes text of records.

    Attributes:
        colours: Whether to use the terminal's colours.
    """

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self.colours = colours
        self._formatter = Formatter("guide")

    def format(self, record: logging.LogRecord) -> str:
        """Return the text; nothing in a record can end a line or move the cursor."""
        fields = self._formatter.fields(record)
        time = fields["asctime"][11:23]
        level = _printable(fields["levelname"])
        parts = [
            self._in(time, "2"),
            self._in(f"{level:<8}", _COLOURS.get(level, "1")),
            self._in(_printable(fields["name"]), "36"),
            _printable(fields["message"]),
            *(
                self._in(f"{_printable(key)}={_printable(value)}", "2")
                for key, value in fields.items()
                if key not in _LEFT_OUT
            ),
        ]
        lines = [" ".join(parts)]
        for name in _BLOCKS:
            lines += (
                f"    {_printable(text)}" for text in fields.get(name, "").split("\n")
            )
        return "\n".join(line for line in lines if line.strip())

    def _in(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours else text


def _printable(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )
