"""VITALS: what a project changes of the catalogue's."""

from typing import NamedTuple

from watchroom.conf.values import SEVERITIES, check_keys, mapping, one_of, text, wrong
from watchroom.errors import ConfigError
from watchroom.units import parse_duration, parse_limit

_KEYS = ("limit", "window", "for", "severity")


class Override(NamedTuple):
    """What a project changes of one vital; None = as the catalogue has it.

    Attributes:
        limit: In the vital's base unit (seconds, a share of 1, a count).
        window: A Prometheus duration such as ``5m``.
        for_: A Prometheus duration such as ``10m``.
        severity: ``critical`` or ``warning``.
    """

    limit: float | None = None
    window: str | None = None
    for_: str | None = None
    severity: str | None = None


def override(name: str, value: object) -> Override:
    """Return one entry of VITALS.

    Raises:
        ConfigError: A key or value is wrong.
    """
    field = f"VITALS.{name}"
    given = mapping(value, field)
    check_keys(given, _KEYS, field)
    limit = given.get("limit")
    if limit is not None:
        if not isinstance(limit, str | int | float):
            raise wrong(f"{field}.limit", "is not a limit", "write 5, '2s' or '80%'")
        try:
            limit = parse_limit(limit)
        except ConfigError as error:
            raise wrong(f"{field}.limit", error.what, error.hint) from None
    for key in ("window", "for"):
        if key in given:
            try:
                parse_duration(text(given, key))
            except ConfigError as error:
                raise wrong(f"{field}.{key}", error.what, error.hint) from None
    severity = given.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise wrong(f"{field}.severity", "is not a severity", one_of(SEVERITIES))
    return Override(
        limit, text(given, "window") or None, text(given, "for") or None, severity
    )
