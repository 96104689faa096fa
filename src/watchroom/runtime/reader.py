"""The reading side of the process file; `slots` has the layout.

A module of its own, because the app's processes only write and pay for every import.
Files are read, never mapped: if another process cuts a mapped file, a read is a SIGBUS,
which nothing can catch. Every process of the app's user can write here, so nothing in
a file is trusted.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import stat
import struct
import zlib
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import FormatError
from watchroom.runtime.slots import (
    FORMAT,
    KEYS,
    MAGIC,
    METRIC,
    RECORD,
    SEGMENT,
    SEGMENT_WORDS,
    SERIES,
    SLOTS,
    Definition,
)

if TYPE_CHECKING:
    from pathlib import Path

KINDS = frozenset({"counter", "histogram", "inflight"})
# Sums stay exact below 2^53 grains; what is far beyond was never counted.
LARGEST = 2.0**53
_MOST_SEGMENTS = 65_536
# A record's bytes may be seen after its length, on some machines, but not this late.
_LATE = 3
_WORDS = struct.Struct("@2d")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_BAD_JSON = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError)


class SlotRow(NamedTuple):
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
    """Another process' file, parsed as it grows.

    What cannot be read any more is frozen: the series and values seen last go on
    counting, so that no total falls because of a damaged file.

    Attributes:
        name: Its file name.
        role: ``web``, ``worker`` or ``command``.
        pid: Its process, as that process sees itself.
        namespace: The namespace of that pid; 0 when not known.
        release: Which version of the project its process runs, or empty.
        code_directory: Where its process imports the project, or empty.
        sentry: Whether its process sends its errors to Sentry.
        replaces: The name of the file that it continues, or None.
        started: Epoch seconds at which its process opened it.
        definitions: Its metrics so far.
        rows: Its series so far.
        drops: The slot per metric that counts refused series.
        damage: What is wrong with it, or empty.

    Raises:
        FormatError: It is not a process file, or of another format.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.rows: list[SlotRow] = []
        self.drops: list[SlotRow] = []
        self.definitions: list[Definition] = []
        self.damage = ""
        self._kinds: list[float] = []
        # Slot segments: number of the segment → where it begins in `read()`'s list.
        self._bases: dict[int, int] = {}
        self._runs: list[tuple[int, int]] = []  # of neighbours: the first, how many
        self._raw = b""
        self._key_segment, self._key_word, self._late = 0, 2, 0
        self._fd = open_regular(path)
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        first = os.pread(self._fd, 4096, 0)
        if len(first) < 32 or first[:8] != MAGIC:
            raise FormatError(f"{self.name} isn't a process file")
        length = RECORD.unpack_from(first, 16)[0]
        try:
            header = json.loads(first[32 : 32 + length])
            known = (header["format"], header["segment"]) == (FORMAT, SEGMENT)
            self.role = text_of(header["role"])
            self.pid = int(header["pid"])
            self.namespace = int(header.get("namespace", 0))
            self.release = text_of(header.get("release", ""))
            self.code_directory = text_of(header.get("code_directory", ""))
            self.sentry = header.get("sentry") is True
            self.started = float(header["started"])
            self.replaces: str | None = header["replaces"]
            good = math.isfinite(self.started)
            good = good and isinstance(self.replaces, str | None)
        except _BAD_JSON as error:
            raise FormatError(f"{self.name} has no readable header") from error
        if not known:
            raise FormatError(f"{self.name} has format {header['format']!r}")
        if not good:
            raise FormatError(f"{self.name} has no readable header")

    def alive(self) -> bool:
        """Return whether its process lives, which is whether its lock is held."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return False

    def freeze(self, damage: str) -> None:
        """Read no more of it: what was seen last is what it counts."""
        self.damage = self.damage or f"{self.name}: {damage}"

    def refresh(self) -> bool:
        """Parse what was committed since the last call; return whether there was any.

        A file that makes no sense is frozen, see `damage`.
        """
        known = len(self.rows) + len(self.drops)
        try:
            if not self.damage:
                self._parse()
        except (FormatError, OSError) as error:
            self.freeze(str(error))
        return len(self.rows) + len(self.drops) > known

    def _parse(self) -> None:
        count = os.fstat(self._fd).st_size // SEGMENT
        if count < len(self._kinds):
            raise FormatError("it was cut")
        self._look(min(count, _MOST_SEGMENTS))
        while True:
            used = self._used(self._key_segment)
            if self._key_word < used:
                self._take_records(used)
            if self._key_word < used:
                # Not visible yet on this machine: come again.
                self._late += 1
                if self._late > _LATE:
                    raise FormatError("a record is incomplete")
                return
            self._late = 0
            later = range(self._key_segment + 1, len(self._kinds))
            following = next((n for n in later if self._kinds[n] == KEYS), None)
            if following is None:
                return
            self._key_segment, self._key_word = following, 2

    def _look(self, count: int) -> None:
        # A segment is 0 until its process has written its kind.
        self._kinds += [0.0] * (count - len(self._kinds))
        for number, kind in enumerate(self._kinds):
            if kind not in {KEYS, SLOTS} and number:
                self._kinds[number] = self._head(number)[0]

    def _head(self, segment: int) -> tuple[float, float]:
        data = os.pread(self._fd, 16, segment * SEGMENT)
        if len(data) < 16:
            raise FormatError("it was cut")
        kind, used = _WORDS.unpack(data)
        return kind, used

    def _used(self, segment: int) -> int:
        used = self._head(segment)[1]
        if not 2.0 <= used <= SEGMENT_WORDS:  # which NaN is not, either
            raise FormatError("its keys have no length")
        return int(used)

    def _take_records(self, used: int) -> None:
        start, size = self._key_segment * SEGMENT, used * 8
        raw = os.pread(self._fd, size, start)
        if len(raw) < size:
            raise FormatError("it was cut")
        word = self._key_word
        while word < used:
            length, kind, slots, crc, at = RECORD.unpack_from(raw, word * 8)
            begin = word * 8 + 16
            payload = raw[begin : begin + length]
            if zlib.crc32(payload) != crc:
                return
            self._take(kind, payload, slots, at)
            word += 2 + (length + 7) // 8
            self._key_word = word

    def _take(self, kind: int, payload: bytes, slots: int, at: int) -> None:
        try:
            content = json.loads(payload)
            if kind == METRIC:
                definition = _definition(*content)
                slot = self._place(at, 1)
                self.definitions.append(definition)
                self.drops.append(SlotRow(definition, (), slot))
            elif kind == SERIES:
                of = self.definitions[content[0]]
                values = tuple(map(text_of, content[1]))
                row = SlotRow(of, values, self._place(at, slots))
                if slots != of.slots or len(row.values) != len(of.labels):
                    raise FormatError("a series doesn't match its metric")
                self.rows.append(row)
        except _BAD_JSON as error:
            raise FormatError("a record is invalid") from error

    def _place(self, at: int, slots: int) -> int:
        segment, word = divmod(at, SEGMENT_WORDS)
        if segment >= len(self._kinds) or not 1 <= word <= SEGMENT_WORDS - slots:
            raise ValueError("slots beyond the file")
        if self._kinds[segment] != SLOTS:
            self._kinds[segment] = self._head(segment)[0]
            if self._kinds[segment] != SLOTS or not segment:
                raise ValueError("slots where keys are")
        if segment not in self._bases:
            self._bases[segment] = len(self._bases) * SEGMENT_WORDS
            first, count = self._runs[-1] if self._runs else (-1, 0)
            if first + count == segment and count:
                self._runs[-1] = first, count + 1
            else:
                self._runs.append((segment, 1))
        return self._bases[segment] + word

    def read(self) -> tuple[float, ...]:
        """Return all slots now, or as seen last; `SlotRow.at` says which are whose."""
        size = len(self._bases) * SEGMENT
        if not self.damage:
            parts = [
                os.pread(self._fd, count * SEGMENT, first * SEGMENT)
                for first, count in self._runs
            ]
            raw = parts[0] if len(parts) == 1 else b"".join(parts)
            if len(raw) == size:
                self._raw = raw
            else:
                self.freeze("it was cut")
        # Half the price of `tolist`, and as whole: the torn-value test sees to it.
        values: tuple[float, ...] = _unpack(size // 8)(self._raw.ljust(size, b"\0"))
        return values

    def check(self) -> None:
        """Freeze the file, that one at 0, if a count in it is not a number."""
        values = self.read()
        if sane(values):
            return
        counts = [value if sane((value,)) else 0.0 for value in values]
        self._raw = struct.pack(f"@{len(counts)}d", *counts)
        self.freeze("a count isn't a number")

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_regular(path: Path) -> int:
    """Return a descriptor for reading; never waits, as a FIFO would make one.

    Raises:
        FormatError: It is not a regular file.
        OSError: It cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(path, flags)
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise FormatError(f"{path.name} isn't a regular file")


