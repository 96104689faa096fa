"""Configuration as it may be shown: with ``<secret>`` for what opens something.

Alertmanager writes it so. A key or a parameter is secret by its name; of an address so
are its user and password, and the parameters with such names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import yaml

from watchroom.formats import yamlcaps
from watchroom.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MASK = "<secret>"
_NAMES = Redactor(names=("key", "sig", "hmac", "routing_key", "service_key"))
_USER = re.compile(r"(?<=://)[^/?#\s@]*@")
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;#\s]+)=([^&;#\s]*)")
# Anyone who knows one of these addresses may post there.
_POSTED_TO = frozenset({"url", "api_url", "webhook_url", "slack_api_url"})
_RECEIVERS = frozenset({"receivers", "global"})
# Matchers and labels, which are compared with those that were built.
_NO_SECRETS = frozenset({"route", "inhibit_rules", "time_intervals"})
_FILE = "_file"


def is_secret(name: str) -> bool:
    """Return whether a key, parameter or label of that name holds a secret."""
    return not name.endswith(_FILE) and _NAMES.secret(name)


def url(text: str) -> str:
    """Return an address, or a text with some, without what is secret of it."""
    text = _USER.sub(f"{MASK}@", text)
    return _PARAMETER.sub(
        lambda match: (
            f"{match[1]}={MASK}" if is_secret(unquote(match[1])) else match[0]
        ),
        text,
    )


def secrets_of(text: str) -> tuple[str, ...]:
    """Return the secret parts of an address, as others may quote it."""
    users = [match[0][:-1] for match in _USER.finditer(text)]
    parts = [part for user in users for part in (user, *user.split(":"))]
    parts += [f[2] for f in _PARAMETER.finditer(text) if is_secret(unquote(f[1]))]
    return tuple(
        {secret for part in parts for secret in (part, unquote(part)) if secret}
    )


def labels(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return labels with ``__param_token`` and the like masked."""
    return {
        name: MASK if is_secret(name.removeprefix("__param_")) else url(value)
        for name, value in pairs.items()
    }


def config(text: str) -> str:
    """Return a prometheus.yml or alertmanager.yml with its secrets masked."""
    try:
        root = yaml.compose(text, Loader=yamlcaps.Loader)
    except (yaml.YAMLError, RecursionError):
        return MASK  # never loaded: what does not parse is refused
    replacements: dict[tuple[int, int], str] = {}
    if root is not None:
        for node, masked in _masked(root, ()):
            start, end = node.start_mark.index, node.end_mark.index
            if text[start] == "&":  # an anchor, which others name
                start += len(text[start:end].split(maxsplit=1)[0]) + 1
            replacements[start, end] = masked
    for (start, end), masked in sorted(replacements.items(), reverse=True):
        text = text[:start] + masked + text[end:]
    return text


def _masked(
    node: yaml.Node, path: tuple[str, ...], *, secret: bool = False
) -> Iterator[tuple[yaml.Node, str]]:
    """Yield the scalars that are shown differently from how they are written."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if not path and name in _NO_SECRETS:
                continue
            hidden = is_secret(name) or (
                name in _POSTED_TO and bool(path) and path[0] in _RECEIVERS
            )
            # Of authorization: the keys inside say what they are.
            hidden = hidden and not isinstance(value, yaml.MappingNode)
            yield from _masked(value, (*path, name), secret=hidden)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _masked(value, path, secret=secret)
    elif isinstance(node, yaml.ScalarNode) and node.value:
        visible = MASK if secret else _url(node.value)
        if visible != node.value:
            quoted = node.style in {'"', "'"} or visible != MASK
            line = "\n" if node.style in {"|", ">"} else ""
            yield node, (_quoted(visible) if quoted else visible) + line


def _url(text: str) -> str:
    """Return a scalar that is one address without its secrets, others as they are."""
    return url(text) if _is_address(text) else text


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and not any(map(str.isspace, text))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
