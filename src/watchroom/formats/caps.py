"""Limits that a text must keep before any YAML or JSON parser builds anything of it.

A parser that recurses ends in a RecursionError, or in the process' stack, on a few
kilobytes of brackets; nine lines of aliases that name each other are gigabytes once
followed. Nothing here recurses.
"""

from __future__ import annotations

import re

from watchroom.errors import ConfigError

MOST_BYTES = 4 * 2**20
"""A built rule file of a large project has 200 kB, Grafana's largest public dashboards
700 kB."""
MOST_LEVELS = 100

_JSON_PART = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def bytes_within(size: int, file: object) -> None:
    """Refuse a text of more than `MOST_BYTES`.

    Raises:
        ConfigError: It is larger.
    """
    if size > MOST_BYTES:
        raise ConfigError(
            f"is larger than {MOST_BYTES // 2**20} MiB",
            file=file,
            hint="split it into several files",
        )


def json_within(text: str, file: object) -> None:
    """Refuse a JSON text that is too large or too deep.

    Raises:
        ConfigError: It is; with the line.
    """
    bytes_within(len(text), file)
    depth = 0
    for match in _JSON_PART.finditer(text):
        part = match[0]
        if part in "[{":
            depth += 1
            if depth > MOST_LEVELS:
                line = text.count("\n", 0, match.start()) + 1
                raise too_deep(file, line)
        elif part in "]}":
            depth -= 1


def too_deep(file: object, line: int) -> ConfigError:
    """Return the refusal of a text of more than `MOST_LEVELS` levels."""
    return ConfigError(
        f"lists and mappings are nested more than {MOST_LEVELS} levels deep",
        file=file,
        line=line,
    )
