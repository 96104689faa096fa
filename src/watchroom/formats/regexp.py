"""Regular expressions of the servers' files: RE2, as their own."""

from __future__ import annotations

import re2

from watchroom.errors import ConfigError


def check(pattern: str) -> None:
    """Raise unless the servers would accept `pattern`.

    Python's dialect knows more (look-ahead, back references); a file that only we
    accept would break at the hand-over.

    Raises:
        ConfigError: `pattern` is not RE2.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown reason"
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise ConfigError(
            f"{pattern!r} isn't a valid regular expression: {reason}",
            hint="the syntax is RE2: it has no look-around and no back references",
        ) from None
