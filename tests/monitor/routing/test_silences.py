"""Silences and alerts over /api/v2: each scenario on ours and on Alertmanager."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import urllib.parse

import pytest
from tests.support import documents
from tests.support.listener import listening
from tests.support.ports import free_port
from tests.support.servers import get_json, running
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, request

RECEIVERS = documents.ROOT / "docs" / "receivers.md"
pytestmark = pytest.mark.judge("prometheus-alertmanager", "amtool")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Manager:
    """One of the two: where it answers, and who hears its pages."""

    def __init__(self, url, pages, bearer=None, http_config=None):
        self.url, self.pages = url, pages
        self.bearer = bearer or {}
        self.options = [f"--http.config.file={http_config}"] if http_config else []

    def call(self, path, body=None, method=None):
        """Return the status and the JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self.bearer}
        found = request(f"{self.url}/api/v2{path}", data=data, method=method, **headers)
        return found.status, json.loads(found.body) if found.body.strip() else None

    def amtool(self, *words):
        """Return what amtool prints."""
        command = ["amtool", f"--alertmanager.url={self.url}", *self.options, *words]
        # On the other channel it warns that ours is another version than its own.
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    def post(self, name, **more):
        """Post an alert; return the status."""
        more = {"labels": {"alertname": name, **more.pop("labels", {})}, **more}
        return self.call("/alerts", [more])[0]

    def paged(self, name):
        """Return the states of the pages about one alert, in order."""
        return [
            alert["status"]
            for message in self.pages.messages()
            for alert in message["alerts"]
            if alert["labels"]["alertname"] == name
        ]

    def alerts(self, name, **query):
        """Return the alerts of one name as the API lists them."""
        words = {"filter": f'alertname="{name}"', **query}
        return self.call(f"/alerts?{urllib.parse.urlencode(words)}")[1]


def amtools(monitor):
    """Write what docs/receivers.md gives amtool to send the token with."""
    text = next(
        text
        for text in documents.blocks(RECEIVERS, "yaml")
        if text.startswith("authorization:")
    )
    where = monitor.state.with_name("amtool-http.yml")
    where.write_text(text.replace("/var/lib/watchroom/shop", str(monitor.state)))
    return where


@pytest.fixture(scope="module", params=["watchroom", "alertmanager"])
def manager(request, tmp_path_factory):
    where = tmp_path_factory.mktemp(request.param)
    with listening() as pages:
        files = Files(where / "monitoring", pages.url()).write()
        if request.param == "watchroom":
            monitor = Monitor(files, where).start().ready()
            try:
                yield Manager(monitor.url, pages, monitor.bearer, amtools(monitor))
            finally:
                monitor.stop()
            return
        port = free_port()
        with running(
            "prometheus-alertmanager",
            f"--config.file={files.path / 'alertmanager.yml'}",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            cwd=where,
        ):
            url = f"http://127.0.0.1:{port}"
            until(lambda: get_json(f"{url}/api/v2/status"), seconds=30)
            yield Manager(url, pages)


