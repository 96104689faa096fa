"""The write-ahead row of one scrape: what a kill must not take.

A row is the XOR of its value bits with those of the row before, compressed. The first
row of a chunk and every 64th are whole, so that a damaged row costs at most the rows up
to the next whole one. Columns are only ever added within a chunk; a row names the
series it adds, a whole row names them all.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, States

WHOLE_EVERY = 64
"""Rows of a chunk from one whole row to the next."""

_START, _WHOLE, _STATES = 1, 2, 4
# Flags, milliseconds, series ids, columns.
_HEADER = struct.Struct("<BqII")


class JournalRow(NamedTuple):
    """One scrape of one target, on the columns of its chunk.

    Attributes:
        at_ms: Its time.
        start: Whether a chunk begins with it.
        whole: Whether it can be read without the row before.
        series_ids: All columns of a whole row, else those it adds.
        values: One per column; absent and stale cells repeat the row before.
        states: One per column, None when all are values.
    """

    at_ms: int
    start: bool
    whole: bool
    series_ids: NDArray[np.int64]
    values: Floats
    states: States | None


def encode(row: JournalRow, before: Floats) -> bytes:
    """Return the sealed body of `row`, whose predecessor's values are `before`."""
    flags = _START * row.start | _WHOLE * row.whole
    bits = row.values.view(np.uint64)
    if not row.whole and len(before):
        bits = bits.copy()
        bits[: len(before)] ^= before.view(np.uint64)
    data = [row.series_ids.astype("<u4").tobytes()]
    if row.states is not None:
        flags |= _STATES
        data.append(row.states.tobytes())
    data.append(shuffled(bits))
    header = _HEADER.pack(flags, row.at_ms, len(row.series_ids), len(bits))
    return seal(header + pack(b"".join(data)))


def decode(body: bytes, before: Floats | None) -> JournalRow:
    """Return the row of a sealed `body`; `before` None means the row before is lost.

    Raises:
        CorruptError: The body is damaged, or needs a row that is lost.
    """
    payload = unseal(body)
    if len(payload) < _HEADER.size:
        raise CorruptError("the row has no header")
    flags, at_ms, new_count, columns = _HEADER.unpack_from(payload)
    whole = bool(flags & _WHOLE)
    if not whole and (before is None or len(before) + new_count != columns):
        raise CorruptError("the row before it is lost")
    wide = columns if flags & _STATES else 0
    data = unpack(payload[_HEADER.size :], new_count * 4 + wide + columns * 8)
    bits = unshuffled(data[new_count * 4 + wide :])
    if not whole and before is not None and len(before):
        bits[: len(before)] ^= before.view(np.uint64)
    states = None
    if wide:
        states = np.frombuffer(data, np.uint8, columns, new_count * 4)
    return JournalRow(
        at_ms,
        bool(flags & _START),
        whole,
        np.frombuffer(data, "<u4", new_count).astype(np.int64),
        bits.view(np.float64),
        states,
    )
