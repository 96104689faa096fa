"""Runbook pages: the built Markdown, with every bit of HTML in it escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt
from markupsafe import Markup

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
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


def read(root: Path, name: str) -> Runbook | None:
    """Return the runbook called `name`, or None. The name never leaves the folder."""
    if not _NAME.fullmatch(name):
        return None
    path = root / "runbooks" / f"{name}.md"
    try:
        text = path.read_text()[:_LARGEST]
    except (OSError, UnicodeDecodeError):
        return None
    title = name
    for line in text.splitlines():
        if line.startswith("# "):
            title = line[2:].strip()
            break
    return Runbook(name, title, render(text))


def section(root: Path, name: str, title: str) -> Markup | None:
    """Return one section of a runbook, or None when it has none of that title."""
    if not _NAME.fullmatch(name):
        return None
    try:
        text = (root / "runbooks" / f"{name}.md").read_text()[:_LARGEST]
    except (OSError, UnicodeDecodeError):
        return None
    _, heading, rest = text.partition(f"\n## {title}\n")
    return render(rest.partition("\n## ")[0]) if heading else None


def render(text: str) -> Markup:
    """Return Markdown as HTML: its own tags escaped, script links refused."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    html = parser.render(text)
    for tag in ("pre", "table"):  # those scroll, and keys must reach them
        html = html.replace(f"<{tag}>", f'<{tag} tabindex="0">')
    # Safe: html is off, so the renderer escapes all text, and it refuses
    # javascript:, vbscript:, file: and data: links.
    return Markup(html)  # noqa: S704 - escaped by the renderer
