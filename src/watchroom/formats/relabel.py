"""Relabelling steps: their keys, and what Prometheus refuses of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import regexp, yamlfile

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRITE = {"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"}
_EQUAL = {"keepequal", "dropequal"}
_CASE = {"lowercase", "uppercase"}
_BY_NAME = {"labeldrop", "labelkeep"}
ACTIONS = _WRITE | _BY_NAME | {"keep", "drop", "labelmap"}


class RelabelConfig(msgspec.Struct, **yamlfile.STRICT):
    """One relabelling step."""

    source_labels: list[str] = []
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    modulus: int = 0
    replacement: str = "$1"
    action: str = "replace"

    @property
    def verb(self) -> str:
        """The action as Prometheus reads it: upper case does not matter."""
        return self.action.lower()


_DEFAULT = RelabelConfig()


def check(step: RelabelConfig) -> None:
    """Refuse the steps that Prometheus refuses (its `relabel.Config.Validate`).

    Raises:
        ConfigError: With the step's own field.
    """
    verb = step.verb
    if verb not in ACTIONS:
        raise ConfigError(
            f"{step.action!r} isn't a relabelling action",
            field="action",
            hint=", ".join(sorted(ACTIONS)),
        )
    with yamlfile.within("regex"):
        regexp.check(step.regex)
    for i, name in enumerate(step.source_labels):
        if not name:
            raise ConfigError("isn't a label name", field=f"source_labels[{i}]")
    if step.modulus < 0 or (verb == "hashmod" and step.modulus == 0):
        raise ConfigError(
            "hashmod needs a modulus above 0", field="modulus", hint="write modulus: 8"
        )
    if verb in _WRITE and not step.target_label:
        raise ConfigError(f"{verb} needs a target_label", field="target_label")
    if verb == "labelmap" and not step.replacement:
        raise ConfigError("labelmap needs a replacement", field="replacement")
    if verb in _CASE | _EQUAL and step.replacement != _DEFAULT.replacement:
        raise ConfigError(f"{verb} has no replacement", field="replacement")
    if verb in _EQUAL:
        _only(step, ("source_labels", "target_label"))
    if verb in _BY_NAME:
        _only(step, ("regex",))


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse a label without a name.

    Raises:
        ConfigError: With its field.
    """
    for name in labels:
        if not name:
            raise ConfigError("a label's name is empty")


def _only(step: RelabelConfig, names: tuple[str, ...]) -> None:
    for name in step.__struct_fields__:
        value = getattr(step, name)
        if name not in {"action", *names} and value != getattr(_DEFAULT, name):
            raise ConfigError(
                f"{step.verb} takes only {' and '.join(names)}", field=name
            )
