"""VITALS: what a project changes of the catalogue's."""

from collections.abc import Mapping
from typing import NamedTuple

from watchroom.conf.values import SEVERITIES, check_keys, mapping, one_of, text, wrong
from watchroom.errors import ConfigError
from watchroom.units import parse_duration, parse_limit

_KEYS = ("limit", "window", "for", "severity", "ignore", "limits")
_LONGEST_PATTERN = 200
_MOST_PATTERNS = 50


class Override(NamedTuple):
    """What a project changes of one vital; None = as the catalogue has it.

    Attributes:
        limit: In the vital's base unit (seconds, a share of 1, a count).
        window: A Prometheus duration such as ``5m``.
        for_: A Prometheus duration such as ``10m``.
        severity: ``critical`` or ``warning``.
        ignore: Label values that the vital does not judge, as patterns by label.
        limits: Label values with a limit of their own: limits by pattern by label.
    """

    limit: float | None = None
    window: str | None = None
    for_: str | None = None
    severity: str | None = None
    ignore: Mapping[str, tuple[str, ...]] = {}
    limits: Mapping[str, Mapping[str, float]] = {}

    @property
    def every_limit(self) -> tuple[float, ...]:
        """All limits, for bucket edges."""
        own_limits = [
            limit
            for by_pattern in self.limits.values()
            for limit in by_pattern.values()
        ]
        return (*(() if self.limit is None else (self.limit,)), *own_limits)


def override(name: str, value: object) -> Override:
    """Return one entry of VITALS.

    Raises:
        ConfigError: A key or value is wrong.
    """
    field = f"VITALS.{name}"
    options = mapping(value, field)
    check_keys(options, _KEYS, field)
    limit = options.get("limit")
    for key in ("window", "for"):
        if key in options:
            try:
                parse_duration(text(options, key))
            except ConfigError as error:
                raise wrong(f"{field}.{key}", error.what, error.hint) from None
    severity = options.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise wrong(f"{field}.severity", "isn't a severity", one_of(SEVERITIES))
    return Override(
        None if limit is None else _limit(limit, f"{field}.limit"),
        text(options, "window") or None,
        text(options, "for") or None,
        severity,
        _ignore(options.get("ignore"), f"{field}.ignore"),
        _limits(options.get("limits"), f"{field}.limits"),
    )


def _limit(value: object, field: str) -> float:
    if not isinstance(value, str | int | float):
        raise wrong(field, "isn't a limit", "write 5, '2s' or '80%'")
    try:
        return parse_limit(value)
    except ConfigError as error:
        raise wrong(field, error.what, error.hint) from None


def _ignore(value: object, field: str) -> dict[str, tuple[str, ...]]:
    ignored = {}
    for label, patterns in mapping(value, field).items():
        at = f"{field}.{label}"
        if isinstance(patterns, str) or not isinstance(patterns, list | tuple):
            raise wrong(at, "is not a list", 'write {"route": ["reports/*"]}')
        if len(patterns) > _MOST_PATTERNS:
            raise wrong(at, f"has more than {_MOST_PATTERNS} patterns")
        ignored[str(label)] = tuple(_pattern(pattern, at) for pattern in patterns)
    return ignored


def _limits(value: object, field: str) -> dict[str, dict[str, float]]:
    parsed = {}
    for label, limits in mapping(value, field).items():
        at = f"{field}.{label}"
        by_pattern = mapping(limits, at)
        if len(by_pattern) > _MOST_PATTERNS:
            raise wrong(at, f"has more than {_MOST_PATTERNS} patterns")
        parsed[str(label)] = {
            _pattern(pattern, at): _limit(limit, f"{at}[{pattern!r}]")
            for pattern, limit in by_pattern.items()
        }
    return parsed


def _pattern(value: object, field: str) -> str:
    """Return a pattern that is safe in rules, in pages and in Go templates."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(field, "contains an empty pattern", "write 'reports/*'")
    if (
        len(value) > _LONGEST_PATTERN
        or not value.isprintable()
        or any(sign in value for sign in ("`", '"', "{{", "}}", "$", "\n"))
    ):
        raise wrong(
            field,
            "contains a pattern with quotes, $, {{ or line breaks, or one "
            "that is too long",
            "write the route as Django shows it, with * for any text",
        )
    return value
