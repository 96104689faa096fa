"""Runbook pages: the built Markdown, with every bit of HTML in it escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from watchroom.formats.grafana import Link

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ITEM = re.compile(r"\n(?=- )")
_LARGEST = 512 * 1024


class Runbook(NamedTuple):
    """One page: its name, its title, its HTML."""

    name: str
    title: str
    html: Markup


def names(root: Path) -> frozenset[str]:
    """Return the names of the runbooks under the directory of built files."""
    folder = root / "runbooks"
    return frozenset(
        path.stem for path in folder.glob("*.md") if _NAME.fullmatch(path.stem)
    )


def linked(links: Iterable[Link]) -> str:
    """Return the name of the runbook that a panel's links lead to, or ""."""
    for link in links:
        _, separator, name = link.url.partition("runbooks/")
        name = name.partition("#")[0].removesuffix(".md").strip("/")
        if separator and _NAME.fullmatch(name):
            return name
    return ""


def read(root: Path, name: str) -> Runbook | None:
    """Return the runbook called `name`, or None. The name never leaves the folder."""
    text = _text(root, name)
    if text is None:
        return None
    title = name
    for line in text.splitlines():
        if line.startswith("# "):
            title = line[2:].strip()
            break
    return Runbook(name, title, render(text))


def section(root: Path, name: str, title: str) -> str:
    """Return the Markdown of one section of a runbook; "" without such a section."""
    _, _, rest = (_text(root, name) or "").partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0].strip()


def _text(root: Path, name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return None
    try:
        return (root / "runbooks" / f"{name}.md").read_text()[:_LARGEST]
    except (OSError, UnicodeDecodeError):
        return None


def distinct(texts: Mapping[str, str]) -> dict[str, str]:
    """Return Markdown texts without the list items that an earlier text has too.

    Alerts of one fault share most steps: each is shown once. A text of which nothing is
    left is not returned.
    """
    seen: set[str] = set()
    left = {}
    for name, text in texts.items():
        items = [item.rstrip() for item in _ITEM.split(text)]
        new = [item for item in items if item and item not in seen]
        seen.update(new)
        if new:
            left[name] = "\n".join(new)
    return left


def render(text: str) -> Markup:
    """Return Markdown as HTML: its own tags escaped, script links refused."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    html = parser.render(text)
    for tag in ("pre", "table"):  # those scroll, and keys must reach them
        html = html.replace(f"<{tag}>", f'<{tag} tabindex="0">')
    # Safe: html is off, so the renderer escapes all text, and it refuses
    # javascript:, vbscript:, file: and data: links.
    return Markup(html)  # noqa: S704 - escaped by the renderer
