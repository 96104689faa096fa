"""One built file, one input: both engines say the same to every receiver."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from tests.support.plans import built, planned, put
from tests.support.ports import free_port
from tests.support.receivers import MailServer, PagerDuty, Slack, serving
from tests.support.servers import get_json, post_json, running
from tests.support.waiting import until
from tests.support.watched import Files, Monitor

from watchroom.conf.receivers import Receiver

URL = "http://watch.example/x"


class Side:
    """One engine with receivers of its own, and the address that takes alerts."""

    def __init__(self, stack, directory):
        self.directory = directory
        self.slack = stack.enter_context(serving(Slack()))
        self.pagerduty = stack.enter_context(serving(PagerDuty()))
        self.mail = stack.enter_context(serving(MailServer("watch", "mail-secret")))
        mail = {"to": ("ann@example.com",), "sender": "watch@example.com"}
        made = planned(
            receivers=(
                Receiver("chat", kind="slack", secret="slack", channel="#alerts"),
                Receiver(
                    "pager",
                    kind="pagerduty",
                    secret="key",
                    url=self.pagerduty.url,
                    severities=("critical",),
                ),
                Receiver(
                    "mail",
                    kind="email",
                    smarthost=self.mail.address,
                    username="watch",
                    secret="password",
                    tls=False,
                    **mail,
                ),
            )
        )
        text = built(made)["alertmanager.yml"]
        assert "slack-secret" not in text
        # What takes minutes there takes moments here.
        for slow, quick in (("30s", "1s"), ("1m", "1s")):
            text = text.replace(f"group_interval: {slow}", f"group_interval: {quick}")
            text = text.replace(f"group_wait: {slow}", f"group_wait: {quick}")
        put(
            directory,
            {
                "alertmanager.yml": text,
                "secrets/slack": self.slack.url + "\n",
                "secrets/key": self.pagerduty.key + "\n",
                # 0.25 takes a newline at its end for a part of a password.
                "secrets/password": "mail-secret",
            },
        )

    def said(self):
        """Return what each receiver was told, without the form it came in."""
        events = [
            (
                event["event_action"],
                event["dedup_key"],
                *(
                    event["payload"][key]
                    for key in ("summary", "severity", "class", "component", "group")
                    if event["event_action"] == "trigger"
                ),
            )
            for event in self.pagerduty.taken
        ]
        mails = [
            (sender, to, str(mail["Subject"]), str(mail["To"]), _text(mail))
            for sender, to, mail in self.mail.taken
        ]
        slack = [(title, _shared(text)) for title, text in self.slack.said()]
        colors = [message["attachments"][0]["color"] for message in self.slack.taken]
        return {
            "pagerduty": sorted(events),
            "mail": sorted(mails),
            "slack": sorted(slack),
            "colors": sorted(colors),
        }

    def refused(self):
        return [*self.slack.refused, *self.pagerduty.refused, *self.mail.refused]


def _text(mail):
    return _shared(mail.get_body(("plain",)).get_content().replace("\r\n", "\n"))


def _shared(text):
    """Return a text without the links to incidents, which only our monitor has."""
    lines = text.splitlines()
    return "\n".join(
        line for line in lines if "/answer/" not in line and "/incidents/" not in line
    ).strip()


def page(name, severity, priority, *, ended=False, **labels):
    now = dt.datetime.now(dt.UTC)
    board = "http://watch.example/x/#vital-1"
    alert = {
        "labels": {
            "alertname": name,
            "severity": severity,
            "priority": priority,
            "job": "app",
            "env": "production",
            "project": "shop",
            **labels,
        },
        "annotations": {
            "summary": f"<{name}> & «{labels.get('n', '')}»",
            "description": "Worst: /pay <!here>\nthen /cart",
            "runbook_url": f"http://watch.example/x/runbooks/{name}",
            "dashboard_url": board,
        },
        "startsAt": (now - dt.timedelta(seconds=60)).isoformat(),
    }
    if ended:
        alert["endsAt"] = now.isoformat()
    return alert


@pytest.mark.slow
@pytest.mark.judge("prometheus-alertmanager")
def test_the_built_file_makes_both_engines_say_the_same(tmp_path):
    with contextlib.ExitStack() as stack:
        files = Files(tmp_path / "ours", "http://127.0.0.1:1/").write()
        ours = Side(stack, tmp_path / "ours")
        theirs = Side(stack, tmp_path / "theirs")
        files.monitor_url = URL
        monitor = Monitor(files, tmp_path)
        stack.callback(monitor.stop)
        (tmp_path / "ours" / "watchroom.json").write_text(
            (tmp_path / "ours" / "watchroom.json")
            .read_text()
            .replace("http://watch.example.org", URL)
        )
        monitor.start().ready()
        port = free_port()
        stack.enter_context(
            running(
                "prometheus-alertmanager",
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--web.external-url={URL}",
                "--web.route-prefix=/",
                "--cluster.listen-address=",
                cwd=tmp_path / "theirs",
            )
        )
        there = f"http://127.0.0.1:{port}"
        until(lambda: get_json(f"{there}/api/v2/status"), seconds=30)
        sides = ((ours, monitor.url, monitor.bearer), (theirs, there, {}))

        def tell(alerts, mails):
            for _, url, bearer in sides:
                post_json(f"{url}/api/v2/alerts", alerts, **bearer)
            for side, _, _ in sides:
                until(lambda s=side: len(s.mail.taken) >= mails, seconds=30)

        tell([page("Down", "critical", "P1"), page("Slow", "warning", "P2", n="1")], 2)
        tell([page("Slow", "warning", "P2", n="2")], 3)
        tell([page("Down", "critical", "P1", ended=True)], 4)
        assert ours.refused() == theirs.refused() == []
        sent, wanted = ours.said(), theirs.said()
    for kind in sent:
        assert sent[kind] == wanted[kind], kind
    assert [event[0] for event in sent["pagerduty"]] == ["resolve", "trigger"]
    assert len(sent["slack"]) == 4
