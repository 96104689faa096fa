"""What of its series a vital judges: all but what is ignored, or only what matches.

``ignore`` takes label values out of a vital. ``limits`` takes them out too and makes a
vital of its own of them, with its own limit, rule, tile, runbook and drill: one rule
compares with one limit only, and one bucket edge.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from watchroom.catalogue.model import Scope
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from watchroom.catalogue.model import (
        Alert,
        Blind,
        Drill,
        Panel,
        Record,
        Runbook,
        Vital,
    )

    Moved = Callable[[str], str]

# What people call a label, where the metric's own name for it is the field's.
WORDS = {"task": "name", "queue": "queue_name"}
# Labels with a fixed list of values, as far as drills need them.
_CLOSED: dict[str, tuple[str, ...]] = {
    "method": ("GET", "POST", "HEAD", "DELETE"),
    "role": ("web", "worker"),
    "status": (),
    "kind": (),
    "result": (),
}
_WORD = re.compile(r"[A-Za-z0-9]+")
_SPECIAL = re.compile(r"([.+?()\[\]{}|^$\\])")


def ignoring(vital: Vital, patterns: Mapping[str, Iterable[str]]) -> Vital:
    """Return a vital that does not judge the label values that match.

    Args:
        vital: Of the catalogue.
        patterns: By label; ``*`` matches anything.
    """
    added = tuple(
        Scope(label, tuple(values), inside=False)
        for label, values in patterns.items()
        if values
    )
    if not added:
        return vital
    return saying(
        replace(vital, scopes=(*vital.scopes, *added)),
        f" Not counted: {_words(added)}.",
    )


def variant(vital: Vital, label: str, pattern: str, limit: float) -> Vital:
    """Return the vital that judges only what matches, by a limit of its own."""
    scope = Scope(label, (pattern,), inside=True)
    suffix = "".join(word[:1].upper() + word[1:] for word in _WORD.findall(pattern))
    suffix = suffix or "All"
    # A record's name begins with a letter or `_`.
    slug = re.sub("^(?=[0-9])", "_", "_".join(_WORD.findall(pattern)).lower() or "all")
    names = {alert.name: alert.name + suffix for alert in vital.alerts}

    def moved(text: str) -> str:
        """Read the records of the variant, not the vital's own."""
        for record in sorted(vital.records, key=lambda record: -len(record.name)):
            text = re.sub(
                rf"(?<![\w:]){re.escape(record.name)}(?![\w:$])",
                lambda match: f"{slug}:{match[0]}",
                text,
            )
        return text

    variant = replace(
        vital,
        title=f"{vital.title}: {pattern}",
        limit=limit,
        scopes=(scope,),
        records=tuple(_record(record, slug, moved) for record in vital.records),
        alerts=tuple(
            _alert(alert, names[alert.name], scope, moved) for alert in vital.alerts
        ),
        panel=None if vital.panel is None else _panel(vital.panel, moved),
        blind=_blind(vital, suffix),
        charts=(),
        checklist=None,
    )
    return saying(variant, f" Only {_words((scope,))} counts here.")


