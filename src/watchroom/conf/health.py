"""HEALTH: how the app is checked, and where the exporter may ask it."""

from collections.abc import Mapping
from typing import NamedTuple

from watchroom.conf.values import check_keys, http_url, mapping, text, wrong
from watchroom.errors import ConfigError
from watchroom.units import parse_duration

UNIX = "unix:"
LONGEST_SECONDS = 60.0
_KEYS = ("url", "drain", "checks")
_CHECK_KEYS = ("hard", "timeout", "ttl")


class CheckSettings(NamedTuple):
    """What a project changes of one check; None = as it is declared.

    Attributes:
        on: False when the check is switched off.
        hard: Whether its failure makes /health/ and /readyz answer 503.
        timeout: Seconds that it may take.
        ttl: Seconds that a result is served without asking again.
    """

    on: bool = True
    hard: bool | None = None
    timeout: float | None = None
    ttl: float | None = None


class Health(NamedTuple):
    """How the app is checked.

    Attributes:
        url: The app's own address as the exporter reaches it, without the path
            ``/health/``: ``http://127.0.0.1:8000`` or ``unix:/run/shop.sock``; empty
            is the first site.
        drain: Seconds between SIGTERM and the server's own stop, in which /readyz
            says 503 and everything else is served.
        checks: By name.
    """

    url: str = ""
    drain: float = 0.0
    checks: Mapping[str, CheckSettings] = {}


def health(value: object) -> Health:
    """Return the HEALTH setting.

    Raises:
        ConfigError: A key or value is wrong.
    """
    options = mapping(value, "HEALTH")
    check_keys(options, _KEYS, "HEALTH")
    checks = mapping(options.get("checks"), "HEALTH.checks")
    return Health(
        url=_url(options),
        drain=_seconds(options, "drain", "HEALTH.drain") or 0.0,
        checks={str(name): _check(str(name), check) for name, check in checks.items()},
    )


def _url(options: Mapping[object, object]) -> str:
    field = "HEALTH.url"
    url = text(options, "url", field).rstrip("/")
    if not url:
        return ""
    if url.startswith(UNIX):
        if not url.removeprefix(UNIX).startswith("/"):
            raise wrong(
                field, "isn't a Unix socket's path", "write unix:/run/shop.sock"
            )
        return url
    return http_url(url, field)


def _check(name: str, value: object) -> CheckSettings:
    field = f"HEALTH.checks.{name}"
    if value is False:
        return CheckSettings(on=False)
    options = mapping(value, field)
    check_keys(options, _CHECK_KEYS, field)
    hard = options.get("hard")
    if hard is not None and not isinstance(hard, bool):
        raise wrong(f"{field}.hard", "must be True or False")
    timeout = _seconds(options, "timeout", f"{field}.timeout")
    if timeout == 0:
        raise wrong(f"{field}.timeout", "must be longer than 0", "write 1s")
    return CheckSettings(
        hard=hard, timeout=timeout, ttl=_seconds(options, "ttl", f"{field}.ttl")
    )


def _seconds(options: Mapping[object, object], key: str, field: str) -> float | None:
    if key not in options:
        return None
    try:
        seconds = parse_duration(text(options, key, field))
    except ConfigError as error:
        raise wrong(field, error.what, error.hint) from None
    if seconds > LONGEST_SECONDS:
        raise wrong(field, f"is more than {LONGEST_SECONDS:g} seconds", "write 1s")
    return seconds
