"""The process file: a table of keys and the aligned float64 slots they name.

A file is a row of segments of one size, each mapped for itself, so that the file
grows without moving what is mapped. Word 0 of a segment says what it holds:

- keys: word 1 counts the words in use; records follow. A record is two words (length,
  kind, number of slots, CRC, the file's word where its slots begin), then JSON,
  padded to whole words. The first segment's word 0 is the magic number, its first
  record the header.
- slots: float64, zero until a process counts.

A record's slots are zeroed and its bytes written before word 1 says that they are
there, and the CRC lets a reader on a weakly ordered machine come again later. Slots are
stored by ``memoryview('d')`` assignment only: torn values 0 of 34 million, against
157,194 of 57 million by ``struct.pack_into`` (measured).

Segments come from ``posix_fallocate`` and are never taken back: a store into a mapped
hole of a full tmpfs is a SIGBUS that nobody can catch. The owner holds an flock for
life, so a process that obtains it knows that the owner is dead, whatever its pid is.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    View = memoryview[float]
    Cell = tuple[View, int]

SUFFIX = ".slots"
UNBORN = ".unborn"
FORMAT = 1
# 64 processes at rest take 2 MiB; the granularity is 64 KiB on some ARM kernels.
SEGMENT = max(16384, mmap.ALLOCATIONGRANULARITY)
SEGMENT_WORDS = SEGMENT // 8
MAGIC = b"WATCHR01"
KEYS, SLOTS = 1.0, 2.0
HEADER, METRIC, SERIES = 0, 1, 2
MAX_VALUE = 512
# Amounts are multiples of 1/GRAIN. A part of a total moves from process to base,
# and sums of arbitrary floats depend on the order: the total could fall by a rounding
# error, which every server takes for a restart from 0. Multiples of a power of two add
# up exactly, here up to 2^33.
GRAIN = 1 << 20
# Between 2^32 and 2^33 floats are 1/GRAIN apart, so `x + TO_GRAIN - TO_GRAIN` is the
# multiple nearest to x, for |x| < 2^31, by the two cheapest of operations.
TO_GRAIN = 1.5 * 2**32
RECORD = struct.Struct("<IHHII")


class Definition(NamedTuple):
    """What a process file stores about one of its metrics.

    Attributes:
        name: As exported.
        kind: ``counter``, ``histogram`` or ``inflight``.
        help: One line for people.
        labels: Label names, in the order of the values.
        edges: A histogram's upper edges, rising, without +Inf.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    edges: tuple[float, ...] = ()

    @property
    def slots(self) -> int:
        """Slots of one series: a histogram has its buckets (plain), +Inf's, the sum."""
        return len(self.edges) + 2 if self.kind == "histogram" else 1


def pid_namespace() -> int:
    """Return which namespace our pids belong to: beyond it they name others; or 0."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - pathlib is an import more
    except OSError:
        return 0


class Arena:
    """Room for records and slots: in memory here, in a file below."""

    def __init__(self) -> None:
        self._keys: View | None = None
        self._slots: View | None = None
        self._key_word = 0
        self._slot_word = 0
        self._slot_base = 0
        self._metrics: dict[Definition, tuple[int, Cell]] = {}

    def metric(self, definition: Definition) -> tuple[int, Cell]:
        """Return a metric's number in this arena and the slot that counts its drops.

        Raises:
            OSError: There is no room for its record.
        """
        known = self._metrics.get(definition)
        if known is None:
            cell = self._add(METRIC, list(definition), 1)
            known = self._metrics[definition] = (len(self._metrics), cell)
        return known

    def series(self, definition: Definition, values: tuple[str, ...]) -> Cell:
        """Return where the slots of a new series begin, all zero.

        Raises:
            OSError: There is no room for it.
        """
        number, _ = self.metric(definition)
        cut = [value[:MAX_VALUE] for value in values]
        return self._add(SERIES, [number, cut], definition.slots)

    def _grow(self) -> tuple[View, int]:
        """Return a zeroed segment and the file's word at which it begins."""
        return memoryview(bytearray(SEGMENT)).cast("d"), 0

    def _add(self, kind: int, content: object, slots: int) -> Cell:
        payload = json.dumps(content, separators=(",", ":")).encode()
        words = 2 + (len(payload) + 7) // 8
        if words > SEGMENT_WORDS - 2 or slots > SEGMENT_WORDS - 1:
            raise OSError(
                f"a record of {len(payload)} bytes doesn't fit into a segment"
            )
        if self._slots is None or self._slot_word + slots > SEGMENT_WORDS:
            self._slots, self._slot_base = self._grow()
            self._slots[0] = SLOTS
            self._slot_word = 1
        if self._keys is None or self._key_word + words > SEGMENT_WORDS:
            self._keys, _ = self._grow()
            self._keys[1] = 2.0
            self._keys[0] = KEYS
            self._key_word = 2
        at = self._slot_word
        crc, word = zlib.crc32(payload), self._slot_base + at
        head = RECORD.pack(len(payload), kind, slots, crc, word)
        record = (head + payload).ljust(words * 8, b"\0")
        start = self._key_word * 8
        with self._keys.cast("B") as raw:
            raw[start : start + len(record)] = record
        self._slot_word += slots
        self._key_word += words
        self._keys[1] = float(self._key_word)
        return self._slots, at


