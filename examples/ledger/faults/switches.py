"""Faults on purpose, for demos and drills. A fault is data; other modules act on it.

The switches are one small file in the data directory, so a change reaches every
worker within its next request: each looks at the file's stat (about 3 µs) and reads
the file only when that has changed.
"""

import json
import logging
import random
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from django.conf import settings


class Fault(NamedTuple):
    """What can be made to go wrong, and how it goes wrong unless told otherwise."""

    name: str
    does: str
    share: float = 1.0
    seconds: float | None = None
    connections: int | None = None


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("errors", "requests raise an exception and answer 500", share=0.3),
        Fault("slow-responses", "requests wait before they answer", seconds=3.0),
        Fault("slow-queries", "requests run one more query, a slow one", seconds=1.5),
        Fault("cache-misses", "what the cache holds is forgotten before it is read"),
        Fault("task-failures", "Celery tasks raise an exception"),
        Fault(
            "held-connections",
            "every process holds database connections, idle in a transaction",
            connections=10,
        ),
    )
}


class Setting(NamedTuple):
    """How much of a fault is switched on."""

    share: float
    seconds: float | None
    connections: int | None

    def __str__(self):
        parts = [f"{self.share * 100:g}%"] if self.connections is None else []
        parts += [f"{self.seconds:g}s"] if self.seconds is not None else []
        parts += [str(self.connections)] if self.connections is not None else []
        return " ".join(parts)


class FaultError(Exception):
    """The failure that was asked for."""


class BadSettingError(ValueError):
    """A fault that does not exist, or an amount nobody can make sense of."""


class Brief(logging.Filter):
    """Drops the traceback of failures that were asked for."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], FaultError):
            record.exc_info = None
        return True


def parse(name: str, text: str) -> Setting:
    """Read an amount such as "30%", "2s", "10% 2s", "5" or "on".

    Raises:
        BadSettingError: The fault is unknown or the amount does not fit it.
    """
    fault = FAULTS.get(name)
    if fault is None:
        raise BadSettingError(f"there is no fault {name!r}, only {', '.join(FAULTS)}")
    setting = Setting(fault.share, fault.seconds, fault.connections)
    for word in [] if text == "on" else text.split():
        match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?)(%|s|)", word)
        if not match:
            raise BadSettingError(f"{name}: {word!r} is not like 30%, 2s, 5 or on")
        number, unit = float(match[1]), match[2]
        if unit == "%" and fault.connections is None and number <= 100:
            setting = setting._replace(share=number / 100)
        elif unit == "s" and fault.seconds is not None and number <= 25:
            setting = setting._replace(seconds=number)
        elif not unit and fault.connections is not None and number <= 500:
            setting = setting._replace(connections=int(number))
        else:
            raise BadSettingError(f"{name}: {word!r} does not fit")
    return setting


class Switches:
    """The switches as the file has them now."""

    def __init__(self, path: Path):
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._settings: dict[str, Setting] = {}

    def current(self) -> dict[str, Setting]:
        """Return the faults that are on."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._settings = None, {}
            return self._settings
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen != self._seen:
            stored = json.loads(self.path.read_bytes())
            self._settings = {name: Setting(*values) for name, values in stored.items()}
            self._seen = seen
        return self._settings

    def change(self, changes: dict[str, str]) -> dict[str, Setting]:
        """Switch faults on ("30%") or off ("off"), the others stay as they are.

        Raises:
            BadSettingError: One of them makes no sense; then nothing was changed.
        """
        wanted = dict(self.current())
        for name, text in changes.items():
            setting = parse(name, "on" if text == "off" else text)
            if text == "off":
                wanted.pop(name, None)
            else:
                wanted[name] = setting
        self._write(wanted)
        return wanted

    def clear(self) -> None:
        """Switch everything off."""
        self.path.unlink(missing_ok=True)

    def struck(self, name: str) -> Setting | None:
        """Return a fault's setting if it is on and this time is one of its share."""
        setting = self.current().get(name)
        if setting is None or random.random() >= setting.share:
            return None
        return setting

    def _write(self, wanted: dict[str, Setting]) -> None:
        with tempfile.NamedTemporaryFile(
            "w", dir=self.path.parent, delete=False
        ) as file:
            json.dump(wanted, file)
        Path(file.name).replace(self.path)


switches = Switches(settings.DATA_DIR / "faults.json")
