"""Mail: a message over SMTP, sent in a thread because smtplib blocks."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from watchroom.messages import email, smtp, texts
from watchroom.messages.scrub import scrubbed
from watchroom.monitor.notify.integration import Attempt, Links, SendResult, Wire
from watchroom.monitor.notify.message import MessageTemplate, data

if TYPE_CHECKING:
    from pathlib import Path

    from watchroom.formats.receivers import EmailConfig
    from watchroom.monitor.dispatch.notification import Notification

_AT_ONCE = 8


class Mail:
    """One entry of ``email_configs``.

    Args:
        config: The entry.
        root: The directory that ``ca_file`` is relative to.

    Raises:
        ConfigError: A template does not parse.
    """

    def __init__(self, config: EmailConfig, root: Path) -> None:
        self.send_resolved = config.send_resolved
        self.destination = f"smtp://{config.smarthost}"
        self._config = config
        self._server = config.server(root)
        headers = {"Subject": texts.MAIL_SUBJECT} | config.headers
        # Each has its own threads: a slow server delays no other's mail.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mail")
        text = texts.MAIL_TEXT if config.text is None else config.text
        self._text = MessageTemplate(text, "email_configs.text")
        self._headers = {
            name: MessageTemplate(value, f"email_configs.headers.{name}")
            for name, value in headers.items()
        }

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return the parts of the mail as JSON."""
        dot = data(notification, external_url)
        lines = [f"{text}: {href}\n" for text, href in links if href]
        lead = "".join(lines) + "\n" if lines else ""
        return json.dumps(
            {
                "text": lead + self._text.expand(dot),
                "thread": notification.key.group_key,
                "headers": {k: text.expand(dot) for k, text in self._headers.items()},
            },
            ensure_ascii=False,
        )

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Hand it to the mail server once."""
        config, parts = self._config, json.loads(body)
        password = ""
        if config.auth_password_file:
            password = await wire.secret(config.auth_password_file)
        headers = parts["headers"]
        message = email.message(
            sender=config.from_,
            to=config.to,
            subject=headers.get("Subject", ""),
            text=parts["text"],
            thread=parts["thread"],
            at=time.time(),
            headers=headers,
        )
        started = time.monotonic()
        job = asyncio.get_running_loop().run_in_executor(
            self._threads,
            smtp.send,
            self._server._replace(password=password),
            message,
            email.addresses(config.from_)[0],
            email.addresses(config.to),
            wire.timeout,
        )
        try:
            # The thread keeps to the time itself, except while it resolves a name.
            async with asyncio.timeout(wire.timeout * 3):
                outcome = await job
        except TimeoutError:
            outcome = smtp.Outcome(f"no answer within {wire.timeout * 3:g} s", True)
        spent = (time.monotonic() - started) * 1000
        error = scrubbed(outcome.error, (password,))
        attempt = Attempt(not error, outcome.retry, None, error, spent)
        return SendResult(self.destination, attempt)
