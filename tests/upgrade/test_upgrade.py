"""An upgrade while alerts fire: today's monitor goes on with what a release left.

One upgrade a release, all of it in the fixture; the tests look at what came of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
from datetime import datetime

import pytest
from tests.support.listener import listening
from tests.support.release import RELEASES, Release, place
from tests.support.waiting import until
from tests.support.watched import Target, request

pytestmark = pytest.mark.slow
API = "/api/v1/watchroom"
HTML = {"Accept": "text/html"}
OUTSIDE = {"X_Forwarded_For": "203.0.113.9"}
GROWS = re.compile(
    r'^(http_requests_total\{.*status="(200|500)".*\}) (\S+)$', re.MULTILINE
)
DOWNTIME = 10.0
# Kinds of timeline entries that have another name since 0.1.
RENAMED = {
    "told": "notified",
    "called": "paged",
    "forgotten": "paged_again",
    "unseen": "no_data",
}
NAMES = sorted(one.name for one in RELEASES.iterdir() if (one / "left.tar.xz").exists())


def served(exposition, good):
    """Return what writes the exporter's answer: as left, failing on and on.

    Args:
        exposition: As the old exporter answered last.
        good: Set once that many more requests succeed that the outage is over.
    """
    began = time.monotonic()
    assert 'status="500"' in exposition, "requests fail"

    def grown(found):
        more = round((time.monotonic() - began + DOWNTIME) * 5)
        if found[2] == "200":
            more = 100_000 if good.is_set() else 0
        return f"{found[1]} {float(found[3]) + more:g}"

    def answer(handler):
        handler.reply(GROWS.sub(grown, exposition))

    return answer


def starts(alerts):
    """Return alert name → state and since when, without what only machines hear of."""
    return {
        one["labels"]["alertname"]: (
            one["state"],
            datetime.fromisoformat(one["activeAt"]).timestamp(),
        )
        for one in alerts
        if one["labels"]["severity"] != "none"
    }


class Upgraded:
    """Today's monitor over a release's files, its target and its receivers."""

    def __init__(self, release, pages, audit):
        self.release, self.pages, self.audit = release, pages, audit
        self.known = release.known
        self.target = Target()
        self.good = threading.Event()
        self.target.paths["/metrics"] = served(release.exposition, self.good)
        self.target.paths["/drill/targets"] = lambda handler: handler.reply(
            "[]", "application/json"
        )
        self.place()
        self.monitor = release.monitor(DOWNTIME)

    def place(self):
        """Let the built files name our addresses, in a copy that the monitor reads."""
        release = self.release
        shutil.copytree(release.built, release.monitoring, dirs_exist_ok=True)
        pages = f"127.0.0.1:{self.pages.port}"
        place(release.monitoring, self.target.address, pages, self.audit.url("/audit"))

    def close(self):
        self.monitor.stop()
        self.target.close()

    def data(self, path):
        return self.monitor.get(path).json["data"]

    def alerts(self):
        return starts(self.data("/api/v1/alerts")["alerts"])

    def heard(self):
        """Return what receivers heard since the upgrade, with the key of each."""
        hooks = [*self.pages.messages("/ops"), *self.audit.messages()]
        found = [
            (m["receiver"], m["commonLabels"]["alertname"], m["status"], m["groupKey"])
            for m in hooks
        ]
        events = self.pages.messages("/pager")
        return found + [("pager", m["event_action"], m["dedup_key"]) for m in events]

    def look(self, times):
        """Wait until the monitor has looked after its incidents so often again."""
        seen = re.compile(r"^watchroom_incidents_looks_total (\S+)", re.MULTILINE)

        def looks():
            return float(seen.search(self.monitor.get("/metrics").body)[1])

        before = looks()
        until(lambda: looks() >= before + times, 60, "incidents are looked after")

    def build(self, *options):
        """Run today's build of the release's project; return its end."""
        return subprocess.run(
            [
                *(sys.executable, "-m", "watchroom", "build"),
                *(str(self.release.built), *options),
            ],
            cwd=self.release.folder / "project",
            capture_output=True,
            text=True,
            check=False,
        )


class Results:
    """What came of one upgrade, in the order in which it was done."""

    def __init__(self, upgraded):
        known, monitor = upgraded.known, upgraded.monitor
        self.known = known
        self.ids = [one["id"] for one in known["incidents"]]
        until(upgraded.heard, 30, "the delivery that was owed")
        upgraded.look(2)
        self.heard = upgraded.heard()
        self.alerts = upgraded.alerts()
        self.incidents = [upgraded.data(f"{API}/incidents/{n}") for n in self.ids]
        self.open = upgraded.data(f"{API}/incidents")
        self.silences = monitor.get("/api/v2/silences").json
        self.shown = monitor.get("/api/v2/alerts").json
        self.proofs = upgraded.data(f"{API}/proofs")
        self.deploys = upgraded.data(f"{API}/deploys")
        self.checklist = monitor.get("/checklist", **HTML).body
        self.login = monitor.get("/", **OUTSIDE, **known["login"]).status
        self.ended_login = monitor.get("/", **OUTSIDE, **known["ended_login"]).status
        self.samples = upgraded.data(
            "/api/v1/query?query=count_over_time(up{job='app'}[1m])"
            f"&time={known['stopped_at'] - 10}"
        )["result"]
        link = urllib.parse.urlsplit(known["answer_link"]).path
        self.link = request(monitor.url + link, **HTML)
        form = urllib.parse.urlencode({"as": "Ben", "reason": "I call the bank"})
        self.answered = request(monitor.url + link, data=form.encode(), **HTML)
        self.stale = upgraded.build("--check")
        self.built = upgraded.build()
        self.fresh = upgraded.build("--check")
        upgraded.place()
        self.reloaded = monitor.post("/-/reload").body
        upgraded.look(2)
        self.alerts_rebuilt = upgraded.alerts()
        self.heard_rebuilt = upgraded.heard()
        self.incidents_after = [upgraded.data(f"{API}/incidents/{n}") for n in self.ids]
        upgraded.good.set()
        before = len(self.heard_rebuilt)
        until(lambda: len(upgraded.heard()) >= before + 3, 90, "the end of HttpOutage")
        self.ends = [one for one in upgraded.heard() if one not in self.heard_rebuilt]
        self.log = monitor.log.read_text()


@pytest.fixture(scope="module", params=NAMES)
def after(request, tmp_path_factory):
    release = Release(request.param, tmp_path_factory.mktemp("upgrade"))
    with listening() as pages, listening() as audit:
        upgraded = Upgraded(release, pages, audit)
        try:
            upgraded.monitor.start().ready()
            yield Results(upgraded)
        finally:
            upgraded.close()


def key(known, receiver, alert):
    """Return the group key under which the old monitor paged."""
    (found,) = {
        m["groupKey"]
        for m in known["messages"][receiver]
        if m["commonLabels"]["alertname"] == alert and "[DRILL]" not in str(m)
    }
    return found


def test_what_was_owed_goes_out_under_its_key_and_nothing_else_does(after):
    owed = ("audit", "HttpOutage", "firing", key(after.known, "audit", "HttpOutage"))
    assert after.heard == [owed]
    assert after.heard_rebuilt == [owed], "nor does anything after a rebuild"


def test_alerts_fire_and_wait_since_they_did(after):
    left = starts(after.known["alerts"])
    assert {name: state for name, (state, _) in left.items()} == {
        "HttpOutage": "firing",
        "HighErrorRate": "pending",
        "OrdersUnpaid": "firing",
        "StockMissing": "firing",
    }
    for now in (after.alerts, after.alerts_rebuilt):
        for name, (state, since) in left.items():
            # Time that nobody watched does not count towards `for`.
            gap = 0 if state == "firing" else DOWNTIME + 10
            assert now[name][0] == state, name
            assert since <= now[name][1] <= since + gap, name
        assert set(now) == set(left)


def test_incidents_with_their_acknowledgement_and_timeline_are_there(after):
    for left, now in zip(after.known["incidents"], after.incidents, strict=True):
        for name in ("title", "priority", "state", "opened", "acknowledged"):
            assert now[name] == left[name], name
        then = [
            {**event, "kind": RENAMED.get(event["kind"], event["kind"])}
            for event in left["timeline"]
        ]
        assert now["timeline"][: len(then)] == then
    assert [one["state"] for one in after.incidents] == ["firing", "acknowledged"]
    assert "Ann" in str(after.incidents[1])
    assert {one["id"] for one in after.open} == set(after.ids)


def test_the_silence_is_active(after):
    assert after.silences == after.known["silences"]
    (missing,) = [a for a in after.shown if a["labels"]["alertname"] == "StockMissing"]
    assert missing["status"]["silencedBy"] == [after.silences[0]["id"]]


def test_samples_of_before_answer_queries(after):
    (found,) = after.samples
    assert float(found["value"][1]) >= 10, "one each five seconds"


def test_proofs_and_deployments_are_shown(after):
    assert ("drill", "OrdersUnpaid") in {(p["kind"], p["name"]) for p in after.proofs}
    assert after.proofs == after.known["proofs"]
    assert after.deploys == after.known["deploys"] != []
    assert "OrdersUnpaid" in after.checklist


def test_a_login_is_valid_and_an_ended_one_is_not(after):
    assert (after.login, after.ended_login) == (200, 401)


def test_the_link_in_a_message_still_acknowledges(after):
    assert (after.link.status, "OrdersUnpaid" in after.link.body) == (200, True)
    assert after.answered.status in {200, 303}
    assert "Ben" not in str(after.incidents[0])
    assert after.incidents_after[0]["state"] == "acknowledged"
    assert "Ben" in str(after.incidents_after[0])


def test_build_says_that_files_are_stale_and_builds_them(after):
    if after.stale.returncode:  # not where the version differs in nothing that is built
        assert re.search(r"is stale: run `watchroom build \S+`", after.stale.stderr)
    assert (after.built.returncode, after.fresh.returncode) == (0, 0), (
        after.built.stderr
    )
    assert after.reloaded == "reloaded\n"


def test_an_end_is_sent_under_the_keys_of_its_pages(after):
    known = after.known
    triggered = [
        ("pager", "resolve", one["dedup_key"])
        for one in known["messages"]["pager"]
        if one["event_action"] == "trigger"
    ]
    hooks = [
        (name, "HttpOutage", "resolved", key(known, name, "HttpOutage"))
        for name in ("audit", "ops")
    ]
    assert sorted(after.ends) == sorted(hooks + triggered)


def test_nothing_is_logged_as_corrupt_or_as_a_failure(after):
    assert not re.search(r"corrupt|damaged|Traceback|ERROR", after.log), after.log
