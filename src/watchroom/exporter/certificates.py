"""When a certificate ends, read from its DER: also for chains nobody trusts.

Python decodes a peer's certificate only when it verified; an expired one is exactly
what a probe must be able to date. Source: RFC 5280, section 4.1 (the order of fields
in TBSCertificate) and 4.1.2.5 (UTCTime and GeneralizedTime).
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import NamedTuple

from watchroom.errors import FormatError

_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


class Validity(NamedTuple):
    """From when until when a certificate is good, in seconds since the epoch."""

    end: float
    start: float


def validity(der: bytes) -> Validity:
    """Return a certificate's validity.

    Raises:
        FormatError: It is no X.509 certificate.
    """
    try:
        certificate, _ = _content(der, 0, _SEQUENCE)
        fields, _ = _content(certificate, 0, _SEQUENCE)
        at = 0
        if fields[0] == _VERSION:
            _, at = _content(fields, 0, _VERSION)
        # serialNumber, signature, issuer stand before the validity.
        for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):
            _, at = _content(fields, at, tag)
        dates, _ = _content(fields, at, _SEQUENCE)
        start, at = _moment(dates, 0)
        end, _ = _moment(dates, at)
    except (IndexError, ValueError) as error:
        raise FormatError(f"no X.509 certificate: {error}") from None
    return Validity(end, start)


def _moment(dates: bytes, at: int) -> tuple[float, int]:
    text, after = _content(dates, at, dates[at])
    pattern = "%y%m%d%H%M%SZ" if dates[at] == _UTC_TIME else "%Y%m%d%H%M%SZ"
    moment = datetime.strptime(text.decode("ascii"), pattern)  # noqa: DTZ007 - set below
    return moment.replace(tzinfo=UTC).timestamp(), after


def earliest(peer: ssl.SSLSocket) -> Validity | None:
    """Return the validity that ends first among the peer's certificates, or None.

    The whole chain where Python tells it (3.13, or its internals before), else the
    leaf: an expired intermediate is as much an outage as an expired leaf.
    """
    found = []
    for der in _chain(peer):
        try:
            found.append(validity(der))
        except FormatError:
            continue
    return min(found, default=None)


def _chain(peer: ssl.SSLSocket) -> list[bytes]:
    tell = getattr(peer, "get_unverified_chain", None)
    if tell is not None:
        return [bytes(der) for der in tell()]
    inner = getattr(getattr(peer, "_sslobj", None), "get_unverified_chain", None)
    if inner is not None:
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in inner() or ()]
    leaf = peer.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def _content(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """Return the content of the DER value at `at`, and where the next one starts."""
    if data[at] != tag:
        raise ValueError(f"tag {data[at]:#x} where {tag:#x} should be")
    length, start = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise ValueError("it ends early")
    return data[start : start + length], start + length
