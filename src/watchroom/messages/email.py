"""A message as a mail: plain text, one thread a group."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, getaddresses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT = 250
LONGEST = 256 * 1024


def addresses(text: str) -> list[str]:
    """Return the bare addresses in ``Ann <ann@example.com>, bob@example.com``."""
    return [address for _, address in getaddresses([text]) if "@" in address]


def message(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    thread: str,
    at: float,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Return a mail.

    Args:
        sender: Its From.
        to: Its To, addresses separated by commas.
        subject: One line; cut at 250 characters.
        text: Plain.
        thread: What it is about (a group key): mails of one thread are shown together.
        at: When, epoch seconds.
        headers: More of them, or other values.
    """
    mail = EmailMessage(policy=SMTP)
    domain = (addresses(sender) or ["watchroom@localhost"])[0].rpartition("@")[2]
    root = hashlib.sha256(thread.encode()).hexdigest()[:32]
    unique = hashlib.sha256(f"{thread}\0{at}\0{text}".encode()).hexdigest()[:32]
    fields = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": formatdate(at),
        "Message-ID": f"<{unique}@{domain}>",
        "In-Reply-To": f"<{root}@{domain}>",
        "References": f"<{root}@{domain}>",
        "Auto-Submitted": "auto-generated",  # no vacation notice comes back
    }
    for name, value in (headers or {}).items():
        fields[_canonical(name)] = value
    for name, value in fields.items():
        mail[name] = _line(value, LONGEST_SUBJECT if name == "Subject" else 2000)
    mail.set_content(text[:LONGEST])
    return mail


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-")).replace("-Id", "-ID")


def _line(value: str, limit: int) -> str:
    """Return a header's value in one line, so that it cannot add a header."""
    flat = " ".join(value.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
