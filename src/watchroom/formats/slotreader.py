"""The reading side of the process file; `slots` has the layout.

A module of its own, because the app's processes only write and pay for every import.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import FormatError
from watchroom.formats.slots import (
    FORMAT,
    KEYS,
    MAGIC,
    METRIC,
    RECORD,
    SEGMENT,
    SEGMENT_WORDS,
    SERIES,
    Definition,
)

if TYPE_CHECKING:
    from pathlib import Path

    from watchroom.formats.slots import View

_UNPACK = struct.Struct(f"@{SEGMENT_WORDS}d").unpack


class Row(NamedTuple):
    """One series of a file.

    Attributes:
        definition: Its metric.
        values: Its label values.
        at: Where its slots begin in the list that `Reader.read` returns.
    """

    definition: Definition
    values: tuple[str, ...]
    at: int


class Reader:
    """Another process' file, mapped read-only and parsed as it grows.

    Args:
        path: The file.

    Attributes:
        name: Its file name.
        role: ``web``, ``worker`` or ``command``.
        pid: Its process, as that process sees itself.
        namespace: The namespace of that pid; 0 when not known.
        release: Which version of the project its process runs, or empty.
        place: The directory that its process imports the project from, or empty.
        sentry: Whether its process sends its errors to Sentry.
        replaces: The name of the file that it continues, or None.
        started: Epoch seconds at which its process opened it.
        definitions: Its metrics so far.
        rows: Its series so far.
        drops: The slot per metric that counts refused series.

    Raises:
        FormatError: It is none of ours, or of another format.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.rows: list[Row] = []
        self.drops: list[Row] = []
        self.definitions: list[Definition] = []
        self._maps: list[tuple[mmap.mmap, memoryview, View]] = []
        # Slot segments: number of the segment → where it begins in `read()`'s list.
        self._bases: dict[int, int] = {}
        self._key_at: list[tuple[View, int]] = []
        self._fd = os.open(path, os.O_RDONLY)
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        first = os.pread(self._fd, 4096, 0)
        if first[:8] != MAGIC:
            raise FormatError(f"{self.name} is not a process file")
        length = RECORD.unpack_from(first, 16)[0]
        try:
            header = json.loads(first[32 : 32 + length])
            known = (header["format"], header["segment"]) == (FORMAT, SEGMENT)
            self.role = str(header["role"])
            self.pid = int(header["pid"])
            self.namespace = int(header.get("namespace", 0))
            self.release = str(header.get("release", ""))
            self.place = str(header.get("place", ""))
            self.sentry = header.get("sentry") is True
            self.started = float(header["started"])
            self.replaces: str | None = header["replaces"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{self.name} has no readable header") from error
        if not known:
            raise FormatError(f"{self.name} has format {header['format']!r}")

    def alive(self) -> bool:
        """Return whether its process lives, which is whether its lock is held."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return False

    def refresh(self) -> bool:
        """Parse what was committed since the last call; return whether there was any.

        Raises:
            FormatError: A record that is committed says what no record can.
        """
        known = len(self.rows) + len(self.drops)
        count = os.fstat(self._fd).st_size // SEGMENT
        while len(self._maps) < count:
            offset = len(self._maps) * SEGMENT
            where = {"offset": offset, "access": mmap.ACCESS_READ}
            mapped = mmap.mmap(self._fd, SEGMENT, **where)
            raw = memoryview(mapped)
            self._maps.append((mapped, raw, raw.cast("d")))
        at = 0
        for number, (_, _, view) in enumerate(self._maps):
            if number == 0 or view[0] == KEYS:
                if at == len(self._key_at):
                    self._key_at.append((view, 2))
                self._key_at[at] = (view, self._parse(*self._key_at[at]))
                if self._key_at[at][1] < int(view[1]):
                    break
                at += 1
        return len(self.rows) + len(self.drops) > known

    def _parse(self, view: View, word: int) -> int:
        used = min(int(view[1]), SEGMENT_WORDS)
        if word >= used:
            return word
        with view.cast("B") as raw:
            while word < used:
                length, kind, slots, crc, at = RECORD.unpack_from(raw, word * 8)
                start = word * 8 + 16
                payload = bytes(raw[start : start + length])
                if zlib.crc32(payload) != crc:
                    break  # not visible yet on this machine: come again
                self._take(kind, payload, slots, at)
                word += 2 + (length + 7) // 8
        return word

    def _take(self, kind: int, payload: bytes, slots: int, at: int) -> None:
        good = True
        try:
            content = json.loads(payload)
            if kind == METRIC:
                name, sort, text, labels, edges = content
                ups = tuple(map(float, edges))
                made = Definition(name, sort, text, tuple(labels), ups)
                self.definitions.append(made)
                self.drops.append(Row(made, (), self._place(at, 1)))
            elif kind == SERIES:
                of = self.definitions[content[0]]
                row = Row(of, tuple(map(str, content[1])), self._place(at, slots))
                good = slots == of.slots and len(row.values) == len(of.labels)
                self.rows += [row] if good else []
        except (ValueError, TypeError, IndexError) as error:
            raise FormatError(f"{self.name}: a record makes no sense") from error
        if not good:
            raise FormatError(f"{self.name}: a series does not fit its metric")

    def _place(self, at: int, slots: int) -> int:
        segment, word = divmod(at, SEGMENT_WORDS)
        if segment >= len(self._maps) or word + slots > SEGMENT_WORDS:
            raise ValueError("slots beyond the file")
        base = self._bases.setdefault(segment, len(self._bases) * SEGMENT_WORDS)
        return base + word

    def read(self) -> tuple[float, ...]:
        """Return all slots now; `Row.at` says which are whose."""
        # Half the price of `tolist`, and as whole: the torn-value test sees to it.
        values: tuple[float, ...] = ()
        for segment in self._bases:
            values += _UNPACK(self._maps[segment][1])
        return values

    def close(self) -> None:
        """Unmap and close."""
        self._key_at.clear()
        for mapped, raw, view in self._maps:
            view.release()
            raw.release()
            mapped.close()
        self._maps.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
