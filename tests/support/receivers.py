"""Slack, PagerDuty and a mail server on loopback: real protocols, their published
rules, and failures on command.

Each collects what it accepted in `taken` and every refusal, with its reason, in
`refused`. `answers` are used up first: a status, a pair of status and headers, or a
float, the seconds of silence before the connection is cut.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

SEVERITIES = {"critical", "error", "warning", "info"}


class _Server:
    """An HTTP server whose subclass judges the body of every POST."""

    def __init__(self):
        self.taken = []
        self.refused = []
        self.answers = []
        self.seen = 0
        self.closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen += 1
                answer = outer.answers.pop(0) if outer.answers else None
                if isinstance(answer, float):
                    outer.closing.wait(answer)
                    self.close_connection = True
                    return
                headers = {}
                if answer is not None:
                    status, text = answer, "failing on command"
                    if isinstance(answer, tuple):
                        status, headers = answer
                else:
                    status, text = outer.judge(self.path, body)
                if status >= 300:
                    outer.refused.append((status, text))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Slack(_Server):
    """An incoming webhook at `url`; the path is its password."""

    def __init__(self, token="T0AB/B0CD/slack-secret"):
        super().__init__()
        self.path = f"/services/{token}"
        self.url = self.base + self.path

    def judge(self, path, body):
        if path != self.path:
            return 404, "no_service"
        message = json.loads(body)
        attachments = message.get("attachments", [])
        blocks = [*message.get("blocks", [])]
        for one in attachments:
            blocks += one.get("blocks", [])
        texts = [block["text"]["text"] for block in blocks]
        if not (message.get("text") or blocks or attachments):
            return 400, "no_text"
        if len(blocks) > 50 or any(not 1 <= len(text) <= 3000 for text in texts):
            return 400, "invalid_blocks"
        whole = [message.get("text", ""), *texts]
        whole += [str(one.get("text", "")) for one in attachments]
        if sum(map(len, whole)) > 13_000:
            return 400, "msg_too_long"
        self.taken.append(message)
        return 200, "ok"

    def said(self):
        """Return (title, text) of each message, ours and Alertmanager's alike."""
        found = []
        for message in self.taken:
            (one,) = message["attachments"]
            if "blocks" in one:
                parts = [block["text"]["text"] for block in one["blocks"]]
                found.append((message["text"], "\n".join(parts)))
            else:
                found.append((f"*<{one['title_link']}|{one['title']}>*", one["text"]))
        return found


class PagerDuty(_Server):
    """The Events API at `url`, for one routing key; `incidents` by dedup key."""

    def __init__(self, key="0123456789abcdef0123456789abcdef"):
        super().__init__()
        self.key = key
        self.url = f"{self.base}/v2/enqueue"
        self.incidents = {}

    def judge(self, path, body):
        problem = self._problem(path, body)
        if problem:
            answer = {
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": [problem],
            }
            return 400, json.dumps(answer)
        event = json.loads(body)
        self.taken.append(event)
        key = event["dedup_key"]
        state = {"trigger": "triggered", "resolve": "resolved"}
        self.incidents[key] = state.get(event["event_action"], "acknowledged")
        return 202, json.dumps({"status": "success", "dedup_key": key})

    def _problem(self, path, body):
        event = json.loads(body)
        links = event.get("links") or []
        rules = {
            "not the address of the Events API": path == "/v2/enqueue",
            "the event is too large": len(body) <= 512_000,
            "'routing_key' is invalid": event.get("routing_key") == self.key,
            "'event_action' is invalid": event.get("event_action")
            in {"trigger", "acknowledge", "resolve"},
            "'dedup_key' is missing or too long": 1
            <= len(event.get("dedup_key", ""))
            <= 255,
            "a link without 'href'": all(
                link.get("href", "").startswith("http") for link in links
            ),
        }
        if event.get("event_action") == "trigger":
            given = event.get("payload", {})
            summary = given.get("summary", "")
            rules["'payload.summary' is missing or too long"] = (
                1 <= len(summary) <= 1024
            )
            rules["'payload.source' is missing"] = bool(given.get("source"))
            rules["'payload.severity' is invalid"] = given.get("severity") in SEVERITIES
        return next((why for why, holds in rules.items() if not holds), "")


class MailServer:
    """An SMTP server for one account; `answers` are lines such as ``451 later``.

    Args:
        user: Who may send; None for everybody.
        password: Of that user.
        tls: An `ssl.SSLContext` for STARTTLS.
    """

    def __init__(self, user=None, password="", tls=None):
        self.taken = []
        self.refused = []
        self.answers = []
        outer = self

        class Handler:
            async def handle_DATA(self, _, session, envelope):  # noqa: N802 - its name
                if user and not session.authenticated:
                    return "530 log in first"
                if outer.answers:
                    line = outer.answers.pop(0)
                    outer.refused.append(line)
                    return line
                message = message_from_bytes(envelope.content, policy=policy.default)
                outer.taken.append((envelope.mail_from, envelope.rcpt_tos, message))
                return "250 taken"

        def check(_server, _session, _envelope, _mechanism, data):
            given = (data.login.decode(), data.password.decode())
            return AuthResult(success=given == (user, password), handled=False)

        class Made(Controller):
            def factory(self):
                return SMTP(
                    self.handler,
                    hostname="mail.test",
                    authenticator=check if user else None,
                    auth_require_tls=False,
                    # Alertmanager's LOGIN and aiosmtpd's do not understand each other.
                    auth_exclude_mechanism=["LOGIN"],
                    tls_context=tls,
                )

        # Port 0 would leave the controller's own probe without an address.
        from tests.support.ports import free_port

        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._controller = Made(Handler(), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self):
        self._controller.stop()


@contextlib.contextmanager
def serving(server):
    """Close a server at the end of the block."""
    try:
        yield server
    finally:
        server.close()
