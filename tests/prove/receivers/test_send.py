"""What a drill tells people: in each protocol, with its credentials, as a test."""

from __future__ import annotations

import html
import json
from urllib.parse import unquote

import pytest
from tests.support.hook import Hook
from tests.support.receivers import MailServer, PagerDuty, Slack, serving

from watchroom.errors import ConfigError
from watchroom.formats import alertmanager
from watchroom.prove.receivers import reach, send

SECRET = "s3cr3t-0f-ours"
NOTE = send.DrillNote(
    "HighErrorRate",
    "[DRILL] HighErrorRate: this tests the notification path; nothing is wrong",
    "Sent by `watchroom drill HighErrorRate`, drill ab12.",
    "ab12",
    "https://watch.example/",
)
WAKE = NOTE._replace(severity="critical", answer_url="https://watch.example/ack/1")


@pytest.fixture
def made(tmp_path):
    """Return a function that makes a receiver of one kind, its secret in a file."""

    def make(kind, secret="", **config):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / "ops").write_text(secret)
        text = json.dumps(
            {
                "route": {"receiver": "ops"},
                "receivers": [{"name": "ops", f"{kind}_configs": [config]}],
            }
        )
        return alertmanager.load(text, "alertmanager.yml").receivers[0]

    return make


def send_drill(receiver, directory, note=NOTE):
    (answer,) = reach.send_drill([receiver], directory, note)
    assert SECRET not in answer.detail
    return answer


@pytest.mark.parametrize("note", [NOTE, WAKE])
def test_slack(made, tmp_path, note):
    with serving(Slack(SECRET)) as slack:
        chat = made("slack", slack.url, api_url_file="secrets/ops")
        assert send_drill(chat, tmp_path, note).accepted
        (first, text), (last, _) = slack.said()
    assert "[DRILL] HighErrorRate" in first
    assert "Resolved: [DRILL]" in last
    assert ("ack/1|Acknowledge" in text) is (note is WAKE)


@pytest.mark.parametrize(("note", "severity"), [(NOTE, "info"), (WAKE, "critical")])
def test_pagerduty_is_triggered_and_resolved(made, tmp_path, note, severity):
    with serving(PagerDuty(SECRET)) as pager:
        ops = made("pagerduty", SECRET, routing_key_file="secrets/ops", url=pager.url)
        assert send_drill(ops, tmp_path, note).accepted
        first, last = pager.taken
        assert list(pager.incidents.values()) == ["resolved"]
    assert first["payload"]["severity"] == severity
    assert first["dedup_key"] == last["dedup_key"]


def test_mail_with_a_password(made, tmp_path):
    with serving(MailServer("ops", SECRET)) as server:
        ops = made(
            *("email", SECRET),
            to="Ann <ann@example.com>",
            smarthost=server.address,
            require_tls=False,
            auth_username="ops",
            auth_password_file="secrets/ops",
            **{"from": "watch@example.com"},
        )
        assert send_drill(ops, tmp_path).accepted
        (_, to, first), (_, _, last) = server.taken
    assert to == ["ann@example.com"]
    assert "[DRILL] HighErrorRate" in first["Subject"]
    assert last["Subject"].strip().startswith("Resolved: ")
    assert last["References"] == first["References"]


def test_webhook(made, tmp_path):
    hook = Hook()
    try:
        ops = made("webhook", f"{hook.url}/{SECRET}", url_file="secrets/ops")
        assert send_drill(ops, tmp_path).accepted
        first, last = hook.messages
    finally:
        hook.close()
    assert first.path == f"/page/{SECRET}"
    assert first.name == "[DRILL] HighErrorRate"
    assert first.labels["severity"] == "info"
    assert "nothing is wrong" in first.annotations["summary"]
    assert (first.status, last.status) == ("firing", "resolved")


@pytest.mark.parametrize(
    "url",
    [
        f"/hooks/{SECRET}",
        f"/hooks?team=shop&key={SECRET}",
        "/hooks/s3cr3t%2D0f%2Dours",
        f"/hooks/a&b/{SECRET}?x={SECRET}",
    ],
)
def test_a_webhook_whose_peer_quotes_its_address_shows_no_secret(
    made, tmp_path, peer, url
):
    def quoting(asked):
        target = asked.path + (f"?{asked.query}" if asked.query else "")
        page = f"<pre>Cannot POST {html.escape(target)}</pre>"
        return 404, f"{page} {target} {unquote(target)} {asked.path.split('/')[-1]}"

    peer.paths[url.partition("?")[0]] = quoting
    answer = send_drill(
        made("webhook", peer.url + url, url_file="secrets/ops"), tmp_path
    )
    assert not answer.accepted
    assert "answered 404" in answer.detail
    assert "Cannot POST" in answer.detail
    assert "s3cr3t" not in answer.detail


def test_an_invalid_address_is_not_quoted(made, tmp_path):
    hook = made("webhook", f"hooks.example/{SECRET}", url_file="secrets/ops")
    assert "the URL is not valid" in send_drill(hook, tmp_path).detail


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_broken_leg_is_named_without_its_secret(made, tmp_path, status):
    with serving(Slack(SECRET)) as slack:
        slack.answers = [status]
        chat = made("slack", slack.url, api_url_file="secrets/ops")
        answer = send_drill(chat, tmp_path)
        assert slack.seen == 1  # nobody is told that it is over who never heard of it
    assert not answer.accepted
    assert "slack[0]" in answer.detail
    assert str(status) in answer.detail


def test_a_wrong_key_is_named_by_pagerduty(made, tmp_path):
    with serving(PagerDuty("another")) as pager:
        ops = made("pagerduty", SECRET, routing_key_file="secrets/ops", url=pager.url)
        answer = send_drill(ops, tmp_path)
    assert not answer.accepted
    assert "routing_key" in answer.detail


def test_silence_ends(made, tmp_path, monkeypatch):
    monkeypatch.setattr("watchroom.prove.client._PATIENCE_SECONDS", 0.3)  # soon over
    with serving(Slack(SECRET)) as slack:
        slack.answers = [5.0]
        chat = made("slack", slack.url, api_url_file="secrets/ops")
        answer = send_drill(chat, tmp_path)
    assert not answer.accepted
    assert "can't reach" in answer.detail


def test_a_mail_server_that_refuses_is_named(made, tmp_path):
    with serving(MailServer()) as server:
        server.answers = ["554 no thanks"]
        ops = made(
            "email",
            to="ann@example.com",
            smarthost=server.address,
            require_tls=False,
            **{"from": "watch@example.com"},
        )
        answer = send_drill(ops, tmp_path)
    assert not answer.accepted
    assert "no thanks" in answer.detail


def test_a_secret_that_is_not_there_is_named_with_its_remedy(made, tmp_path):
    chat = made("slack", api_url_file="secrets/missing")
    answer = send_drill(chat, tmp_path)
    assert not answer.accepted
    assert "secrets/missing" in answer.detail
    assert "put the secret into this file" in reach.lacking(chat, tmp_path)
    with pytest.raises(ConfigError):
        send.secret(tmp_path, "secrets/missing")


def test_a_message_is_a_version_4_webhook_body() -> None:
    body = send.message(NOTE, "resolved", 1_767_225_600_000)
    assert json.loads(json.dumps(body))["version"] == "4"
    assert body["alerts"][0]["endsAt"] == "2026-01-01T00:00:00Z"