def sane(values: tuple[float, ...] | list[float]) -> bool:
    """Return whether these can be counts: finite, and not absurd."""
    if not values:
        return True
    finite = math.isfinite(sum(values))
    return finite and max(values) <= LARGEST and min(values) >= -LARGEST


def text_of(value: object) -> str:
    """Return a value as text that can be sent: half a surrogate pair cannot."""
    return str(value).encode("utf-8", "replace").decode()


def definition_of(
    name: object, kind: object, labels: object, edges: object, text: object = ""
) -> Definition:
    """Return a metric's definition, read from a process file.

    Raises:
        ValueError: No metric can be like that.
        TypeError: It is not even of its types.
    """
    names: list[Any] = [*labels]  # type: ignore[misc]
    ups = tuple(map(float, edges))  # type: ignore[call-overload]
    good = (
        isinstance(name, str)
        and isinstance(text, str)
        and kind in KINDS
        and bool(_NAME.fullmatch(name))
        and all(isinstance(label, str) and _LABEL.fullmatch(label) for label in names)
        and all(map(math.isfinite, ups))
        and all(low < high for low, high in pairwise(ups))
        and (kind == "histogram" or not ups)
    )
    if not good:
        raise ValueError("no metric")
    return Definition(str(name), str(kind), text_of(text), tuple(names), ups)


def _definition(
    name: object, kind: object, text: object, labels: object, edges: object
) -> Definition:
    return definition_of(name, kind, labels, edges, text)


@cache
def _unpack(words: int) -> Any:
    return struct.Struct(f"@{words}d").unpack
