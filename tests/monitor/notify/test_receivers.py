"""Slack, PagerDuty and mail: what arrives, what is retried, what is never said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from email.message import EmailMessage

import aiohttp
import msgspec
import pytest
from tests.support.certificates import Certificate
from tests.support.receivers import MailServer, PagerDuty, Slack, serving

from watchroom.formats import alertmanager
from watchroom.formats.alertmanager import Alertmanager, Route
from watchroom.formats.manifest import Inputs, Manifest
from watchroom.formats.receivers import (
    EmailConfig,
    PagerdutyConfig,
    Receiver,
    SlackConfig,
    TlsConfig,
)
from watchroom.messages import smtp, texts
from watchroom.messages.pagerduty import dedup_key
from watchroom.monitor.alert import Alert
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.dispatch.notification import DeliveryKey, Notification
from watchroom.monitor.notify.email import Mail
from watchroom.monitor.notify.integration import Wire
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.notify.links import outside_links
from watchroom.monitor.notify.notifier import Notifier, Pace
from watchroom.monitor.notify.pagerduty import PagerDuty as PagerDuty_
from watchroom.monitor.notify.slack import Slack as Slack_
from watchroom.monitor.routing.routing import Routing
from watchroom.monitor.state.database import StateDB
from watchroom.promql.model import labels_of

NOTES = {
    "summary": "5 % of requests fail <!channel> & more",
    "description": "Worst: /pay",
    "runbook_url": "http://watch.example/runbooks/HighErrorRate",
    "dashboard_url": "http://watch.example/#vital-1",
}
GROUP = '{}:{alertname="HighErrorRate"}'


def page(name="HighErrorRate", *, ended=False, notes=NOTES, **labels):
    now = round(time.time() * 1000)
    given = {"severity": "critical", "priority": "P1", "env": "production"}
    pairs = labels_of({"alertname": name, **given, **labels})
    return Alert(pairs, labels_of(notes), now - 10, now if ended else None, now)


@pytest.fixture
def slack():
    with serving(Slack()) as server:
        yield server


@pytest.fixture
def pagerduty():
    with serving(PagerDuty()) as server:
        yield server


def receiver(kind, config):
    route = Route(
        receiver="ops",
        group_by=["alertname"],
        group_wait="0s",
        group_interval="300ms",
        repeat_interval="1h",
    )
    made = Alertmanager(
        route=route, receivers=[Receiver(name="ops", **{f"{kind}_configs": [config]})]
    )
    return alertmanager.load(alertmanager.dump(made), "am.yml")


def sent_each(
    directory, config, *alerts, within=8.0, links=(), until=None, timeout=2.0
):
    """Submit each alert once the delivery before has ended; return all entries."""

    async def story():
        with StateDB(directory) as state:
            ledger = Ledger(state)
            async with aiohttp.ClientSession() as session:
                notifier = Notifier(
                    config,
                    config_dir=directory,
                    dispatcher=Dispatcher(Routing(config)),
                    ledger=ledger,
                    session=session,
                    external_url="http://watch.example",
                    now=time.time,
                    pace=Pace(first=0.05, longest=0.2, timeout=timeout),
                    links=lambda _: links,
                )
                task = asyncio.create_task(notifier.run())
                await asyncio.sleep(0)
                for count, alert in enumerate(alerts, 1):
                    notifier.submit(alert if isinstance(alert, list) else [alert])
                    end = time.monotonic() + within
                    while time.monotonic() < end:
                        entries = ledger.recent(100)
                        if until is not None:
                            if until(entries):
                                break
                        elif len(entries) == count and entries[0].state != "open":
                            break
                        await asyncio.sleep(0.02)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            return ledger.recent(100), [
                row[0]
                for row in state.read("SELECT group_concat(error, ' ') FROM attempt")
            ]

    return asyncio.run(story())


def secret(directory, name, text):
    (directory / "secrets").mkdir(exist_ok=True)
    (directory / "secrets" / name).write_text(text + "\n")
    return f"secrets/{name}"


def slack_config(directory, server):
    file = secret(directory, "slack", server.url)
    return receiver("slack", SlackConfig(api_url_file=file, send_resolved=True))


def test_slack_gets_a_page_and_its_end_with_links_and_nothing_unescaped(
    tmp_path, slack
):
    (over, page_entry), _ = sent_each(
        tmp_path,
        slack_config(tmp_path, slack),
        page(),
        page(ended=True),
        links=(("Acknowledge", "http://watch.example/ack?a=1&b=2"),),
    )
    assert (page_entry.state, over.state) == ("sent", "sent")
    assert page_entry.destination == f"{slack.base}/…"
    (title, text), (end, _) = slack.said()
    assert title == "*<http://watch.example/#vital-1|P1 HighErrorRate · production>*"
    assert "5 % of requests fail &lt;!channel&gt; &amp; more" in text
    assert "<http://watch.example/runbooks/HighErrorRate|Runbook>" in text
    assert "<http://watch.example/ack?a=1&amp;b=2|Acknowledge>" in text
    assert end.endswith("|Resolved: HighErrorRate · production>*")
    colors = [message["attachments"][0]["color"] for message in slack.taken]
    assert colors == ["danger", "good"]


def test_a_hundred_alerts_with_long_texts_stay_within_what_slack_takes(tmp_path, slack):
    notes = {**NOTES, "description": "x&" * 3000}
    alerts = [page(notes=notes, n=f"{n}") for n in range(100)]
    (entry,), _ = sent_each(tmp_path, slack_config(tmp_path, slack), alerts)
    assert entry.state == "sent", entry
    assert slack.refused == []
    ((title, text),) = slack.said()
    assert "HighErrorRate (100)" in title
    assert "… (shortened)" in text
    assert not text.rpartition("… (shortened)")[0].rstrip().endswith(("&am", "&amp"))


def test_pagerduty_opens_and_resolves_the_incident_that_alertmanager_would(
    tmp_path, pagerduty
):
    file = secret(tmp_path, "key", pagerduty.key)
    config = receiver(
        "pagerduty", PagerdutyConfig(routing_key_file=file, url=pagerduty.url)
    )
    notes = {**NOTES, "summary": "ü" * 2000}
    (over, first), _ = sent_each(
        tmp_path, config, page(notes=notes), page(notes=notes, ended=True)
    )
    assert (first.state, first.http_status, over.state) == ("sent", 202, "sent")
    trigger, resolve = pagerduty.taken
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"].startswith("P1 HighErrorRate: üüü")
    assert len(trigger["payload"]["summary"]) == 1024
    assert {link["text"] for link in trigger["links"]} == {"Runbook", "Dashboard"}
    assert pagerduty.incidents == {dedup_key(GROUP): "resolved"}
    assert resolve["dedup_key"] == trigger["dedup_key"]


@pytest.mark.parametrize(
    ("priority", "severity"), [("P1", "critical"), ("P2", "error"), ("P3", "warning")]
)
def test_a_priority_is_a_severity_of_pagerduty(tmp_path, pagerduty, priority, severity):
    file = secret(tmp_path, "key", pagerduty.key)
    config = receiver(
        "pagerduty", PagerdutyConfig(routing_key_file=file, url=pagerduty.url)
    )
    sent_each(tmp_path, config, page(priority=priority, severity="warning"))
    assert pagerduty.taken[0]["payload"]["severity"] == severity


def mail_config(directory, server, user="", **more):
    file = secret(directory, "password", "mail-secret") if user else ""
    return receiver(
        "email",
        EmailConfig(
            to="Ann <ann@example.com>, bob@example.com",
            from_="watch@example.com",
            smarthost=server.address,
            send_resolved=True,
            auth_username=user,
            auth_password_file=file,
            require_tls=False,
            headers={"Subject": texts.MAIL_SUBJECT},
            html="",
            **more,
        ),
    )


def test_a_mail_arrives_whole_and_its_end_is_in_the_same_thread(tmp_path):
    with serving(MailServer("watch", "mail-secret")) as server:
        config = mail_config(tmp_path, server, "watch")
        notes = {**NOTES, "summary": "äöü\r\nBcc: eve@example.com"}
        entries, errors = sent_each(
            tmp_path, config, page(notes=notes), page(notes=notes, ended=True)
        )
        assert [entry.state for entry in entries] == ["sent", "sent"], errors
        (sender, to, first), (_, _, over) = server.taken
    assert (sender, to) == ("watch@example.com", ["ann@example.com", "bob@example.com"])
    assert first["Subject"] == "P1 HighErrorRate: äöü Bcc: eve@example.com"
    assert first["Bcc"] is None
    assert "Runbook: http://watch.example/runbooks/HighErrorRate" in first.get_content()
    assert over["Subject"].startswith("Resolved: HighErrorRate")
    assert over["References"] == first["References"]
    assert over["Message-ID"] != first["Message-ID"]


def failing(server_of, config_of, answers, tmp_path, state, timeout=0.4):
    with serving(server_of()) as server:
        server.answers = list(answers)
        entries, errors = sent_each(
            tmp_path,
            config_of(tmp_path, server),
            page(),
            until=lambda found: found and found[-1].state == state,
            timeout=timeout,
        )
        return entries[-1], " ".join(filter(None, errors)), server


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([500, 503], "answered 503"),
        ([(429, {"Retry-After": "0.1"})], "answered 429"),
        ([1.0], "no answer within 0.4 s"),
    ],
)
def test_what_may_pass_is_tried_again_on_slack(tmp_path, answers, error):
    entry, errors, _ = failing(Slack, slack_config, answers, tmp_path, "sent")
    assert (entry.state, entry.attempts) == ("sent", len(answers) + 1)
    assert error in errors


def test_a_mail_server_that_is_busy_is_tried_again(tmp_path):
    entry, errors, _ = failing(
        MailServer, mail_config, ["451 come back later"], tmp_path, "sent", 5.0
    )
    assert (entry.state, entry.attempts) == ("sent", 2)
    assert "answered 451 come back later" in errors


def test_a_wrong_key_is_reported_once_and_never_shown(tmp_path, pagerduty):
    wrong = "f" * 32
    file = secret(tmp_path, "key", wrong)
    config = receiver(
        "pagerduty", PagerdutyConfig(routing_key_file=file, url=pagerduty.url)
    )
    entries, _ = sent_each(tmp_path, config, page())
    entry = entries[-1]
    assert (entry.state, entry.attempts, entry.http_status) == ("failed", 1, 400)
    assert "'routing_key' is invalid" in entry.error
    assert wrong not in repr(entries)
    assert wrong.encode() not in (tmp_path / "state.db").read_bytes()


def test_a_slack_address_that_is_gone_is_refused_without_its_path(tmp_path, slack):
    file = secret(tmp_path, "slack", slack.url.replace("slack-secret", "other-secret"))
    config = receiver("slack", SlackConfig(api_url_file=file))
    entries, _ = sent_each(tmp_path, config, page())
    assert entries[-1].error == "answered 404: no_service"
    assert "other-secret" not in repr(entries)


def test_what_a_peer_says_of_a_slack_address_shows_no_secret(tmp_path):
    def quoting(path, _):
        return 404, f"Cannot POST {path} ({path.partition('?')[0]})"

    with serving(Slack()) as server:
        server.judge = quoting
        url = f"{server.base}/hooks/S3CR3TKEY?wait=true&key=an0ther"
        file = secret(tmp_path, "slack", url)
        config = receiver("slack", SlackConfig(api_url_file=file))
        entries, _ = sent_each(tmp_path, config, page())
    assert entries[-1].error.startswith("answered 404: Cannot POST …")
    assert "S3CR3TKEY" not in repr(entries)
    assert "an0ther" not in repr(entries)


class Trickle:
    """A mail server that sends a byte now and then, from a point of the talk on.

    Args:
        answers: What it says to each line before that; the greeting first.
    """

    def __init__(self, *answers):
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._closing = threading.Event()
        self._accepts = threading.Thread(target=self._accept)
        self._accepts.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                talk = self._socket.accept()[0]
                threading.Thread(target=self._talk, args=(talk,), daemon=True).start()

    def _talk(self, talk):
        with talk, contextlib.suppress(OSError):
            for count, answer in enumerate(self._answers):
                if count:
                    talk.recv(1024)
                talk.sendall(answer)
            while not self._closing.wait(0.1):
                talk.sendall(b"2")

    def hang_up(self):
        self._closing.set()

    def close(self):
        self.hang_up()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepts.join()


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([], id="greeting"),
        pytest.param([b"220 here\r\n"], id="hello"),
        pytest.param(
            [
                *(b"220 here\r\n", b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n"),
                b"\x16\x03\x03\x40\x00",  # the head of a record of 16 KiB
            ],
            id="TLS",
        ),
    ],
)
def test_a_mail_server_that_trickles_is_given_up_in_time(answers):
    with serving(Trickle(*answers)) as server:
        host, _, port = server.address.partition(":")
        began = time.monotonic()
        where = smtp.Server(host, int(port), require_tls=len(answers) > 1)
        outcome = smtp.send(where, EmailMessage(), "a@b.example", ["c@d.example"], 0.6)
        spent = time.monotonic() - began
    assert outcome == smtp.Outcome("no answer within 0.6 s", True)
    assert spent < 3


def test_a_mail_server_that_trickles_delays_no_other(tmp_path):
    body = json.dumps({"text": "x", "thread": "t", "headers": {}})
    wire = Wire(None, None, 30.0)

    def sends(address):
        config = EmailConfig(
            to="a@b.example", from_="c@d.example", smarthost=address, require_tls=False
        )
        return Mail(config, tmp_path).send

    async def story(bad, well):
        slow = sends(bad.address)
        tries = [asyncio.create_task(slow(body, wire)) for _ in range(8)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            told = await sends(well.address)(body, wire)
        bad.hang_up()
        await asyncio.gather(*tries)
        return told.attempt

    with serving(Trickle()) as bad, serving(MailServer()) as well:
        assert asyncio.run(story(bad, well)).accepted


def test_a_wrong_password_is_refused_for_good(tmp_path):
    with serving(MailServer("watch", "another")) as server:
        entries, _ = sent_each(tmp_path, mail_config(tmp_path, server, "watch"), page())
        assert server.taken == []
    assert entries[-1].state == "failed"
    assert "answered 535" in entries[-1].error
    assert "mail-secret" not in repr(entries)


def test_a_mail_server_without_the_tls_that_is_required_gets_nothing(tmp_path):
    with serving(MailServer()) as server:
        config = EmailConfig(
            to="ann@example.com", from_="watch@example.com", smarthost=server.address
        )
        entries, _ = sent_each(tmp_path, receiver("email", config), page())
        assert server.taken == []
    assert "doesn't offer STARTTLS" in entries[-1].error


def test_a_mail_server_is_believed_by_its_certificate_before_it_gets_a_password(
    tmp_path,
):
    made = Certificate(tmp_path / "tls", "20200101000000Z", "20990101000000Z")
    with serving(MailServer("watch", "mail-secret", tls=made.served)) as server:
        config = EmailConfig(
            to="ann@example.com",
            from_="watch@example.com",
            smarthost=f"localhost:{server.port}",
            auth_username="watch",
            auth_password_file=secret(tmp_path, "password", "mail-secret"),
        )
        _, errors = sent_each(
            tmp_path,
            receiver("email", config),
            page(),
            until=lambda found: found and found[0].attempts,
        )
        assert "certificate refused: self-signed certificate" in errors[0]
        assert server.taken == []
        trusting = msgspec.structs.replace(
            config, tls_config=TlsConfig(ca_file="tls/cert.pem")
        )
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "tls").symlink_to(tmp_path / "tls")
        (tmp_path / "later" / "secrets").symlink_to(tmp_path / "secrets")
        entries, _ = sent_each(tmp_path / "later", receiver("email", trusting), page())
        assert entries[0].state == "sent", entries
        assert len(server.taken) == 1


def test_a_template_that_fails_still_pages(tmp_path, slack):
    file = secret(tmp_path, "slack", slack.url)
    config = receiver(
        "slack",
        SlackConfig(api_url_file=file, title="{{ (index .Alerts 7).Labels.x }}"),
    )
    entries, _ = sent_each(tmp_path, config, page())
    assert entries[-1].state == "sent"
    assert "HighErrorRate firing: 5 % of requests fail &lt;" in slack.said()[0][0]


def test_logs_and_errors_are_linked_with_the_times_of_the_incident():
    manifest = Manifest(
        1, "0", "shop", "production", Inputs(), "", "",
        logs_url="https://logs.example/?a={from_s}&q={alertname}&r={route}",
        sentry_url="https://sentry.example/?project={project}",
    )  # fmt: skip
    alerts = (page(route="/pay"), page(route="/cart"))
    key = DeliveryKey("ops", "slack[0]", GROUP)
    notification = Notification(
        key, "send", "firing", alerts, (), frozenset(), frozenset()
    )
    (logs, address), errors = outside_links(notification, manifest, time.time())
    begun = int(min(alert.starts_at_ms for alert in alerts) / 1000 - 900)
    assert logs == "Logs"
    # Two routes share none, so none is asked for.
    assert address == f"https://logs.example/?a={begun}&q=HighErrorRate&r="
    assert errors == ("Errors", "https://sentry.example/?project=shop")
    assert outside_links(notification, None, time.time()) == ()


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_rule_without_annotations_sends_its_name(tmp_path, status):
    """Nothing but the name: no empty bold, no empty line, no colon before nothing."""
    ended = None if status == "firing" else 2
    bare = Alert(labels_of({"alertname": "Bare"}), (), 1, ended, 1)
    key = DeliveryKey("ops", "slack[0]", GROUP)
    firing = frozenset({bare.fingerprint})
    notification = Notification(key, "send", status, (bare,), (), firing, frozenset())
    known = "Resolved: " if status == "resolved" else ""
    slack = Slack_(SlackConfig(api_url_file="x")).compose(notification, "http://w", ())
    (attached,) = json.loads(slack)["attachments"]
    assert attached["fallback"] == f"{known}Bare"
    (block,) = attached["blocks"]
    assert block["text"]["text"] == (known + "Bare" if known else "*Bare*")
    config = PagerdutyConfig(routing_key_file="x")
    event = json.loads(PagerDuty_(config).compose(notification, "http://w", ()))
    if status == "firing":
        assert event["payload"]["summary"] == "Bare"
        assert event["payload"]["custom_details"]["alerts"].strip() == "Bare"
    mail = Mail(EmailConfig(to="a@b", from_="c@d", smarthost="h:25"), tmp_path)
    parts = json.loads(mail.compose(notification, "http://w", ()))
    assert parts["headers"]["Subject"] == f"{known}Bare"
    assert parts["text"].lstrip().startswith(f"{known}Bare\n")
