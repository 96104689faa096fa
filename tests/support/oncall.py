"""A monitor with contacts, whose one alert fires when told."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import NamedTuple

from click.testing import CliRunner
from tests.support.receivers import MailServer
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target

from watchroom.cli import watchroom
from watchroom.errors import WatchroomError

CONTACTS = """
contacts:
  - {name: Anna, receivers: [ops], role: on call, reach: "+49 30 1"}
  - {name: Sue, role: support}
"""
API = "/api/v1/watchroom"


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Watched:
    def __init__(self, tmp_path, pages):
        self.target = Target()
        self.pages = pages
        self.files = Files(tmp_path / "monitoring", pages.url())
        self.files.job(self.target.address).write()
        self.mail = MailServer()
        self._others()
        local = self.files.path / "local"
        local.mkdir()
        (local / "contacts.yml").write_text(CONTACTS)
        self.monitor = Monitor(self.files, tmp_path)
        self.home = tmp_path / "home"

    def close(self):
        self.monitor.stop()
        self.target.close()
        self.mail.close()

    def _others(self):
        """Add PagerDuty and Slack, by addresses of ours, and mail to the routes."""
        path = self.files.path / "alertmanager.yml"
        routes = json.loads(path.read_text())
        routes["route"]["routes"] = [
            {"receiver": "ops", "continue": True},
            {"receiver": "duty", "continue": True},
            {"receiver": "chat", "continue": True},
            {"receiver": "mail"},
        ]
        pager = {
            "url": self.pages.url("/pagerduty"),
            "routing_key_file": "secrets/duty",
        }
        routes["receivers"].append({"name": "duty", "pagerduty_configs": [pager]})
        chat = {"api_url": self.pages.url("/slack")}
        routes["receivers"].append({"name": "chat", "slack_configs": [chat]})
        mail = {
            "to": "ops@example.org",
            "from": "watch@example.org",
            "smarthost": self.mail.address,
            "require_tls": False,
        }
        routes["receivers"].append({"name": "mail", "email_configs": [mail]})
        path.write_text(json.dumps(routes))
        (self.files.path / "secrets").mkdir()
        (self.files.path / "secrets" / "duty").write_text("0" * 32)

    def duty(self):
        """Return what PagerDuty heard: (action, key)."""
        events = self.pages.messages("/pagerduty")
        return [(one["event_action"], one["dedup_key"]) for one in events]

    def fires(self):
        self.target.paths["/metrics"] = "m 9\n"
        return until(
            lambda: [one for one in self.incidents() if one["state"] == "firing"],
            what="an incident is open",
        )[0]

    def recovers(self, number):
        self.target.paths["/metrics"] = "m 1\n"
        try:
            until(lambda: self.incident(number)["state"] == "resolved", what="resolved")
        except AssertionError as error:
            error.add_note(str(self.incident(number)))
            error.add_note(self.monitor.get("/api/v1/targets").body)
            raise

    def incidents(self, query=""):
        return self.monitor.get(f"{API}/incidents{query}").json["data"]

    def incident(self, number):
        return self.monitor.get(f"{API}/incidents/{number}").json["data"]

    def act(self, number, act, **form):
        data = urllib.parse.urlencode({k.rstrip("_"): v for k, v in form.items()})
        return self.monitor.post(f"{API}/incidents/{number}/{act}", data.encode())

    def messages(self):
        return self.pages.messages("/hook")

    def mails(self):
        """Return the text parts of every mail, whatever their kind."""
        return [
            part.get_content()
            for _, _, message in list(self.mail.taken)
            for part in message.walk()
            if part.get_content_maintype() == "text"
        ]

    def page(self, number):
        """Return the annotations of the last page that an incident is open."""

        def found():
            firing = [m for m in self.messages() if m["status"] == "firing"]
            texts = [m["alerts"][0]["annotations"] for m in firing]
            end = f"/incidents/{number}"
            return [one for one in texts if one["incident_url"].endswith(end)]

        return until(found, what="a page")[-1]

    def here(self, url):
        """Return an address of this monitor for one of its public name."""
        return url.replace("http://watch.example.org", self.monitor.url)

    def looks(self):
        """Return how often the monitor has looked after incidents and releases."""
        text = self.monitor.get("/metrics").body
        return float(
            re.search(r"^watchroom_incidents_looks_total (\S+)", text, re.MULTILINE)[1]
        )

    def command(self, *words):
        """Run `watchroom …` against this monitor, without the cost of a process."""
        token = (self.monitor.state / "token").read_text().strip()
        done = CliRunner().invoke(
            watchroom,
            [*words, "--url", self.monitor.url],
            env={"WATCHROOM_TOKEN": token, "USER": "anna"},
        )
        code, error = done.exit_code, done.stderr
        if isinstance(done.exception, WatchroomError):  # as `main` says it
            code, error = 2, str(done.exception)
        return Done(code, done.stdout, error)
