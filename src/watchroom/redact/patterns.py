"""Patterns that are compiled when they are first used: importing costs nothing."""

from __future__ import annotations

import re
from typing import Any, cast


def compiled(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return what behaves as the pattern, and compiles it at its first use."""
    return cast("re.Pattern[str]", _Lazy(source, flags))


class _Lazy:
    def __init__(self, source: str, flags: int) -> None:
        self._source, self._flags = source, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        attribute = getattr(re.compile(self._source, self._flags), name)
        # From now on found without this method.
        setattr(self, name, attribute)
        return attribute
