"""When a site's certificates end, read from their DER: also in chains nobody trusts.

Python decodes a peer's certificate only when it verified; an expired one is exactly
what a probe must be able to date. Sources: RFC 5280, sections 4.1 (the order of fields
in TBSCertificate), 4.1.2.5 (UTCTime and GeneralizedTime), 4.2.1.1 and 4.2.1.2 (key
identifiers); for what the end of a chain is, blackbox_exporter's
``probe_ssl_last_chain_expiry_timestamp_seconds``: of each chain that verifies the
certificate that ends first, and of these the last.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_VERSION, _EXTENSIONS, _KEY_ID = 0xA0, 0xA3, 0x80
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_SUBJECT_KEY = bytes.fromhex("551d0e")
_AUTHORITY_KEY = bytes.fromhex("551d23")
_LONGEST_CHAIN = 10


class Validity(NamedTuple):
    """From when until when a certificate is good, in seconds since the epoch."""

    end: float
    start: float


class _Certificate(NamedTuple):
    validity: Validity
    issuer: bytes
    subject: bytes
    key: bytes
    key_id: bytes = b""
    issuer_key_id: bytes = b""


def validity(der: bytes) -> Validity:
    """Return a certificate's validity.

    Raises:
        FormatError: It is not an X.509 certificate.
    """
    return _read(der).validity


def earliest(peer: ssl.SSLSocket) -> Validity | None:
    """Return the validity that ends first among the certificates that a peer sent."""
    sent = _certificates(_chain(peer, "get_unverified_chain"))
    return min((certificate.validity for certificate in sent), default=None)


def last_chain(peer: ssl.SSLSocket, context: ssl.SSLContext) -> Validity | None:
    """Return how long a verified peer will verify: its chain's first end, the last one.

    What was sent beside the chain does not count, such as an expired cross-signed root.
    """
    verified = _certificates(_chain(peer, "get_verified_chain"))
    if not verified:
        return None
    ends = min(certificate.validity for certificate in verified)
    if ends == verified[0].validity:
        return ends  # the leaf's, which is in every chain
    roots = _certificates(context.get_ca_certs(binary_form=True))
    sent = _certificates(_chain(peer, "get_unverified_chain"))
    others = _ChainSearch(verified, [*sent, *roots], {verified[-1], *roots})
    return max(ends, others.best(verified[0]) or ends)


class _ChainSearch:
    """Looks for chains beside the one that OpenSSL found: it stops at its first.

    A certificate can replace another of the same subject and key, whose signature was
    verified. Above it signatures are not: names and key identifiers must fit.
    """

    def __init__(
        self,
        verified: list[_Certificate],
        known: Iterable[_Certificate],
        trusted: set[_Certificate],
    ) -> None:
        now = time.time()
        good = (
            certificate
            for certificate in known
            if certificate.validity.start <= now < certificate.validity.end
        )
        self._known = list(dict.fromkeys([*verified, *good]))
        self._proven = {
            (certificate.subject, certificate.key) for certificate in verified[1:]
        }
        self._verified = frozenset(verified)
        self._trusted = trusted

    def best(
        self, certificate: _Certificate, below: frozenset[_Certificate] = frozenset()
    ) -> Validity | None:
        if certificate in self._trusted:
            return certificate.validity
        if len(below) >= _LONGEST_CHAIN:
            return None
        ends = [
            min(certificate.validity, end)
            for issuer in self._known
            if issuer not in below
            and issuer is not certificate
            and self._fits(certificate, issuer)
            if (end := self.best(issuer, below | {certificate})) is not None
        ]
        return max(ends, default=None)

    def _fits(self, certificate: _Certificate, issuer: _Certificate) -> bool:
        if issuer.subject != certificate.issuer:
            return False
        if (
            certificate in self._verified
            and (issuer.subject, issuer.key) in self._proven
        ):
            return True
        return (
            bool(certificate.issuer_key_id)
            and issuer.key_id == certificate.issuer_key_id
        )


def _certificates(ders: Iterable[bytes]) -> list[_Certificate]:
    certificates = []
    for der in ders:
        try:
            certificates.append(_read(der))
        except FormatError:
            continue
    return certificates


def _chain(peer: ssl.SSLSocket, which: str) -> list[bytes]:
    """Return the sent or the verified chain: public since Python 3.13."""
    tell = getattr(peer, which, None)
    if tell is not None:
        return [bytes(der) for der in tell()]
    inner = getattr(getattr(peer, "_sslobj", None), which, None)
    if inner is not None:
        return [
            ssl.PEM_cert_to_DER_cert(certificate.public_bytes())
            for certificate in inner() or ()
        ]
    leaf = peer.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def _read(der: bytes) -> _Certificate:
    try:
        certificate, _ = _content(der, 0, _SEQUENCE)
        fields, _ = _content(certificate, 0, _SEQUENCE)
        at = 0
        if fields[0] == _VERSION:
            _, at = _content(fields, 0, _VERSION)
        for tag in (_INTEGER, _SEQUENCE):  # serialNumber, signature
            _, at = _content(fields, at, tag)
        issuer, at = _content(fields, at, _SEQUENCE)
        dates, at = _content(fields, at, _SEQUENCE)
        subject, at = _content(fields, at, _SEQUENCE)
        key, at = _content(fields, at, _SEQUENCE)
        start, end_at = _moment(dates, 0)
        end, _ = _moment(dates, end_at)
        ids = _key_ids(fields, at)
    except (IndexError, ValueError) as error:
        raise FormatError(f"not an X.509 certificate: {error}") from None
    return _Certificate(Validity(end, start), issuer, subject, key, *ids)


def _key_ids(fields: bytes, at: int) -> tuple[bytes, bytes]:
    """Return the identifiers of a certificate's own key and of its issuer's, or b""."""
    own = issuers = b""
    while at < len(fields) and fields[at] != _EXTENSIONS:
        _, at = _content(fields, at, fields[at])
    if at >= len(fields):
        return own, issuers
    wrapped, _ = _content(fields, at, _EXTENSIONS)
    extensions, _ = _content(wrapped, 0, _SEQUENCE)
    at = 0
    while at < len(extensions):
        extension, at = _content(extensions, at, _SEQUENCE)
        kind, after = _content(extension, 0, _OID)
        if kind == _SUBJECT_KEY:
            value, _ = _content(extension, after, _OCTETS)
            own, _ = _content(value, 0, _OCTETS)
        elif kind == _AUTHORITY_KEY:
            value, _ = _content(extension, after, _OCTETS)
            inside, _ = _content(value, 0, _SEQUENCE)
            if inside[:1] == bytes([_KEY_ID]):
                issuers, _ = _content(inside, 0, _KEY_ID)
    return own, issuers


def _moment(dates: bytes, at: int) -> tuple[float, int]:
    text, after = _content(dates, at, dates[at])
    pattern = "%y%m%d%H%M%SZ" if dates[at] == _UTC_TIME else "%Y%m%d%H%M%SZ"
    moment = datetime.strptime(text.decode("ascii"), pattern)  # noqa: DTZ007 - set below
    return moment.replace(tzinfo=UTC).timestamp(), after


def _content(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """Return the content of the DER value at `at`, and where the next one starts."""
    if data[at] != tag:
        raise ValueError(f"tag {data[at]:#x} instead of {tag:#x}")
    length, start = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise ValueError("the certificate ends early")
    return data[start : start + length], start + length
