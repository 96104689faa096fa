"""A family block: the series of one metric of one target over consecutive scrapes.

Rows are series, columns are scrapes. A row that never changes is its first value. A
row of whole numbers is its first value and the differences along time, in the
smallest integer width that holds them; rows of one width share one zstd frame. Any
other row is the differences of its float64 bits, bytes apart. What a cell is (value,
absent, stale) is kept beside the values, so that a gap never changes a row's codec.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from watchroom.monitor.store.codec import (
    CorruptError,
    pack,
    seal,
    shuffled,
    unpack,
    unseal,
    unshuffled,
)
from watchroom.promql.model import STALE_CELL, VALUE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, Mask, States

CONSTANT, FLOATS = 0, 9
_WIDTHS = (1, 2, 4, 8)
"""A row's kind: constant, the bytes of its integer differences, or float bits."""

_DTYPES: dict[int, type[np.signedinteger]] = {
    1: np.int8,
    2: np.int16,
    4: np.int32,
    8: np.int64,
}
# Rows, columns, rows with gaps; bytes of: kinds and first values, gaps, frames.
_HEADER = struct.Struct("<3I7I")
# Every whole float64 up to here has an exact integer, and so has any difference.
_EXACT = float(2**53)


def encode(values: Floats, states: States | None) -> bytes:
    """Return the sealed body of `values` (S, T); `states` None means all values."""
    rows, columns = values.shape
    gaps = np.zeros(0, np.intp)
    if states is not None:
        gaps = np.flatnonzero((states != VALUE).any(axis=1))
    filled = np.ascontiguousarray(values, np.float64)
    if states is not None and len(gaps):
        filled = filled.copy()
        filled[gaps] = _filled(filled[gaps], states[gaps] == VALUE)
    kinds, steps = _classify(filled)
    bits = filled.view(np.uint64)
    frames = [
        _frame(np.ascontiguousarray(steps[kinds == width]).astype(_DTYPES[width]))
        for width in _WIDTHS
    ]
    frames.append(_float_frame(bits[kinds == FLOATS]))
    head = pack(kinds.tobytes() + shuffled(np.ascontiguousarray(bits[:, 0])))
    marks = b""
    if states is not None and len(gaps):
        marks = pack(gaps.astype("<u4").tobytes() + states[gaps].tobytes())
    sizes = [len(head), len(marks), *map(len, frames)]
    header = _HEADER.pack(rows, columns, len(gaps), *sizes)
    return seal(b"".join((header, head, marks, *frames)))


def _filled(values: Floats, has_value: Mask) -> Floats:
    """Return `values` with every cell that holds none taking its neighbour's."""
    columns = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(has_value, columns, -1), axis=1)
    first = has_value.argmax(axis=1)
    source = np.where(last < 0, first[:, None], last)
    filled: Floats = np.take_along_axis(values, source, axis=1)
    filled[~has_value.any(axis=1)] = 0.0
    return filled