def matchers(vital: Vital, known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return what a vital's scopes add to the selectors of each metric.

    Raises:
        ConfigError: None of the vital's series has a label of that name.
    """
    by_metric: dict[str, list[str]] = {}
    for label, scopes in _by_label(vital, known).items():
        texts = [_matcher(label, scope) for scope in scopes]
        for name, labels in known.items():
            if label in labels and _of(vital, name):
                by_metric.setdefault(name, []).extend(texts)
    return {name: ",".join(texts) for name, texts in by_metric.items()}


def drilled(vital: Vital, known: Mapping[str, Collection[str]]) -> Vital:
    """Return the vital with drills whose series its scopes let through.

    Raises:
        ConfigError: No drill is left: another pattern takes what it would judge, or one
            matches all that its drill could show.
    """
    for label, scopes in _by_label(vital, known).items():
        alerts = tuple(
            replace(alert, drill=_drill(vital, alert.drill, label, scopes))
            for alert in vital.alerts
        )
        vital = replace(vital, alerts=alerts)
    return vital


def _drill(vital: Vital, drill: Drill, label: str, scopes: list[Scope]) -> Drill:
    """Return a drill whose fault has a value of the label that is judged.

    Only the fault's first value moves, everywhere: two that became one would be one
    series twice, and what is not judged is calm.
    """
    value = next(_values(drill.fault, label), None)
    if value is None:
        return drill
    example = _reached(vital, label, value, scopes)
    quoted = example.replace("\\", "\\\\")
    old, new = f'{label}="{value}"', f'{label}="{quoted}"'

    def moved(lines: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            re.sub(rf"(?<=[{{,]){re.escape(old)}", lambda _: new, line)
            for line in lines
        )

    moved_drill = replace(
        drill,
        fault=moved(drill.fault),
        recovery=moved(drill.recovery),
        calm=moved(drill.calm),
        labels={
            name: example if (name, each) == (label, value) else each
            for name, each in drill.labels.items()
        },
    )
    _check_drill(vital, label, moved_drill, scopes)
    return moved_drill


def _reached(vital: Vital, label: str, value: str, scopes: list[Scope]) -> str:
    """Return `value`, or one that the scopes let through if they do not let it."""
    inside = [scope.patterns[0] for scope in scopes if scope.inside]
    others = [each.replace("*", "drill") for each in inside] or ["drilled", "a-drill"]
    if label in _CLOSED:
        others = [*_CLOSED[label], *(others if inside else ())]
    for example in (value, *others):
        if all(_lets(scope, example) for scope in scopes):
            return example
    if not inside:
        return value  # refused for what ignores it
    raise ConfigError(
        f"{vital.name} would judge nothing: {others[-1]!r} is ignored, or a pattern "
        "before it matches",
        field="VITALS",
        hint="write the narrower pattern first",
    )


def _lets(scope: Scope, value: str) -> bool:
    match = re.fullmatch("|".join(map(regex, scope.patterns)), value)
    return (match is not None) is scope.inside


def _values(lines: Iterable[str], label: str) -> Iterator[str]:
    for line in lines:
        yield from re.findall(rf'[{{,]{label}="([^"]*)"', line)


def _by_label(
    vital: Vital, known: Mapping[str, Collection[str]]
) -> dict[str, list[Scope]]:
    by_label: dict[str, list[Scope]] = {}
    for scope in vital.scopes:
        by_label.setdefault(_label(vital, scope.label, known), []).append(scope)
    return by_label


def regex(pattern: str) -> str:
    """Return a pattern as a regular expression: ``reports/*`` is ``reports/.*``."""
    return _SPECIAL.sub(r"\\\1", pattern).replace("*", ".*")


def _matcher(label: str, scope: Scope) -> str:
    sign = "=~" if scope.inside else "!~"
    text = "|".join(map(regex, scope.patterns))
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}{sign}"{quoted}"'


def _label(vital: Vital, word: str, known: Mapping[str, Collection[str]]) -> str:
    labels = sorted(
        {
            label
            for name, labels in known.items()
            if _of(vital, name)
            for label in labels
            if label != "le"
        }
    )
    for label in (word, WORDS.get(word, word)):
        if label in labels:
            return label
    words = {label: word for word, label in WORDS.items()}
    names = ", ".join(words.get(label, label) for label in labels)
    raise ConfigError(
        f"what {vital.name} is made from has no label {word!r}",
        field=f"VITALS[{vital.name!r}]",
        hint=f"there is {names}" if names else "it has no labels to choose by",
    )


def _of(vital: Vital, series: str) -> bool:
    return any(
        series == name or series.removeprefix(name) in {"_bucket", "_count", "_sum"}
        for name in vital.metrics
    )


def _check_drill(vital: Vital, label: str, drill: Drill, scopes: list[Scope]) -> None:
    ignoring = [scope for scope in scopes if not scope.inside]
    for value in _values((*drill.fault, *drill.recovery), label):
        if not all(_lets(scope, value) for scope in ignoring):
            raise ConfigError(
                f"{vital.name} would ignore its own drill: a pattern matches {value!r}",
                field=f"VITALS[{vital.name!r}]",
                hint="write a narrower pattern, such as 'reports/*'",
            )


def _words(scopes: Iterable[Scope]) -> str:
    return "; ".join(
        f"{scope.label} " + ", ".join(f"`{pattern}`" for pattern in scope.patterns)
        for scope in scopes
    )


def saying(vital: Vital, sentence: str) -> Vital:
    """Return a vital whose runbooks, and so its tile, end with `sentence`."""
    return replace(
        vital,
        alerts=tuple(
            replace(
                alert,
                runbook=replace(
                    alert.runbook, meaning=alert.runbook.meaning + sentence
                ),
            )
            for alert in vital.alerts
        ),
    )


def _record(record: Record, slug: str, moved: Moved) -> Record:
    return replace(record, name=f"{slug}:{record.name}", expr=moved(record.expr))


def _alert(alert: Alert, name: str, scope: Scope, moved: Moved) -> Alert:
    suffix = f" ({scope.label} {scope.patterns[0]})"
    top = alert.top
    return replace(
        alert,
        name=name,
        expr=moved(alert.expr),
        summary=alert.summary + suffix,
        description=alert.description + f" Only {scope.label} {scope.patterns[0]}.",
        top=None if top is None else replace(top, expr=moved(top.expr)),
        runbook=_runbook(alert.runbook, moved),
    )


def _runbook(book: Runbook, moved: Moved) -> Runbook:
    return replace(book, diagnosis=moved(book.diagnosis))


def _blind(vital: Vital, suffix: str) -> Blind | None:
    """Return the sibling of a variant, if it can be blind while the vital is not.

    What is missing is missing for both, and the vital's own sibling says so: but for
    the bucket that ends at the variant's limit.
    """
    blind, panel = vital.blind, vital.panel
    if blind is None or panel is None or "$limit" not in panel.presence:
        return None
    return replace(blind, name=blind.name + suffix)


def _panel(panel: Panel, moved: Moved) -> Panel:
    return replace(panel, expr=moved(panel.expr), presence=moved(panel.presence))