def at(seconds):
    """Return a moment, in seconds from now, as the API takes it."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")


def silence(name, start=0, end=3600, **more):
    return {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False}],
        "startsAt": at(start),
        "endsAt": at(end),
        "createdBy": "ann",
        "comment": "known",
        **more,
    }


def test_amtool_silences_an_alert_and_expiring_tells_of_it(manager):
    said = manager.amtool(
        *("silence", "add", "alertname=Hushed", "--duration=1h"),
        *("--author=ann", "--comment=known, being fixed"),
    )
    name = said.strip()
    assert UUID.fullmatch(name), said
    assert manager.amtool("silence", "query", "-q", "alertname=Hushed") == said
    assert "known, being fixed" in manager.amtool("silence", "query")
    manager.amtool("alert", "add", "Hushed", "instance=a")
    manager.post("Heard")
    until(lambda: manager.paged("Heard"), seconds=30)
    (shown,) = until(lambda: manager.alerts("Hushed"))
    # Debian's Alertmanager does not say what time intervals mute.
    assert {"mutedBy": [], **shown["status"]} == {
        "state": "suppressed",
        "silencedBy": [name],
        "inhibitedBy": [],
        "mutedBy": [],
    }
    assert manager.paged("Hushed") == []
    assert "Hushed" not in manager.amtool("alert", "query")
    assert "Hushed" in manager.amtool("alert", "query", "--silenced")

    manager.amtool("silence", "expire", name)

    until(lambda: manager.paged("Hushed") == ["firing"], seconds=30)
    assert "Hushed" in manager.amtool("alert", "query", "alertname=Hushed")
    assert manager.amtool("silence", "query", "-q", "alertname=Hushed") == ""
    assert said in manager.amtool("silence", "query", "-q", "--expired")


def test_an_alert_posted_twice_keeps_its_start_and_ends_once(manager):
    manager.post("Twice", startsAt=at(-60), endsAt=at(600))
    manager.post("Twice", startsAt=at(-30), annotations={"note": "second"})
    (shown,) = until(lambda: manager.alerts("Twice"), seconds=30)
    assert dt.datetime.fromisoformat(shown["startsAt"]) < dt.datetime.fromisoformat(
        at(-50)
    )
    # The second has no end of its own, so the first's stands.
    assert dt.datetime.fromisoformat(shown["endsAt"]) > dt.datetime.fromisoformat(
        at(400)
    )
    assert shown["annotations"] == {"note": "second"}
    until(lambda: manager.paged("Twice") == ["firing"], seconds=30)
    manager.post("Twice", startsAt=at(-60), endsAt=at(0))
    until(lambda: manager.paged("Twice") == ["firing", "resolved"], seconds=30)
    assert manager.alerts("Twice") == []


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (silence("x", 60, 30), 400, "start time must be before end time"),
        (silence("x", -60, -30), 400, "end time can't be in the past"),
        (silence("x", matchers=[]), 422, ""),
        (
            silence("x", matchers=[{"name": "a", "value": ".*", "isRegex": True}]),
            400,
            "at least one matcher must not match the empty string",
        ),
        (
            silence("x", matchers=[{"name": "a", "value": "(", "isRegex": True}]),
            400,
            "",
        ),
        (silence("x", id="5a6f1f5e-0000-4000-8000-000000000000"), 404, "not found"),
        ({"matchers": []}, 422, ""),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_the_same_status(
    manager, body, status, why
):
    found, answer = manager.call("/silences", body)
    assert found == status
    assert why in json.dumps(answer)


def test_an_end_can_be_moved_and_any_other_change_makes_another(manager):
    _, made = manager.call("/silences", silence("Moved"))
    first = made["silenceID"]
    _, kept = manager.call(f"/silence/{first}")
    assert kept["status"] == {"state": "active"}
    again = {**silence("Moved", end=7200), "startsAt": kept["startsAt"], "id": first}
    assert manager.call("/silences", again)[1] == {"silenceID": first}
    other = {**again, "matchers": silence("Other")["matchers"]}
    second = manager.call("/silences", other)[1]["silenceID"]
    assert second != first
    assert manager.call(f"/silence/{first}")[1]["status"] == {"state": "expired"}
    for _ in range(2):
        assert manager.call(f"/silence/{second}", method="DELETE")[0] == 200
    unknown = "/silence/5a6f1f5e-0000-4000-8000-000000000000"
    assert manager.call(unknown)[0] == 404
    # Alertmanager 0.25 takes its own "not found" for a failure.
    assert manager.call(unknown, method="DELETE")[0] in {404, 500}


def test_silences_are_listed_and_filtered_alike(manager):
    for start in (0, 600):
        manager.call("/silences", silence("Listed", start, 3600))
    query = urllib.parse.urlencode({"filter": 'alertname="Listed"'})
    found = manager.call(f"/silences?{query}")[1]
    assert [one["status"]["state"] for one in found] == ["active", "pending"]
    assert set(found[0]) == {
        *("id", "status", "updatedAt", "comment", "createdBy", "endsAt"),
        *("matchers", "startsAt"),
    }
    assert found[0]["matchers"] == [
        {"isEqual": True, "isRegex": False, "name": "alertname", "value": "Listed"}
    ]


@pytest.mark.parametrize(
    ("alert", "status"),
    [
        ({"labels": {}}, 400),
        ({"labels": {"a": "b"}, "startsAt": at(10), "endsAt": at(5)}, 400),
        ({"annotations": {}}, 422),
    ],
)
def test_an_invalid_alert_is_refused_with_the_same_status(manager, alert, status):
    assert manager.call("/alerts", [alert])[0] == status


def test_alerts_are_filtered_by_receiver_and_state(manager):
    manager.post("Filtered")
    until(lambda: manager.alerts("Filtered"), seconds=30)
    assert len(manager.alerts("Filtered", receiver="op.*")) == 1
    assert manager.alerts("Filtered", receiver="op") == []
    until(lambda: manager.paged("Filtered"), seconds=30)
    assert manager.alerts("Filtered", active="false") == []
    query = urllib.parse.urlencode({"filter": 'alertname="Filtered"'})
    (group,) = manager.call(f"/alerts/groups?{query}")[1]
    assert group["labels"] == {"alertname": "Filtered"}
    assert manager.call("/receivers")[1] == [{"name": "ops"}]
