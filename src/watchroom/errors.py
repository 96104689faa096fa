"""Everything watchroom raises on purpose.

WatchroomError
├── ConfigError        a file, setting or argument is wrong: what, where, what to do
│   └── NotSupportedError  valid for the server it is written for, but not done here
├── FormatError        a peer spoke something we cannot read (exposition, JSON)
├── QueryError         PromQL that cannot be answered
│   ├── QuerySyntaxError     it does not parse or type-check
│   ├── UnsupportedError     valid PromQL that this engine refuses, by name
│   └── QueryLimitError      too many samples, or the deadline passed
├── StoreError         the sample or state store refuses
└── MissingExtraError  a command needs `pip install watchroom[extra]`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class WatchroomError(Exception):
    """The root: catch it to catch all that watchroom raises on purpose."""


class ConfigError(WatchroomError):
    """A file, a setting or an argument is wrong.

    Attributes:
        what: The fault in one sentence.
        file: The file it was found in, if any.
        line: The 1-based line in that file, if known.
        field: The dotted path of the field, if any (``route.routes[1].receiver``).
        hint: What to do about it, if there is something to say.
    """

    def __init__(
        self,
        what: str,
        *,
        file: object = None,
        line: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.hint = hint

    def moved(
        self, *, file: object = None, line: int | None = None, field: str | None = None
    ) -> ConfigError:
        """Return the same fault at another place."""
        same = NotSupportedError if isinstance(self, NotSupportedError) else ConfigError
        return same(self.what, file=file, line=line, field=field, hint=self.hint)

    def __str__(self) -> str:
        where = ""
        if self.file is not None:
            where = self.file if self.line is None else f"{self.file}:{self.line}"
            where += ": "
        if self.field is not None:
            where += f"{self.field}: "
        return where + self.what + (f" ({self.hint})" if self.hint else "")


class NotSupportedError(ConfigError):
    """A file that Prometheus or Alertmanager would take, and the monitor does not."""


class FormatError(WatchroomError):
    """A peer spoke something that its format does not allow."""


class QueryError(WatchroomError):
    """PromQL that cannot be answered."""


class QuerySyntaxError(QueryError):
    """The expression does not parse, or its types do not fit."""


class UnsupportedError(QueryError):
    """Valid PromQL that this engine refuses; the message names the construct."""


class QueryLimitError(QueryError):
    """The query touched too many samples, or its deadline passed."""


class StoreError(WatchroomError):
    """The sample or state store cannot do what was asked."""


class MissingExtraError(WatchroomError):
    """A command, or a function (``watchroom.sentry()``), needs an extra's packages."""

    def __init__(self, command: str, extra: str, module: str) -> None:
        caller = command if command.endswith("()") else f"watchroom {command}"
        super().__init__(
            f"`{caller}` needs the module {module!r}: pip install 'watchroom[{extra}]'"
        )
        self.extra = extra


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that is not known: the nearest one, or all there are."""
    import difflib

    names = sorted(known)
    folded = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), folded, 1)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return f"available: {', '.join(names) or '(nothing)'}"