class ProcessFile(Arena):
    """The file of this process, locked from before it has its name.

    Args:
        directory: The runtime directory; it exists.
        name: Of the deployment whose process this is.
        role: ``web``, ``worker`` or ``command``.
        started: Epoch seconds.
        replaces: The name of the file whose counts this one continues, if any.
        release: Which version of the project this process runs, if known.
        code_directory: The directory that the project is imported from, if known.
        sentry: Whether it sends its errors to Sentry.

    Raises:
        OSError: No room, no permission, no directory.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        role: str,
        started: float,
        replaces: str | None = None,
        release: str = "",
        code_directory: str = "",
        *,
        sentry: bool = False,
    ) -> None:
        super().__init__()
        # pids come round again, and a file may outlive its process: hence the suffix.
        file = f"{name}.{role}.{os.getpid()}.{os.urandom(6).hex()}{SUFFIX}"
        self.path = directory / file
        self._born = directory / f"{file}{UNBORN}"
        self._maps: list[tuple[mmap.mmap, memoryview, View]] = []
        self._fd = os.open(self._born, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o660)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first, _ = self._grow()
            with first.cast("B") as raw:
                raw[:8] = MAGIC
            first[1] = 2.0
            self._keys, self._key_word = first, 2
            header = {
                "format": FORMAT,
                "segment": SEGMENT,
                "project": name,
                "role": role,
                "pid": os.getpid(),
                "namespace": pid_namespace(),
                "started": started,
                "replaces": replaces,
                "release": release[:200],
                "code_directory": code_directory[-300:],
                "sentry": sentry,
            }
            self._add(HEADER, header, 0)
        except BaseException:
            self.close()
            self._born.unlink(missing_ok=True)
            raise

    def publish(self) -> None:
        """Give the file its name; from here on the exporter counts it.

        Raises:
            OSError: The directory is gone.
        """
        self._born.rename(self.path)

    def unlinked(self) -> bool:
        """Return whether the file was unlinked or replaced."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        """Let go of everything: views, maps, descriptor, and with them the lock.

        The lock is shared over fork: only when all three are gone is it free.
        """
        for mapped, raw, view in self._maps:
            view.release()
            raw.release()
            mapped.close()
        self._maps.clear()
        self._keys = self._slots = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def leave(self) -> None:
        """Close the descriptor; the lock goes with the last view that is in use."""
        self._maps.clear()
        os.close(self._fd)
        self._fd = -1

    def _grow(self) -> tuple[View, int]:
        offset = len(self._maps) * SEGMENT
        os.posix_fallocate(self._fd, offset, SEGMENT)
        mapped = mmap.mmap(self._fd, SEGMENT, offset=offset)
        raw = memoryview(mapped)
        view = raw.cast("d")
        self._maps.append((mapped, raw, view))
        return view, offset // 8
