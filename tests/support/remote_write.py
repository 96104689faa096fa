"""Writes samples into a Prometheus by remote write, bit for bit.

Protocol 1.0: a protobuf message inside a snappy block. Both are written by hand, which
is little: the message has three kinds of fields, and a snappy block may consist of
literals alone. Only this road keeps stale markers: text exposition makes them NaN.

The server needs ``--web.enable-remote-write-receiver``.
"""

from __future__ import annotations

import struct
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from watchroom.promql.model import Labels

# A message of this many samples stays far below what Prometheus accepts (32 MiB).
_SAMPLES_PER_REQUEST = 100_000
_SLICE_MS = 15 * 60 * 1000


def _varint(number: int) -> bytes:
    """Return `number` as protobuf and snappy write it; negative ones as 64 bits."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def snappy(data: bytes) -> bytes:
    """Return `data` as a snappy block of literals."""
    parts = [_varint(len(data))]
    for start in range(0, len(data), 65536):
        chunk = data[start : start + 65536]
        # Tag 61: a literal whose length minus one follows in two bytes.
        parts += [bytes([61 << 2]), struct.pack("<H", len(chunk) - 1), chunk]
    return b"".join(parts)


def series_message(labels: Labels, samples: Sequence[tuple[int, float]]) -> bytes:
    """Return a series as a field of a WriteRequest; times are in milliseconds."""
    parts = [
        _message(1, _message(1, name.encode()) + _message(2, value.encode()))
        for name, value in labels
    ]
    for when, value in samples:
        # struct keeps the bits of a NaN, so a stale marker stays one.
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(when)
        parts.append(_message(2, sample))
    return _message(1, b"".join(parts))


def _requests(
    series: Sequence[tuple[Labels, Sequence[tuple[int, float]]]],
) -> Iterator[bytes]:
    """Yield the bodies to send, in order of time.

    A Prometheus whose newest sample is an hour ahead refuses older ones, so no series
    may run far ahead of the others.
    """
    places = [0] * len(series)
    times = [samples[0][0] for _, samples in series if samples]
    until = min(times, default=0)
    while times:
        until += _SLICE_MS
        parts: list[bytes] = []
        held = 0
        for index, (labels, samples) in enumerate(series):
            start = end = places[index]
            while end < len(samples) and samples[end][0] < until:
                end += 1
            places[index] = end
            for at in range(start, end, _SAMPLES_PER_REQUEST):
                portion = samples[at : min(end, at + _SAMPLES_PER_REQUEST)]
                parts.append(series_message(labels, portion))
                held += len(portion)
            if held >= _SAMPLES_PER_REQUEST:
                yield b"".join(parts)
                parts, held = [], 0
        if parts:
            yield b"".join(parts)
        if all(
            place == len(each[1]) for place, each in zip(places, series, strict=True)
        ):
            return


def write(
    url: str, series: Iterable[tuple[Labels, Sequence[tuple[int, float]]]]
) -> None:
    """Write `series` to the Prometheus at `url`, each sorted by time.

    Args:
        url: The server, such as ``http://127.0.0.1:9090``.
        series: Labels (with ``__name__``) and samples as (milliseconds, value).

    Raises:
        RuntimeError: The server refuses, for instance samples out of order.
    """
    for body in _requests(list(series)):
        request = urllib.request.Request(
            f"{url.rstrip('/')}/api/v1/write",
            data=snappy(body),
            method="POST",
            headers={
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30):
                pass
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read().decode("utf-8", "replace").strip()
            raise RuntimeError(f"remote write: {error.code} {reason}") from error
