"""Pages of incidents and the answer to a link, at a running monitor."""

from __future__ import annotations

import html
import re
import urllib.parse

from tests.support.oncall import API
from tests.support.waiting import until
from tests.support.watched import request

HTML = {"Accept": "text/html"}
EVIL = "<script>alert(1)</script>"


def text(page):
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))


def form_token(page):
    return re.search(r'name="form_token" value="(\w+)"', page)[1]


def post(url, session=None, **form):
    data = urllib.parse.urlencode({k.rstrip("_"): v for k, v in form.items()})
    return request(url, data=data.encode(), **HTML, **(session or {}))


def links(body):
    found = re.findall(r'(?:href|src|action|formaction)="([^"]+)"', body)
    return [html.unescape(link) for link in found]


def urls(value):
    """Yield every URL in a message, in whatever field it stands."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from urls(one)
    elif isinstance(value, str):
        yield from re.findall(r"https?://[^\s\"'<>|]+", html.unescape(value))


def test_a_crawler_that_follows_every_link_of_every_message_acknowledges_nothing(calm):
    number = calm.fires()["id"]
    answer = calm.here(calm.page(number)["ack_url"])
    own = f"/incidents/{number}"

    def said():
        """Return, per kind of receiver, the addresses in all it was told."""
        kinds = {
            "webhook": calm.messages(),
            "pagerduty": calm.pages.messages("/pagerduty"),
            "slack": calm.pages.messages("/slack"),
            "mail": calm.mails(),
        }
        return {
            kind: {calm.here(url) for url in urls(list(told))}
            for kind, told in kinds.items()
        }

    for kind in said():
        for wanted in (answer, f"{calm.monitor.url}{own}"):
            until(lambda k=kind, w=wanted: w in said()[k], 30, f"{wanted} by {kind}")
    waiting = set().union(*said().values())
    before = len(calm.incident(number)["timeline"])
    seen = set()
    while waiting and len(seen) < 150:
        url = waiting.pop().partition("#")[0]
        if url in seen or not url.startswith(calm.monitor.url):
            continue
        seen.add(url)
        # As strangers do, as a proxy passes them on, and as this machine does.
        for headers in ({}, {"X_Forwarded_For": "203.0.113.9"}):
            found = request(url, **HTML, **headers)
            waiting |= {urllib.parse.urljoin(url, link) for link in links(found.body)}
    assert answer in seen
    assert f"{calm.monitor.url}/incidents/{number}" in seen
    assert f"{calm.monitor.url}/incidents/{number}/acknowledge" in seen
    incident = calm.incident(number)
    assert incident["state"] == "firing"
    new = incident["timeline"][before:]
    assert "person" not in {event["source"] for event in new}
    calm.recovers(number)


def test_a_link_asks_who_it_is_and_answers_when_told(calm):
    number = calm.fires()["id"]
    url = calm.here(calm.page(number)["ack_url"])
    stranger = {"X_Forwarded_For": "203.0.113.9"}
    page = request(url, **stranger)
    assert page.status == 200
    assert "Anna" in text(page.body)
    assert "Sue" in text(page.body)
    assert "Log out" not in page.body
    nobody = post(url, as_="Eve", reason="hi")
    assert (nobody.status, "'Eve' isn't in contacts.yml" in text(nobody.body)) == (
        400,
        True,
    )
    assert post(url, as_="Anna", reason=" ").status == 400
    assert calm.incident(number)["state"] == "firing"
    done = post(url, as_="Anna", reason="looking into it", x="y")
    assert (done.status, done.headers["Location"]) == (303, url.rpartition("/")[2])
    assert calm.incident(number)["acknowledged"]["by"] == "Anna"
    again = request(url, **stranger)
    assert "Anna is on it" in text(again.body)
    assert "<button" not in again.body, "there is nothing left to answer"
    assert post(url, as_="Sue", reason="me too", silence="1h").status == 303
    assert calm.command("silence", "--list").stdout == "no silences\n"
    assert calm.incident(number)["acknowledged"]["by"] == "Anna"
    other = url.replace(f"/{number}-", f"/{number + 1}-")
    assert request(other).status == 404
    assert post(other, as_="Anna", reason="x").status == 404
    evil = request(url, data=b"as=Anna&reason=x", Origin="https://evil.example")
    assert evil.status == 403
    calm.recovers(number)


def test_the_page_of_an_incident_has_the_seven_steps_and_acts(calm):
    number = calm.fires()["id"]
    calm.page(number)
    url = f"{calm.monitor.url}/incidents/{number}"
    mine = calm.monitor.login()
    page = request(url, **HTML, **mine).body
    steps = re.findall(r"<li><h3>(\w+)", page)
    assert steps == [
        *("Look", "Triage", "Call", "Investigate", "Mitigate", "Tell", "Learn"),
    ]
    assert 'href="../runbooks/TooHigh"' in page
    assert "+49 30 1" in text(page)
    until(lambda: "; not acknowledged" in request(url).body, what="who was told")
    token = form_token(page)
    # Without the form's token a POST is nobody's.
    assert post(f"{url}/note", mine, as_="Sue", text="x").status == 403
    said = {"session": mine, "form_token": token, "as_": "Sue"}
    assert post(f"{url}/note", text=EVIL, **said).status == 303
    assert post(f"{url}/acknowledge", text="on it", **said).status == 303
    assert post(f"{url}/priority", priority="P3", **said).status == 303
    refused = post(f"{url}/resolve", text="enough", **said)
    assert refused.status == 400
    assert "still firing: TooHigh" in text(refused.body)
    assert 'value="enough"' in refused.body, "nothing typed is lost"
    page = request(url).body
    assert "Sue is on it" in text(page)
    assert EVIL not in page
    assert EVIL in text(page.replace("&lt;", "&lt;"))
    assert "P3" in text(page)
    calm.recovers(number)
    assert post(f"{url}/review", text="learnt a lot", **said).status == 303
    listed = text(request(f"{calm.monitor.url}/incidents/").body)
    assert "No open incidents" in listed
    assert "reviewed, acknowledged by Sue" in listed
    assert request(f"{calm.monitor.url}/incidents/999").status == 404


def test_one_can_be_opened_by_hand(calm):
    url = f"{calm.monitor.url}/incidents/"
    mine = calm.monitor.login()
    token = form_token(request(url, **mine).body)
    said = {"session": mine, "form_token": token, "as_": "Sue"}
    empty = post(url, title=" ", priority="P2", **said)
    assert empty.status == 400
    made = post(url, title="the office has no power", priority="P2", **said)
    number = int(made.headers["Location"])
    page = text(request(f"{url}{number}").body)
    assert "the office has no power" in page
    assert "opened by Sue at" in page
    resolved = post(f"{url}{number}/resolve", text="it has again", **said)
    assert resolved.status == 303


def test_the_first_page_says_who_is_on_it_and_what_was_deployed(calm):
    calm.monitor.post(f"{API}/deploys", b"version=v9&by=CI")
    number = calm.fires()["id"]
    front = f"{calm.monitor.url}/"
    until(lambda: "not acknowledged" in request(front).body, what="nobody is on it")
    mine = calm.monitor.login()
    page = request(front, **mine).body
    assert f'href="incidents/{number}"' in page
    actions = re.findall(r'action="(incidents/[^"]+)"', page)
    assert actions == [
        f"incidents/{number}/{act}" for act in ("acknowledge", "silence")
    ]
    said = {"as_": "Anna", "text": "rolling back", "session": mine}
    said["form_token"] = form_token(page)
    for act in actions:
        without = post(f"{front}{act}", mine, as_="Anna", text="x")
        assert without.status == 403
    until(
        lambda: re.search(
            r"v9 by CI \d+ s before TooHigh began", text(request(front).body)
        ),
        what="the deployment",
    )
    assert post(f"{front}{actions[0]}", **said).status == 303
    until(lambda: "Anna is on it" in request(front).body, what="Anna is on it")
    page = request(front).body
    assert re.search(
        r"Anna is on it: rolling back, since (\d\d \w+ )?\d\d:\d\d", text(page)
    )
    assert 'id="acknowledge"' not in page
    calm.recovers(number)


def test_a_silence_is_on_every_page_that_it_concerns_and_can_be_ended_there(calm):
    number = calm.fires()["id"]
    calm.page(number)
    front, own = f"{calm.monitor.url}/", f"{calm.monitor.url}/incidents/{number}"
    mine = calm.monitor.login()
    token = form_token(request(own, **mine).body)
    said = {"session": mine, "form_token": token, "as_": "Sue"}
    post(f"{own}/silence", text="the nightly export", **said)
    wanted = "silenced by Sue until"
    until(lambda: wanted in text(request(own).body), what="the incident's head")
    assert "Silence 1 h" not in text(request(own).body), "there is one already"
    assert "silenced: notifies nobody" in text(request(f"{front}alerts").body)
    assert "1 active silence: alertname=" in text(request(front).body)
    calm.recovers(number)
    # Nothing fires any more, and it still holds.
    until(lambda: "within its limit" in request(front).body, what="calm")
    board = text(request(front).body)
    assert re.search(
        r'1 active silence: alertname="TooHigh" until (\d\d \w+ )?[\d:]+ , '
        r"by Sue: the nightly",
        board,
    )
    assert "End now" not in request(f"{front}silences").body, "not logged in"
    listed = request(f"{front}silences", **mine).body
    assert 'alertname="TooHigh"' in text(listed)
    assert "by Sue : the nightly export" in text(listed)
    end = re.search(r'action="(silences/[^"]+/end)"', listed)[1]
    assert post(f"{front}{end}", mine, as_="Sue").status == 403, "no token, no end"
    assert post(f"{front}{end}", **said | {"as_": "Eve"}).status == 400
    done = post(f"{front}{end}", **said)
    assert done.status == 303
    back = urllib.parse.urljoin(f"{front}{end}", done.headers["Location"])
    assert "No active silences" in text(request(back).body)
    until(lambda: "active silence" not in request(front).body, what="its end")
    gone = end.replace(end.split("/")[1], "0" * 8 + "-0000" * 3 + "-" + "0" * 12)
    assert post(f"{front}{gone}", **said).status == 404
    assert calm.command("silence", "--list").stdout == "no silences\n"


def test_what_is_open_beside_what_fires_stays_on_the_first_page(calm):
    made = calm.monitor.post(
        f"{API}/incidents", b"title=the+office+has+no+power&priority=P1&as=Sue"
    )
    other = made.json["data"]["id"]
    calm.page(other)
    front = f"{calm.monitor.url}/"
    until(lambda: f"Incident {other} is open: the office" in request(front).body)
    # The receiver has the message before the monitor has the receiver's answer.
    until(lambda: "Anna via ops notified, delivered" in text(request(front).body))
    calm.target.paths["/metrics"] = "m 9\n"
    until(lambda: "TooHigh is firing" in request(front).body)
    (number,) = {one["id"] for one in calm.incidents()} - {other}
    page = request(front).body
    assert (
        f"also open: incident {other}, P1, not acknowledged: the office has no power"
        in text(page)
    )
    assert f'href="incidents/{other}"' in page
    calm.act(other, "acknowledge", as_="Sue", reason="calling the provider")
    calm.recovers(number)
    until(lambda: "Sue is on it: calling" in text(request(front).body), what="hers")
    calm.act(other, "resolve", as_="Sue", reason="power is back")


def test_an_alert_that_goes_on_says_on_its_incident_what_it_says_now(calm):
    number = calm.fires()["id"]
    assert "m is 9" in text(request(f"{calm.monitor.url}/incidents/{number}").body)
    calm.target.paths["/metrics"] = "m 31\n"
    until(lambda: calm.incident(number)["title"] == "m is 31", what="what it is now")
    calm.recovers(number)
