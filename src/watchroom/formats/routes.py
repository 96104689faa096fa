"""The routing tree: which receivers an alert goes to, and how it is grouped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import ConfigError, QuerySyntaxError
from watchroom.formats import matchers as texts_of
from watchroom.formats.gotext import quote
from watchroom.promql.model import Matcher, compile_regexp, matches_all
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchroom.formats.alertmanager import Route
    from watchroom.promql.model import Labels, MatchOp

_OPERATORS: dict[str, MatchOp] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
_ALL = "..."
_RESERVED = re.compile(r"""[\s{}!=~,\\"'`]""")


def compile_matchers(texts: Sequence[str], field: str) -> tuple[Matcher, ...]:
    """Return the matchers in `texts` in Alertmanager's order: name, value, operator.

    Raises:
        ConfigError: One does not parse, or its pattern is not RE2.
    """
    matchers = [
        compiled(matcher, field) for text in texts for matcher in texts_of.parse(text)
    ]
    return tuple(sorted(matchers, key=lambda m: (m.name, m.value, m.op)))


def compiled(parsed: texts_of.Matcher, field: str) -> Matcher:
    """Return a parsed matcher, its pattern compiled.

    Raises:
        ConfigError: Its pattern is not RE2.
    """
    matcher = Matcher(parsed.name, _OPERATORS[parsed.op], parsed.value)
    if "~" in matcher.op:
        try:
            compile_regexp(matcher.value)
        except QuerySyntaxError as error:
            raise ConfigError(str(error), field=field) from error
    return matcher


def written(matchers: Sequence[Matcher]) -> str:
    """Return matchers as group keys hold them: ``{severity="critical"}``."""
    parts = []
    for matcher in matchers:
        value = matcher.value.replace("\\", "\\\\").replace("\n", "\\n")
        value = value.replace('"', '\\"')
        name = quote(matcher.name) if _RESERVED.search(matcher.name) else matcher.name
        parts.append(f'{name}{matcher.op}"{value}"')
    return "{" + ",".join(parts) + "}"


class Node(NamedTuple):
    """One route with what it inherited; durations in milliseconds.

    Attributes:
        key: Its matchers and those above, joined by slashes.
        group_by: The labels that make a group; None: all labels of the alert.
    """

    key: str
    receiver: str
    matchers: tuple[Matcher, ...]
    continues: bool
    group_by: frozenset[str] | None
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    children: tuple[Node, ...]

    def match(self, labels: Labels) -> list[Node]:
        """Return the routes that take an alert: the deepest ones, at least the root."""
        if not matches_all(self.matchers, labels):
            return []
        nodes: list[Node] = []
        for child in self.children:
            matched = child.match(labels)
            nodes += matched
            if matched and not child.continues:
                break
        return nodes or [self]

    def group_labels(self, labels: Labels) -> Labels:
        """Return the labels that name the group of an alert."""
        if self.group_by is None:
            return labels
        return tuple(pair for pair in labels if pair[0] in self.group_by)

    def group_key(self, group_labels: Labels) -> str:
        """Return Alertmanager's key: ``{}/{severity="critical"}:{alertname="X"}``."""
        pairs = ", ".join(f"{name}={quote(value)}" for name, value in group_labels)
        return f"{self.key}:{{{pairs}}}"

    def walk(self) -> Iterator[Node]:
        """Yield this route and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


_DEFAULTS = Node("", "", (), False, frozenset(), 30_000, 300_000, 14_400_000, ())


def compile_route(route: Route, parent: Node = _DEFAULTS, field: str = "route") -> Node:
    """Return the tree below `route`, every setting inherited.

    Raises:
        ConfigError: A matcher is not one.
    """

    def length(text: str | None, inherited: int) -> int:
        return inherited if text is None else round(parse_duration(text) * 1000)

    matchers = compile_matchers(route.matchers, f"{field}.matchers")
    group_by = parent.group_by
    if route.group_by is not None:
        group_by = None if _ALL in route.group_by else frozenset(route.group_by)
    prefix = "" if parent is _DEFAULTS else parent.key + "/"
    node = Node(
        prefix + written(matchers),
        route.receiver or parent.receiver,
        matchers,
        route.continue_,
        group_by,
        length(route.group_wait, parent.group_wait_ms),
        length(route.group_interval, parent.group_interval_ms),
        length(route.repeat_interval, parent.repeat_interval_ms),
        (),
    )
    children = tuple(
        compile_route(child, node, f"{field}.routes[{index}]")
        for index, child in enumerate(route.routes)
    )
    return node._replace(children=children)
