"""Certificates in chains, good and odd, of keys that are made once."""

import datetime as dt
import ipaddress
import ssl
from functools import cache
from typing import NamedTuple

from cryptography import x509  # trustme needs it
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@cache
def key(_owner):
    """Return the key of an authority or a site, the same each time."""
    return ec.generate_private_key(ec.SECP256R1())


class Made(NamedTuple):
    """A certificate and the day it ends, from today."""

    certificate: x509.Certificate
    days: int

    @property
    def pem(self):
        return self.certificate.public_bytes(PEM).decode()


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(subject, issuer, days, names=(), *, begun=-30, ids=True):
    """Return a certificate; with `names` a site's, else an authority's."""
    public, signing = key(subject).public_key(), key(issuer)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(min(begun, days - 1)))
        .not_valid_after(NOW + dt.timedelta(days))
        .add_extension(x509.BasicConstraints(not names, None), critical=True)
    )
    if ids:
        made = made.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
    if names:
        made = made.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]),
            critical=False,
        )
    return Made(made.sign(signing, hashes.SHA256()), days)


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def serving(folder, leaf, *others):
    """Return a server's context that sends these certificates, in this order."""
    file = folder / "site.pem"
    secret = key(leaf.certificate.subject.rdns[0]._attributes[0].value)
    private = secret.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_text("".join(one.pem for one in (leaf, *others)) + private.decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
