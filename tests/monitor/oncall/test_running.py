"""On call at a running monitor: API, commands, kill -9."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from tests.support.oncall import API, CONTACTS
from tests.support.waiting import until


def test_a_page_is_answered_by_command_and_the_timeline_tells_all(calm):
    number = calm.fires()["id"]
    links = calm.page(number)
    assert f"/answer/{number}-" in links["ack_url"]
    listed = calm.command("ack")
    assert listed.returncode == 0
    assert f"{number}  P1  firing" in listed.stdout
    done = calm.command("ack", "--reason", "looking at the deploy", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["acknowledged"]["by"] == "Anna"
    again = calm.command("ack", str(number), "--reason", "me too")
    assert (again.returncode, "already acknowledged by Anna" in again.stderr) == (1, 1)
    assert calm.command("ack", "--reason", "x").returncode == 1
    assert calm.act(number, "note", as_="Sue", text="customers told").status == 200
    assert calm.act(number, "resolve", as_="Sue", text="done").status == 409
    assert calm.act(number, "note", as_="Eve", text="hm").status == 400
    assert calm.act(number, "explode", as_="Sue").status == 404
    assert calm.act(999, "note", as_="Sue", text="x").status == 404
    calm.recovers(number)
    until(
        lambda: (
            {"firing", "notified", "acknowledged", "note", "ended", "resolved"}
            <= {event["kind"] for event in calm.incident(number)["timeline"]}
        ),
        what="the whole timeline",
    )


def test_pagerduty_hears_of_the_acknowledgement_under_the_same_key(calm):
    earlier = len(calm.duty())
    number = calm.fires()["id"]
    _, key = until(
        lambda: [e for e in calm.duty()[earlier:] if e[0] == "trigger"],
        what="it is told",
    )[0]
    before, old = len(calm.duty()), len(calm.incident(number)["timeline"])
    calm.pages.answers += [503] * 2
    assert calm.act(number, "acknowledge", as_="Anna", reason="on it").status == 200

    def said():
        return [event["text"] for event in calm.incident(number)["timeline"][old:]]

    passed = "duty accepted the acknowledgement"
    until(lambda: passed in said(), 20, what="passed on")
    heard = [event for event in calm.duty()[before:] if event[1] == key]
    assert heard == [("acknowledge", key)] * 3, "until it was taken, and not again"
    calm.recovers(number)
    until(
        lambda: ("resolve", key) in calm.duty()[before:], what="PagerDuty has resolved"
    )
    refused = "duty hasn't accepted the acknowledgement yet: answered 503"
    assert [text for text in said() if refused in text]


def test_a_vanished_series_leaves_its_incident_open_until_it_is_back(calm):
    number = calm.fires()["id"]
    calm.target.paths["/metrics"] = None
    until(
        lambda: "no_data" in {e["kind"] for e in calm.incident(number)["timeline"]},
        what="the alert ended unseen",
    )
    assert calm.incident(number)["state"] == "firing"
    assert calm.incident(number)["alerts"][0]["series_missing"] is True
    calm.recovers(number)


def test_a_posted_alert_that_expired_resolves_its_incident(calm):
    ends = datetime.now(UTC) + timedelta(seconds=8)
    labels = {"alertname": "BackupFailed", "severity": "critical", "priority": "P1"}
    body = json.dumps([{"labels": labels, "endsAt": ends.isoformat()}]).encode()
    posted = calm.monitor.post("/api/v2/alerts", body, Content_Type="application/json")
    assert posted.status == 200
    ((number, state),) = [(one["id"], one["state"]) for one in calm.incidents()]
    assert state == "firing"
    said = f"Incident {number} is open: BackupFailed"
    until(lambda: said in calm.monitor.get("/").body, what="the first page names it")
    assert "<h2>BackupFailed</h2>" in calm.monitor.get("/alerts").body
    until(lambda: calm.incident(number)["state"] == "resolved", 30, what="it is over")
    assert "BackupFailed" not in calm.monitor.get("/alerts").body


def test_a_new_release_and_a_said_one_are_marked(calm):
    calm.target.paths["/metrics"] = 'm 1\nwatchroom_release_info{release="v1"} 1\n'
    until(lambda: calm.monitor.value("watchroom_release_info") == 1, what="v1 is seen")
    said = calm.command("deploy", "v2", "--by", "CI")
    assert said.stdout == "marked: v2 by CI\n", said.stderr

    def marks():
        found = calm.monitor.get(f"{API}/deploys").json["data"]
        return [one for one in found if one["version"] != "v9"]  # another test's

    assert [(one["version"], one["by"]) for one in marks()] == [("v2", "CI")]
    before = calm.looks()
    until(lambda: calm.looks() >= before + 2, what="a look has seen v1")
    for release in ("v2", "v3"):
        calm.target.paths["/metrics"] = (
            f'm 1\nwatchroom_release_info{{release="{release}"}} 1\n'
        )
        until(
            lambda release=release: (
                marks()[0]["version"] == release and marks()[0]["seen_on_processes"]
            ),
            what=f"{release} is marked as seen",
        )
    assert [(one["version"], one["by"]) for one in marks()] == [
        ("v3", None),
        ("v2", "CI"),
    ]
    assert calm.monitor.post(f"{API}/deploys", b"version=").status == 400
    newest = marks()[0]["at"]
    later = calm.monitor.get(f"{API}/deploys?start={newest + 1}&end={newest + 2}")
    assert later.json["data"] == []
    assert calm.monitor.get(f"{API}/deploys?limit=x").status == 400


def test_an_alert_is_silenced_by_command_for_a_while(calm):
    wrong = calm.command("silence", "TooHigh")
    assert (wrong.returncode, "--reason is required" in wrong.stderr) == (2, True)
    bad = calm.command("silence", "Too High", "--reason", "x")
    assert (bad.returncode, "isn't a matcher" in bad.stderr) == (2, True)
    typo = calm.command("silence", "ToHigh", "--reason", "x")
    assert (typo.returncode, "did you mean TooHigh?" in typo.stderr) == (2, True)
    made = calm.command(
        *("silence", "TooHigh", "environment=~te.*", "--for", "10m"),
        *("--reason", "the nightly export", "--as", "Sue", "--json"),
    )
    name = json.loads(made.stdout)["silenceID"]
    gone = calm.command("silence", "--expire", "no-such-id").stderr
    assert "watchroom silence --list --url http" in gone
    listed = calm.command("silence", "--list").stdout
    assert re.search(rf"{name}  (10 min|9 min 5\d s) left", listed)
    assert 'alertname="TooHigh", environment=~"te.*"' in listed
    assert "Sue: the nightly export" in listed
    calm.target.paths["/metrics"] = "m 9\n"
    until(lambda: calm.monitor.value("ALERTS") == 1, what="it fires")
    until(
        lambda: calm.monitor.get("/api/v2/alerts").json[0]["status"]["silencedBy"],
        what="it is silenced",
    )
    assert calm.incidents() == [], "what is silenced opens no incident"
    assert calm.command("silence", "--expire", name).returncode == 0
    assert calm.command("silence", "--expire", "no-such-id").returncode == 1
    assert calm.command("silence", "--list").stdout == "no silences\n"
    number = calm.fires()["id"]
    done = calm.act(number, "silence", as_="Sue", reason="known", for_="2h")
    kinds = [event["kind"] for event in done.json["data"]["timeline"]]
    assert kinds[-1] == "silenced"
    found = json.loads(calm.command("silence", "--list", "--json").stdout)
    assert [one["createdBy"] for one in found] == ["Sue"]
    assert found[0]["matchers"][0]["name"] == "alertname"
    calm.command("silence", "--expire", found[0]["id"])
    # One made by command, or by amtool, stands in the timeline too, and once.
    until(
        lambda: calm.incident(number)["timeline"][-1]["kind"] == "unsilenced",
        what="the end of the first is written",
    )
    before = len(calm.incident(number)["timeline"])
    other = calm.command(
        "silence", "job=other", "--for", "1h", "--reason", "x", "--json"
    )
    made = calm.command(
        *("silence", "TooHigh", "--for", "1h", "--reason", "known", "--as", "Sue"),
        "--json",
    )
    name = json.loads(made.stdout)["silenceID"]
    found = calm.monitor.get(f"/api/v2/silence/{name}").json
    again = json.dumps(found).encode()
    json_ = {"Content-Type": "application/json"}
    assert calm.monitor.post("/api/v2/silences", again, **json_).json["silenceID"]
    for one in (name, json.loads(other.stdout)["silenceID"]):
        assert calm.command("silence", "--expire", one).returncode == 0

    def silences():
        told = calm.incident(number)["timeline"][before:]
        return [one for one in told if "silence" in one["kind"]]

    until(lambda: len(silences()) > 1, what="its end is written")
    told = silences()
    assert [(one["kind"], one["author"]) for one in told] == [
        ("silenced", "Sue"),
        ("unsilenced", ""),
    ]
    assert told[0]["text"] == 'for 1 h, alertname="TooHigh": known'
    calm.recovers(number)


def test_kill_9_keeps_the_incident_and_its_acknowledgement(calm):
    number = calm.fires()["id"]
    assert calm.act(number, "acknowledge", as_="Anna", reason="on it").status == 200
    before = calm.incident(number)
    calm.monitor.kill()
    calm.monitor.start().ready()
    after = until(lambda: calm.incident(number), what="it is back")
    assert after["state"] == "acknowledged"
    assert after["timeline"][: len(before["timeline"])] == before["timeline"]
    assert [one["id"] for one in calm.incidents()] == [number]
    calm.recovers(number)


def test_wrong_contacts_are_refused_with_their_line_and_the_old_stay(calm):
    path = calm.files.path / "local" / "contacts.yml"
    path.write_text("contacts:\n  - {name: Bob, receivers: [nobody]}\n")
    answer = calm.monitor.post("/-/reload")
    assert answer.status == 400
    assert "contacts.yml:2: contacts[0].receivers[0]: no receiver" in answer.body
    names = calm.monitor.get(f"{API}/contacts").json["data"]["contacts"]
    assert [one["name"] for one in names] == ["Anna", "Sue"]
    path.write_text(CONTACTS.replace("Sue", "Tim"))
    assert calm.monitor.post("/-/reload").status == 200
    names = calm.monitor.get(f"{API}/contacts").json["data"]["contacts"]
    assert [one["name"] for one in names] == ["Anna", "Tim"]
    path.write_text(CONTACTS)
    assert calm.monitor.post("/-/reload").status == 200


def test_everything_of_it_needs_the_token_through_a_proxy(calm):
    via = {"X_Forwarded_For": "203.0.113.9"}
    for path in ("/incidents", "/incidents/1", "/deploys", "/contacts"):
        assert calm.monitor.get(API + path, **via).status == 401
    for path in ("/incidents", "/incidents/1/acknowledge", "/deploys"):
        assert calm.monitor.post(API + path, b"x=1", stranger=True, **via).status == 401
