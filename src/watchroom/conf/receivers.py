"""RECEIVERS: who hears about alerts."""

from typing import NamedTuple

from watchroom.conf.values import (
    SEVERITIES,
    check_keys,
    http_url,
    loopback,
    mapping,
    one_of,
    secret_name,
    wrong,
)

_KEYS = ("url", "secret", "public", "severity")


class Receiver(NamedTuple):
    """One webhook that hears about alerts.

    Attributes:
        name: Its key in RECEIVERS.
        url: The address in clear (loopback, or declared public), or None.
        secret: The name under ``secrets/`` that holds the address, or None.
        severity: Which severities reach it.
    """

    name: str
    url: str | None
    secret: str | None
    severity: tuple[str, ...]


def receiver(name: str, value: object) -> Receiver:
    """Return one entry of RECEIVERS.

    Raises:
        ConfigError: A key or value is wrong.
    """
    field = f"RECEIVERS.{name}"
    given = mapping(value, field)
    check_keys(given, _KEYS, field)
    url, secret = given.get("url"), given.get("secret")
    if (url is None) == (secret is None):
        raise wrong(field, "needs exactly one of 'url' and 'secret'")
    if secret is not None:
        secret = secret_name(secret, f"{field}.secret")
    if url is not None:
        url = http_url(url, f"{field}.url")
        if not loopback(url) and given.get("public") is not True:
            raise wrong(
                f"{field}.url",
                "would stand in clear in generated files",
                "put it into a file under secrets/ and write 'secret': NAME, "
                "or add 'public': True",
            )
    severity = given.get("severity", SEVERITIES)
    if isinstance(severity, str):
        severity = (severity,)
    if (
        not isinstance(severity, list | tuple)
        or not severity
        or any(one not in SEVERITIES for one in severity)
    ):
        raise wrong(
            f"{field}.severity", "is not a list of severities", one_of(SEVERITIES)
        )
    return Receiver(name, url, secret, tuple(severity))