def _classify(values: Floats) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the kind of each row, and the differences of those of whole numbers."""
    bits = values.view(np.int64)
    constant = (bits == bits[:, :1]).all(axis=1)
    with np.errstate(invalid="ignore"):
        whole = (np.abs(values) <= _EXACT) & (np.floor(values) == values)
    # Zero's sign would be lost in an integer.
    whole &= ~((values == 0) & np.signbit(values))
    integral = whole.all(axis=1) & ~constant
    kinds = np.full(len(values), FLOATS, np.uint8)
    kinds[constant] = CONSTANT
    steps = np.zeros((len(values), values.shape[1] - 1), np.int64)
    if integral.any():
        steps[integral] = np.diff(values[integral].astype(np.int64), axis=1)
        lowest, highest = steps.min(axis=1), steps.max(axis=1)
        for width in reversed(_WIDTHS):
            limits = np.iinfo(_DTYPES[width])
            fits = integral & (lowest >= limits.min) & (highest <= limits.max)
            kinds[fits] = width
    return kinds, steps


def _frame(steps: NDArray[np.signedinteger]) -> bytes:
    return pack(steps.tobytes()) if steps.size else b""


def _float_frame(bits: NDArray[np.uint64]) -> bytes:
    if not bits.size:
        return b""
    steps = bits.copy()
    steps[:, 1:] -= bits[:, :-1]
    return pack(shuffled(steps))


class Block:
    """A block as read: frames are unpacked once, rows are summed when asked for.

    Raises:
        CorruptError: The body is not what was written.
    """

    def __init__(self, body: bytes) -> None:
        payload = unseal(body)
        if len(payload) < _HEADER.size:
            raise CorruptError("the block has no header")
        rows, columns, gaps, *sizes = _HEADER.unpack_from(payload)
        ends = np.cumsum([_HEADER.size, *sizes])
        if ends[-1] != len(payload):
            raise CorruptError(f"{len(payload)} bytes where {ends[-1]} were written")
        parts = [payload[a:b] for a, b in pairwise(ends)]
        self.rows: int = rows
        self.columns: int = columns
        head = unpack(parts[0], rows * 9)
        self._kinds = np.frombuffer(head, np.uint8, rows)
        self._first = unshuffled(head[rows:]).view(np.float64)
        self._gap_rows = np.zeros(0, np.int64)
        self._gaps: States = np.zeros((0, columns), np.uint8)
        if gaps:
            marks = unpack(parts[1], gaps * (4 + columns))
            self._gap_rows = np.frombuffer(marks, "<u4", gaps).astype(np.int64)
            self._gaps = np.frombuffer(marks, np.uint8, offset=gaps * 4)
            self._gaps = self._gaps.reshape(gaps, columns)
        # The place of each row inside its kind's frame.
        self._position = np.zeros(rows, np.int64)
        self._frames: dict[int, NDArray[np.signedinteger]] = {}
        self._floats: NDArray[np.uint64] = np.zeros((0, columns), np.uint64)
        for width, part in zip((*_WIDTHS, FLOATS), parts[2:], strict=True):
            self._open(width, part)
        self.nbytes = rows * 17 + self._gaps.nbytes + self._floats.nbytes
        self.nbytes += sum(frame.nbytes for frame in self._frames.values())

    def _open(self, kind: int, part: memoryview) -> None:
        members = np.flatnonzero(self._kinds == kind)
        if not len(members):
            return
        self._position[members] = np.arange(len(members))
        if kind == FLOATS:
            data = unpack(part, len(members) * self.columns * 8)
            words = unshuffled(data).reshape(-1, self.columns)
            self._floats = np.cumsum(words, axis=1, dtype=np.uint64)
        else:
            data = unpack(part, len(members) * (self.columns - 1) * kind)
            frame = np.frombuffer(data, _DTYPES[kind])
            self._frames[kind] = frame.reshape(len(members), self.columns - 1)

    def values(
        self,
        rows: NDArray[np.int64],
        low: int,
        high: int,
        out: Floats | None = None,
    ) -> Floats:
        """Return columns ``low:high`` of `rows`; a cell without a value holds any.

        They are written to `out` when it is given.
        """
        kinds = self._kinds[rows]
        result = np.empty((len(rows), high - low)) if out is None else out
        for kind in np.unique(kinds):
            where = np.flatnonzero(kinds == kind)
            members = rows[where]
            if kind == CONSTANT:
                result[where] = self._first[members][:, None]
            elif kind == FLOATS:
                bits = self._floats[self._position[members], low:high]
                result[where] = bits.view(np.float64)
            else:
                result[where] = self._summed(int(kind), members, low, high)
        return result

    def _summed(
        self, kind: int, rows: NDArray[np.int64], low: int, high: int
    ) -> Floats:
        frame, position = self._frames[kind], self._position[rows]
        if len(position) != len(frame) or (np.diff(position) != 1).any():
            frame = frame[position]
        # int32 holds the sum of any 65,536 steps of 16 bits, and is twice as fast.
        total = np.int32 if kind <= 2 and self.columns <= 2**16 else np.int64
        start = self._first[rows]
        if low:
            start = start + frame[:, :low].sum(axis=1, dtype=np.int64)
        result = np.empty((len(rows), high - low))
        result[:, 0] = start
        if high - low > 1:
            sums = np.cumsum(frame[:, low : high - 1], axis=1, dtype=total)
            np.add(sums, start[:, None], out=result[:, 1:])
        return result

    def states(self, rows: NDArray[np.int64], low: int, high: int) -> States | None:
        """Return the states of columns ``low:high`` of `rows`; None: all are values."""
        if not len(self._gap_rows):
            return None
        at = np.searchsorted(self._gap_rows, rows)
        at = np.minimum(at, len(self._gap_rows) - 1)
        gappy = np.flatnonzero(self._gap_rows[at] == rows)
        if not len(gappy):
            return None
        cells = self._gaps[at[gappy], low:high]
        if not cells.any():
            return None
        if cells.max() > STALE_CELL:
            raise CorruptError("a cell is neither value, absent nor stale")
        result = np.zeros((len(rows), high - low), np.uint8)
        result[gappy] = cells
        return result
