"""The JSON that a Slack incoming webhook takes, within Slack's limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BLOCKS = 50
LONGEST_SECTION = 3000
LONGEST_TITLE = 1024
LONGEST = 12_000
"""Characters of a whole message; about 13,000 are refused in practice."""

_CUT = "\n… (shortened)"
_TORN = re.compile(r"(&[a-z]{0,3}|<[^>]*)$")
_IN_LINKS = str.maketrans({"|": "%7C", ">": "%3E", "<": "%3C", " ": "%20", "\n": ""})


def escape(text: str) -> str:
    """Return `text` as Slack shows it letter by letter: no mention, no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(text: str, href: str) -> str:
    """Return a link in Slack's notation."""
    return f"<{href.replace('&', '&amp;').translate(_IN_LINKS)}|{escape(text)}>"


def payload(
    *,
    title: str,
    text: str = "",
    title_link: str = "",
    color: str = "",
    fallback: str = "",
    channel: str = "",
    links: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return a message: a title, and text and links with a bar of `color`.

    Args:
        title: One line, escaped (`escape`).
        text: Slack's mrkdwn, escaped where it quotes.
        title_link: Where the title leads.
        color: ``good``, ``warning``, ``danger`` or ``#rrggbb``.
        fallback: What a notification shows of the attachment; the title by default.
        channel: Only old webhooks heed it.
        links: Text and address of each.
    """
    title = _cut(title, LONGEST_TITLE)
    head = f"*{title}*"
    if title_link:
        # The title is escaped already, so not through `link`.
        where = title_link.replace("&", "&amp;").translate(_IN_LINKS)
        head = f"*<{where}|{title}>*"
    row = " · ".join(link(*text_and_url) for text_and_url in links if text_and_url[1])
    space = LONGEST - len(head) - len(row)
    sections = list(_sections(_cut(text.strip(), space)))[: MOST_BLOCKS - 1]
    if row:
        sections.append(row[:LONGEST_SECTION])
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": section}}
        for section in sections
    ]
    message: dict[str, Any] = {"text": head}
    if channel:
        message["channel"] = channel
    if blocks:
        message["attachments"] = [
            {"color": color, "fallback": fallback or title, "blocks": blocks}
        ]
    return message


def _cut(text: str, limit: int) -> str:
    """Return at most `limit` characters, saying so, no entity or link torn."""
    if len(text) <= limit:
        return text
    mark = _CUT if "\n" in text else "…"
    return _TORN.sub("", text[: limit - len(mark)]) + mark


def _sections(text: str) -> Iterator[str]:
    while len(text) > LONGEST_SECTION:
        at = text.rfind("\n", 1, LONGEST_SECTION)
        piece = text[:at] if at > 0 else _TORN.sub("", text[:LONGEST_SECTION])
        yield piece
        text = text[len(piece) :].lstrip("\n")
    if text:
        yield text
