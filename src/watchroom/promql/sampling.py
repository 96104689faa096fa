"""The hash by which ``limit_ratio`` picks series: the same picks as Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchroom.promql.model import Labels

_MASK = 2**64 - 1
# The five primes of the xxHash specification (XXH64).
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _mix(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def xxh64(data: bytes) -> int:
    """Return the XXH64 hash of `data`, with seed 0."""
    place, size = 0, len(data)
    if size >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while place + 32 <= size:
            for lane in range(4):
                word = int.from_bytes(data[place : place + 8], "little")
                lanes[lane] = _mix(lanes[lane], word)
                place += 8
        turns = (1, 7, 12, 18)
        value = sum(map(_rotate, lanes, turns)) & _MASK
        for lane in lanes:
            value = ((value ^ _mix(0, lane)) * _P1 + _P4) & _MASK
    else:
        value = _P5
    value = (value + size) & _MASK
    while place + 8 <= size:
        word = int.from_bytes(data[place : place + 8], "little")
        value = (_rotate(value ^ _mix(0, word), 27) * _P1 + _P4) & _MASK
        place += 8
    if place + 4 <= size:
        word = int.from_bytes(data[place : place + 4], "little")
        value = (_rotate(value ^ word * _P1 & _MASK, 23) * _P2 + _P3) & _MASK
        place += 4
    for byte in data[place:]:
        value = _rotate(value ^ byte * _P5 & _MASK, 11) * _P1 & _MASK
    value = (value ^ value >> 33) * _P2 & _MASK
    value = (value ^ value >> 29) * _P3 & _MASK
    return value ^ value >> 32


def _string(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) < 255:
        return bytes([len(raw)]) + raw
    return b"\xff" + len(raw).to_bytes(3, "little") + raw


def share_of(labels: Labels) -> float:
    """Return the number in 0…1 at which Prometheus places a series with `labels`."""
    data = b"".join(_string(name) + _string(value) for name, value in labels)
    return xxh64(data) / float(_MASK)
