"""What a YAML text must keep of the limits in `caps`, its aliases followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import caps

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NODES = 400_000
"""Of a YAML text, with what its aliases repeat: 4 MiB of short list items."""

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast, and Go's reader."""


def yaml_within(text: str, file: object) -> None:
    """Refuse a YAML text that is too large, too deep, or repeats itself too often.

    Raises:
        ConfigError: It is; with the line.
        yaml.YAMLError: It is not YAML.
    """
    caps.bytes_within(len(text), file)
    _Walk(file).over(yaml.parse(text, Loader=Loader))


class _Walk:
    """Counts the nodes and levels of YAML events, with those that aliases repeat."""

    def __init__(self, file: object) -> None:
        self._file = file
        self._open: list[tuple[str | None, int]] = []  # anchor, nodes before it
        self._sizes: dict[str, tuple[int, int]] = {}  # anchor: its nodes and levels
        self._deepest: list[int] = []  # below each open collection
        self._nodes = 0

    def over(self, events: Iterable[Any]) -> None:
        """Look at every event, in order."""
        documents = 0
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise NotSupportedError(
                        "has more than one YAML document",
                        file=self._file,
                        line=line,
                        hint="the servers read only the first and ignore the rest: "
                        "split the file at the line ---",
                    )
            elif isinstance(event, yaml.CollectionStartEvent):
                self._name(event.anchor, line)
                self._open.append((event.anchor, self._nodes))
                self._deepest.append(0)
                self._count(1, 0, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._repeat(event.anchor, line)
            elif isinstance(event, yaml.ScalarEvent):
                self._name(event.anchor, line)
                self._count(1, 0, line)

    def _name(self, anchor: str | None, line: int) -> None:
        if anchor is None:
            return
        if anchor in self._sizes:
            raise NotSupportedError(
                f"the anchor {anchor!r} is defined twice",
                file=self._file,
                line=line,
                hint="rename one of the two",
            )
        self._sizes[anchor] = (1, 0)

    def _count(self, nodes: int, levels: int, line: int) -> None:
        self._nodes += nodes
        if len(self._open) + levels > caps.MOST_LEVELS:
            raise caps.too_deep(self._file, line)
        if self._nodes > MOST_NODES:
            raise ConfigError(
                f"has more than {MOST_NODES} values, with those that aliases repeat",
                file=self._file,
                line=line,
            )
        if self._deepest:
            self._deepest[-1] = max(self._deepest[-1], levels)

    def _close(self) -> None:
        anchor, before = self._open.pop()
        levels = self._deepest.pop() + 1
        if anchor is not None:
            self._sizes[anchor] = (self._nodes - before, levels)
        if self._deepest:
            self._deepest[-1] = max(self._deepest[-1], levels)

    def _repeat(self, anchor: str | None, line: int) -> None:
        if any(anchor == name for name, _ in self._open):
            raise ConfigError(
                f"the value of anchor {anchor!r} contains itself",
                file=self._file,
                line=line,
            )
        self._count(*self._sizes.get(anchor or "", (1, 0)), line)
