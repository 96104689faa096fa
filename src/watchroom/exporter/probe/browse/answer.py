"""An HTTP/1 answer, read as leniently as browsers read it.

`http.client` refuses more than 100 fields, takes 103 (Early Hints) for the answer, and
joins two `Location` fields into one. Source of the framing: RFC 9112, sections 4 to 7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import BinaryIO

LARGEST_HEAD = 300 << 10  # as curl; all answers before the last one included
LARGEST_BODY = 1 << 20
_STATUS = re.compile(rb"HTTP/([1-3])(?:\.([0-9]))?[ \t]+([1-9][0-9]{2})(?:[^0-9].*)?")
_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_BODILESS = frozenset({204, 304})


class BrokenError(ValueError):
    """The response is not HTTP, or ends early."""


class Answer(NamedTuple):
    """A status line and the fields below it.

    Attributes:
        status: Three digits, not 1xx.
        version: 1.0, 1.1 and so on.
        fields: In their order; names lower case, values as bytes.
    """

    status: int
    version: float
    fields: list[tuple[str, bytes]]

    def all(self, name: str) -> list[bytes]:
        """Return the values of a field, in their order."""
        return [value for field, value in self.fields if field == name]

    def first(self, name: str) -> bytes:
        """Return the first value of a field, or b""."""
        return next(iter(self.all(name)), b"")


def head(stream: BinaryIO) -> Answer:
    """Read up to the body of the final answer; those before it (1xx) are skipped.

    Raises:
        BrokenError: It is not an HTTP/1 response.
        OSError: The connection broke, or was too slow.
    """
    remaining = LARGEST_HEAD
    while True:
        lines = _lines(stream, remaining)
        remaining -= sum(map(len, lines))
        status_line = _STATUS.fullmatch(lines[0].strip())
        if status_line is None:
            raise BrokenError(f"not HTTP: {lines[0][:60]!r}")
        status = int(status_line[3])
        if status == 101:
            raise BrokenError("101: the server switched protocols without being asked")
        if status >= 200:
            version = float(
                f"{status_line[1].decode()}.{(status_line[2] or b'0').decode()}"
            )
            return Answer(status, version, _fields(lines[1:]))


def _lines(stream: BinaryIO, remaining: int) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        line = stream.readline(remaining + 1)
        remaining -= len(line)
        if remaining < 0:
            raise BrokenError(f"the response header has more than {LARGEST_HEAD} bytes")
        if not line.endswith(b"\n"):
            problem = (
                ("the response ends within its header")
                if lines or line
                else "empty response"
            )
            raise BrokenError(problem)
        if line in {b"\r\n", b"\n"}:
            if lines:
                return lines
            continue  # an empty line before the status line: the last body's, too many
        lines.append(line)


def _fields(lines: list[bytes]) -> list[tuple[str, bytes]]:
    fields: list[tuple[str, bytes]] = []
    for line in lines:
        if line[:1] in {b" ", b"\t"} and fields:
            name, value = fields[-1]
            fields[-1] = name, value + b" " + line.strip()
            continue
        field_name, colon, value = line.partition(b":")
        if colon:
            fields.append((field_name.strip().lower().decode("latin-1"), value.strip()))
    return fields


def read_body(stream: BinaryIO, answer: Answer) -> None:
    """Read a body to its end, at most 1 MiB of it.

    Raises:
        BrokenError: It ends early.
        OSError: The connection broke, or was too slow.
    """
    if answer.status in _BODILESS:
        return
    codings = b",".join(answer.all("transfer-encoding")).lower().split(b",")
    if codings[-1].strip() == b"chunked" and answer.version >= 1.1:
        _read_chunks(stream)
        return
    length = _length(answer)
    read = _skip(stream, LARGEST_BODY if length is None else min(length, LARGEST_BODY))
    if length is not None and read < min(length, LARGEST_BODY):
        raise BrokenError(f"the body ends after {read} of {length} bytes")


def _length(answer: Answer) -> int | None:
    declared = {
        item.strip()
        for value in answer.all("content-length")
        for item in value.split(b",")
    }
    numbers = {int(item) for item in declared if re.fullmatch(rb"[0-9]{1,18}", item)}
    if len(numbers) > 1:
        raise BrokenError("two different lengths for the body")
    # As in browsers: without a number the body ends with the connection.
    return numbers.pop() if len(declared) == len(numbers) == 1 else None


def _skip(stream: BinaryIO, count: int) -> int:
    read = 0
    while read < count and (part := stream.read1(min(count - read, 65536))):  # type: ignore[attr-defined]
        read += len(part)
    return read


def _read_chunks(stream: BinaryIO) -> None:
    remaining = LARGEST_BODY
    while remaining > 0:
        line = stream.readline(4096)
        size_line = _SIZE.fullmatch(line.rstrip(b"\r\n"))
        if size_line is None or not line.endswith(b"\n"):
            raise BrokenError("the body ends within its chunks" if not line else
                              f"not a chunk: {line[:40]!r}")  # fmt: skip
        size = int(size_line[1], 16)
        if size == 0:
            _trailers(stream)
            return
        if _skip(stream, min(size, remaining)) < min(size, remaining):
            raise BrokenError("the body ends within a chunk")
        remaining -= size
        if remaining > 0 and stream.readline(3).strip(b"\r\n"):
            raise BrokenError("a chunk is longer than declared")


def _trailers(stream: BinaryIO) -> None:
    left = LARGEST_HEAD
    while left > 0 and (line := stream.readline(left)).strip(b"\r\n"):
        left -= len(line)
