"""Relabelling as Prometheus does it, on a target's or a sample's labels."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.formats import yamlfile
from watchroom.formats.relabel import check
from watchroom.promql.model import compile_regexp
from watchroom.promql.relabel import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.formats.relabel import RelabelConfig

_FILTERS = {"keep", "drop", "keepequal", "dropequal"}


class RelabelRule(NamedTuple):
    """One compiled relabelling step."""

    action: str
    source: tuple[str, ...]
    separator: str
    regex: Any
    target: str
    replacement: str
    modulus: int


def compile_rules(configs: Sequence[RelabelConfig]) -> tuple[RelabelRule, ...]:
    """Return `configs` with their expressions compiled.

    Raises:
        ConfigError: A step means nothing (`formats.relabel.check`).
    """
    rules = []
    for index, config in enumerate(configs):
        with yamlfile.within(f"relabel_configs[{index}]"):
            check(config)
        rules.append(
            RelabelRule(
                config.verb,
                tuple(config.source_labels),
                config.separator,
                compile_regexp(config.regex),
                config.target_label,
                config.replacement,
                config.modulus,
            )
        )
    return tuple(rules)


def relabel(
    labels: Mapping[str, str], rules: Sequence[RelabelRule]
) -> dict[str, str] | None:
    """Return the labels after every rule, or None where a rule drops them.

    A label with an empty value does not exist.
    """
    result = dict(labels)
    for rule in rules:
        if not _apply(result, rule):
            return None
    return {name: value for name, value in result.items() if value}


def _apply(labels: dict[str, str], rule: RelabelRule) -> bool:
    """Change `labels` in place; False drops the whole set."""
    joined = rule.separator.join(labels.get(name, "") for name in rule.source)
    if rule.action in _FILTERS:
        return _passes(labels, rule, joined)
    if rule.action.startswith("label"):
        _rename(labels, rule)
    elif rule.action == "replace":
        _replace(labels, rule, joined)
    elif rule.action == "hashmod":
        digest = hashlib.md5(joined.encode(), usedforsecurity=False).digest()
        share = int.from_bytes(digest[8:], "big") % rule.modulus
        labels[rule.target] = str(share)
    else:
        lower = rule.action == "lowercase"
        labels[rule.target] = joined.lower() if lower else joined.upper()
    return True


def _passes(labels: Mapping[str, str], rule: RelabelRule, joined: str) -> bool:
    if rule.action.endswith("equal"):
        equal = joined == labels.get(rule.target, "")
        return equal == (rule.action == "keepequal")
    matches = rule.regex.fullmatch(joined) is not None
    return matches == (rule.action == "keep")


def _rename(labels: dict[str, str], rule: RelabelRule) -> None:
    """Copy, drop or keep labels by their names."""
    for name, value in list(labels.items()):
        match = rule.regex.fullmatch(name)
        if rule.action == "labelmap":
            if match is not None:
                labels[expand(rule.replacement, match)] = value
        elif (match is not None) == (rule.action == "labeldrop"):
            del labels[name]


def _replace(labels: dict[str, str], rule: RelabelRule, joined: str) -> None:
    match = rule.regex.fullmatch(joined)
    if match is None:
        return
    target = expand(rule.target, match)
    if not target:
        return
    value = expand(rule.replacement, match)
    if value:
        labels[target] = value
    else:
        labels.pop(target, None)
