"""Each item of the checklist: verified, to be done, or not to be verified here."""

from __future__ import annotations

import json
import os
import shlex
import socket
import time
from datetime import UTC, datetime

import msgspec
import pytest
import yaml
from tests.support.ports import free_port

from watchroom.formats import receivers
from watchroom.formats.checklist import ITEMS
from watchroom.prove.checklist import run
from watchroom.prove.checklist.run import PROBES, Checked
from watchroom.prove.checklist.world import Finding, Given
from watchroom.prove.drills.batch import BatchOutcome
from watchroom.prove.drills.drill import DrilledRule, Verdict
from watchroom.prove.drills.results import of_drills
from watchroom.prove.loaded import rules_of
from watchroom.prove.receivers import reach
from watchroom.prove.records import Result
from watchroom.units import parse_duration

GREEN, RED, UNCLEAR = "passed", "failed", "unverifiable"
DAY = 86400.0
HEALTH = {"status": "ok", "checks": {"database": "ok", "cache": "ok"}}


def found(item, world):
    """Probe one item as `check` does."""
    (one,) = [each for each in ITEMS if each.id == item]
    finding = run._probe(world, one)
    print(finding)
    return finding


def site(peer):
    """Return the change that makes the peer the only public site."""
    return lambda document: document.update(sites=[f"{peer.url}/"])


def answer(result):
    return {"status": "success", "data": result}


def vector(*values):
    return answer({"result": [{"metric": {}, "value": [0, v]} for v in values]})


def ago(days):
    return time.time() - days * DAY


def test_every_item_has_a_probe_and_no_probe_is_without_item():
    assert {item.id for item in ITEMS} == set(PROBES)


@pytest.mark.parametrize(
    ("states", "code"),
    [([GREEN, GREEN], 0), ([GREEN, UNCLEAR], 3), ([RED, UNCLEAR, GREEN], 1)],
)
def test_the_exit_code_tells_undone_from_unverifiable(states, code):
    checked = [Checked(ITEMS[0], Finding(state, "")) for state in states]
    assert run.exit_code(checked) == code


class TestHealth:
    def test_well(self, peer, world):
        peer.paths |= {"/health/": HEALTH, "/livez": {}, "/readyz": {}}
        finding = found("health-endpoint", world(change=site(peer)))
        assert finding.state == GREEN
        assert "cache, database" in finding.evidence

    def test_ill(self, peer, world):
        ill = {"status": "degraded", "checks": {"database": "error", "cache": "ok"}}
        peer.paths |= {"/health/": (503, ill), "/livez": {}, "/readyz": (503, ill)}
        finding = found("health-endpoint", world(change=site(peer)))
        assert finding.state == RED
        assert "failing checks: database" in finding.evidence

    def test_below_a_path_of_the_server(self, peer, world):
        peer.paths |= {"/shop/health/": HEALTH, "/shop/livez": {}, "/shop/readyz": {}}
        peer.paths |= {"/shop/": "the front page", "/health/": "of another app"}
        there = {"sites": [f"{peer.url}/shop/", f"{peer.url}/shop/orders/new"]}
        finding = found("health-endpoint", world(change=lambda d: d.update(there)))
        assert finding.state == GREEN
        assert f"{peer.url}/shop/health/ ok" in finding.evidence
        asked = [one.path for one in peer.asked]
        assert asked.count("/shop/livez") == 1
        assert asked.count("/shop/health/") == len(there["sites"])

    def test_not_there(self, peer, world):
        peer.paths["/health/"] = HEALTH
        finding = found("health-endpoint", world(change=site(peer)))
        assert finding.state == RED
        assert "/livez, /readyz not found" in finding.evidence
        assert "watchroom.urls" in finding.next

    def test_nobody_home(self, world):
        gone = {"sites": ["http://127.0.0.1:9/"]}
        finding = found("health-endpoint", world(change=lambda d: d.update(gone)))
        assert finding.state == RED
        assert "can't reach" in finding.evidence

    def test_no_site(self, world):
        finding = found("health-endpoint", world(change=lambda d: d.update(sites=[])))
        assert finding.state == UNCLEAR
        assert "SITES" in finding.next


def target(health="up", seconds=1.0, job="app"):
    at = datetime.fromtimestamp(time.time() - seconds, UTC)
    return {
        "labels": {"job": job, "instance": "i"},
        "health": health,
        "lastError": "refused" if health == "down" else "",
        "lastScrape": at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
    }


class TestScraping:
    @pytest.mark.parametrize(
        ("targets", "fresh", "state", "said"),
        [
            ([{}, {"job": "drill-x", "health": "down"}], ["2.1"], GREEN, "1 of"),
            ([{}, {"health": "down"}], ["2.1"], RED, "app i (refused)"),
            ([{"seconds": 9000}], ["2.1"], RED, "not scraped for 9"),
            ([], ["2.1"], RED, "has no targets"),
            ([{}], [], RED, "none serves the app's metrics"),
        ],
    )
    def test_targets(self, peer, world, targets, fresh, state, said):
        listed = [target(**one) for one in targets]
        peer.paths["/api/v1/targets"] = answer({"activeTargets": listed})
        peer.paths["/api/v1/query"] = vector(*fresh)
        finding = found("scraping", world())
        assert finding.state == state
        assert said in finding.evidence

    @pytest.mark.parametrize("refused", [True, False])
    def test_a_site_that_the_exporter_has_not_read_yet(self, peer, world, refused):
        error = "server returned HTTP status 400 Bad Request" if refused else "refused"
        down = target(health="down", job="site") | {"lastError": error}
        peer.paths["/api/v1/targets"] = answer({"activeTargets": [target(), down]})
        peer.paths["/api/v1/query"] = vector("2.1")
        finding = found("scraping", world())
        assert ("restart the exporter" in finding.next) is refused

    def test_a_server_that_is_gone(self, world):
        gone = world()
        gone = gone._replace(chain=gone.chain._replace(prometheus="http://127.0.0.1:9"))
        assert found("scraping", gone).state == RED


class TestRules:
    @pytest.fixture(autouse=True)
    def loaded(self, peer, world):
        built = world().built
        rules = rules_of(built.manifest)
        self.rules = [
            {
                "type": "alerting",
                "name": rule.name,
                "query": rule.expr,
                "duration": parse_duration(rule.hold),
                "labels": {**rule.labels, "vital": "x"},
                "health": "ok",
            }
            for rule in rules
        ]
        self.routing = (built.directory / "alertmanager.yml").read_text()
        peer.paths["/api/v1/rules"] = lambda _: answer(
            {"groups": [{"rules": self.rules}]}
        )
        peer.paths["/api/v2/status"] = lambda _: {"config": {"original": self.routing}}

    def test_all_drilled_lately(self, world, drilled):
        finding = found("alerting-rules", world(drilled(days=2)))
        assert finding.state == GREEN
        assert "2 d ago" in finding.evidence

    @pytest.mark.parametrize(
        ("days", "changes", "said"),
        [
            (31, {}, "haven't been drilled"),
            (1, {"of": "another"}, "in their current form"),
            (1, {"state": "failed", "detail": "routed: no route"}, "routed: no route"),
        ],
    )
    def test_a_drill_too_old_or_of_another_rule_or_broken(
        self, world, drilled, days, changes, said
    ):
        finding = found("alerting-rules", world(drilled(days, **changes)))
        assert finding.state == RED
        assert said in finding.evidence
        assert "watchroom drill" in finding.next

    def test_never_drilled(self, world):
        assert found("alerting-rules", world()).next == "watchroom drill --all"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda rule: rule.update(name="Other"), "has not loaded 1"),
            (lambda rule: rule.update(query="vector(1) > 2"), "a different expression"),
            (lambda rule: rule.update(duration=3600.0), "for 1h instead of"),
            (lambda rule: rule["labels"].update(severity="info"), "severity info"),
            (lambda rule: rule["labels"].pop("priority"), "priority missing"),
            (lambda rule: rule.update(health="err"), "these rules fail"),
        ],
    )
    def test_rules_that_are_not_the_built_ones(self, world, drilled, change, said):
        change(self.rules[0])
        finding = found("alerting-rules", world(drilled()))
        assert finding.state == RED
        assert said in finding.evidence

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("name: chat", "name: chats", "missing: chat"),
            ('severity="warning"', 'severity="warming"', "different routes"),
            ("group_wait: 30s", "group_wait: 5m", "different routes"),
            ("webhook_configs", "slack_configs", "of different kinds: "),
            ("source_matchers", "other_matchers", "different inhibitions"),
            ("route:", "roots:", "can't be read"),
        ],
    )
    def test_routes_that_are_not_the_built_ones(self, world, drilled, old, new, said):
        assert old in self.routing
        self.routing = self.routing.replace(old, new)
        finding = found("alerting-rules", world(drilled()))
        assert finding.state == RED
        assert said in finding.evidence

    def test_defaults_and_secrets_as_alertmanager_shows_them_are_no_difference(
        self, world, drilled
    ):
        config = yaml.safe_load(self.routing)
        config["global"] = {"resolve_timeout": "5m", "smtp_hello": "localhost"}
        config["route"]["continue"] = False
        for route in config["route"]["routes"]:
            route.setdefault("continue", False)
        for receiver in config["receivers"]:
            for hook in receiver.get("webhook_configs", []):
                hook.update(send_resolved=True, url="<secret>", timeout="0s")
        self.routing = yaml.safe_dump(config)
        assert found("alerting-rules", world(drilled())).state == GREEN

    def test_commands_ask_the_servers_that_the_user_named(self, world):
        given = Given("mon dir", "http://p:9090", "http://a:9093", "http://e:9000")
        following = found("alerting-rules", world(given=given)).next
        assert shlex.split(following) == [
            *("watchroom", "drill", "--all", "--dir", "mon dir"),
            *("--url", "http://p:9090", "--alertmanager", "http://a:9093"),
            *("--exporter", "http://e:9000"),
        ]
        assert given.command("reload") == (
            "watchroom reload 'mon dir' --url http://p:9090"
        )


class TestErrors:
    def dsn(self, peer):
        return {"SENTRY_DSN": peer.url.replace("http://", "http://k3y@") + "/7"}

    def app(self, peer, live, sending, releases=("1.4.2",)):
        """Let Prometheus tell of processes by role: those that live, and that send."""

        def rows(label, values):
            return [{"metric": {label: k}, "value": [0, str(v)]} for k, v in values]

        def say(asked):
            if "sentry" in asked.query:
                return answer({"result": rows("role", sending.items())})
            if "release" in asked.query:
                told = [(release, 1) for release in releases]
                return answer({"result": rows("release", told)})
            return answer({"result": rows("role", live.items())})

        peer.paths["/api/v1/query"] = say

    def test_an_event_that_is_taken_is_remembered_and_shows_no_key(self, peer, world):
        peer.paths["/api/7/envelope/"] = {"id": "x"}
        self.app(peer, {"web": 2, "worker": 0}, {"web": 2, "worker": 0})
        environ = self.dsn(peer)
        finding = found("error-tracking", world(environ=environ, send=True))
        assert finding.state == GREEN
        assert "k3y" not in str(finding)
        assert "runs release 1.4.2" in finding.evidence
        assert "2 of 2 web processes send errors" in finding.evidence
        (asked,) = [one for one in peer.asked if one.body]
        assert "sentry_key=k3y" in asked.headers["X-Sentry-Auth"]
        event = json.loads(asked.body.splitlines()[2])
        assert "nothing is wrong" in event["message"]["formatted"]
        # The next check needs to send nothing for a month.
        (kept,) = finding.proofs
        assert found("error-tracking", world([kept], environ=environ)).state == GREEN
        old = kept._replace(at=ago(31))
        assert found("error-tracking", world([old], environ=environ)).state == UNCLEAR
        # And it counts for this project and key alone.
        for change in (("/7", "/8"), ("k3y", "0ther")):
            other = {"SENTRY_DSN": environ["SENTRY_DSN"].replace(*change)}
            assert (
                found("error-tracking", world([kept], environ=other)).state == UNCLEAR
            )
        assert found("error-tracking", world([kept])).state == UNCLEAR

    @pytest.mark.parametrize("answers", [(403, "no"), None])
    def test_a_failure_takes_the_place_of_an_older_success(self, peer, world, answers):
        self.app(peer, {"web": 1}, {"web": 1})
        environ = self.dsn(peer)
        if answers is None:
            environ["SENTRY_DSN"] = f"http://k3y@127.0.0.1:{free_port()}/7"
        peer.paths["/api/7/envelope/"] = answers
        finding = found("error-tracking", world(environ=environ, send=True))
        assert finding.state == RED
        assert ("403" if answers else "can't reach") in finding.evidence
        again = found("error-tracking", world(finding.proofs, environ=environ))
        assert again.state == RED
        assert "just now" in again.evidence
        assert "--send" in again.next

    @pytest.mark.parametrize(
        ("live", "sending", "state", "said"),
        [
            ({"web": 4, "worker": 2}, {"web": 4, "worker": 0}, RED, "0 of 2 worker"),
            ({"web": 4}, {"web": 3}, RED, "3 of 4 web"),
            ({"web": 4}, {}, UNCLEAR, "doesn't report whether"),
            ({"web": 0}, {"web": 0}, UNCLEAR, "no web or worker"),
        ],
    )
    def test_a_dsn_that_the_app_does_not_use_is_seen(
        self, peer, world, live, sending, state, said
    ):
        peer.paths["/api/7/envelope/"] = {"id": "x"}
        self.app(peer, live, sending)
        finding = found("error-tracking", world(environ=self.dsn(peer), send=True))
        assert finding.state == state
        assert said in finding.evidence
        assert "accepted the test event" in finding.evidence
        assert finding.proofs[0].state == GREEN

    def test_an_invalid_dsn(self, peer, world):
        self.app(peer, {"web": 1}, {"web": 1})
        environ = {"SENTRY_DSN": "https://sentry.example/7"}
        assert found("error-tracking", world(environ=environ)).state == RED

    def test_configured_is_not_verified(self, peer, world):
        self.app(peer, {"web": 1}, {"web": 1})
        finding = found("error-tracking", world(environ=self.dsn(peer)))
        assert finding.state == UNCLEAR
        assert "--send" in finding.next
        assert not [asked for asked in peer.asked if asked.body]
        assert found("error-tracking", world()).state == UNCLEAR


class TestDashboards:
    def test_every_query_is_asked_with_its_variables_filled_in(self, peer, world):
        peer.paths["/api/v1/query"] = vector("1")
        finding = found("dashboards", world())
        assert finding.state == GREEN
        assert len(peer.asked) > 20
        assert not [asked for asked in peer.asked if "%24" in asked.query]

    def test_queries_that_fail_or_find_nothing(self, peer, world):
        peer.paths["/api/v1/query"] = (400, {"status": "error", "error": "no such"})
        finding = found("dashboards", world())
        assert finding.state == RED
        assert "no such" in finding.evidence
        peer.paths["/api/v1/query"] = vector()
        assert found("dashboards", world()).state == RED

    def test_grafana_has_them_or_not_or_nobody_asked_it(self, peer, world):
        peer.paths["/api/v1/query"] = vector("1")
        real = world(embedded=False)
        assert found("dashboards", real).state == UNCLEAR
        asked = real._replace(grafana=peer.url)
        assert found("dashboards", asked).state == RED
        peer.paths["/api/dashboards/uid/watchroom-overview"] = (401, "")
        assert found("dashboards", asked).state == UNCLEAR
        for name in ("overview", "charts"):
            peer.paths[f"/api/dashboards/uid/watchroom-{name}"] = {}
        token = asked._replace(environ={"GRAFANA_TOKEN": "t"})
        assert found("dashboards", token).state == GREEN
        assert peer.asked[-1].headers["Authorization"] == "Bearer t"


CONTACTS = """
contacts:
  - {name: Ann, receivers: [ops]}
  - {name: Bob}
"""


class TestPeople:
    @pytest.fixture
    def listed(self, tmp_path):
        path = tmp_path / "local" / "contacts.yml"
        path.parent.mkdir()
        path.write_text(CONTACTS)
        return path

    def woke(self, name="Ann", days=1.0, state="passed"):
        return Result("wake", name, ago(days), state, "acknowledged 41 s after")

    @pytest.mark.usefixtures("listed")
    def test_only_somebody_who_was_woken_makes_the_list_green(self, world):
        assert found("on-call", world()).next == "watchroom drill --wake Ann"
        for woke, state in (
            (self.woke(), GREEN),
            (self.woke(days=91), RED),
            (self.woke(state="failed"), RED),
        ):
            assert found("on-call", world([woke])).state == state

    def test_a_list_that_is_missing_or_wrong(self, world, listed):
        listed.write_text("contacts: [{name: Ann, receivers: [nobody]}]")
        finding = found("on-call", world([self.woke()]))
        assert finding.state == RED
        assert "no receiver is named 'nobody'" in finding.evidence
        listed.unlink()
        assert "contacts:" in found("on-call", world()).next

    @pytest.mark.usefixtures("listed")
    def test_training_is_seen_only_in_who_answered(self, world):
        finding = found("team", world([self.woke()]))
        assert finding.state == UNCLEAR
        assert "acknowledged 41 s after" in finding.evidence
        assert "--wake Bob" in finding.next
        both = [self.woke(), self.woke("Bob")]
        assert found("team", world(both)).state == GREEN

    def test_receivers_have_taken_a_message_lately(self, world):
        built = world().built
        marks = {
            one.name: reach.mark(one, built.directory) for one in built.config.receivers
        }

        def took(name, days=1.0, state="passed"):
            at = ago(days)
            return Result("receiver", name, at, state, "slack[0]: 404", of=marks[name])

        assert found("integrations", world()).next.endswith(": watchroom drill --all")
        good = [took("ops"), took("chat", 3)]
        assert found("integrations", world(good)).state == GREEN
        refused = found("integrations", world([took("ops"), took("chat", 1, "failed")]))
        assert refused.state == RED
        assert "slack[0]: 404" in refused.evidence
        # What another address took, or refused, says nothing of this one.
        other = [took("ops"), took("chat")._replace(of="another")]
        changed = found("integrations", world(other))
        assert changed.state == RED
        assert "reached chat with the current settings" in changed.evidence
        nobody = world(change=lambda d: d.update(receivers=[]))
        assert "no alert notifies anybody" in found("integrations", nobody).evidence

    def test_a_receiver_is_another_with_another_secret_which_its_mark_does_not_tell(
        self, tmp_path
    ):
        hook = receivers.WebhookConfig(url_file="hook")
        ops = receivers.Receiver(name="ops", webhook_configs=[hook])
        elsewhere = reach.mark(ops, tmp_path)
        marks = []
        for secret in ("https://x.example/a", "https://x.example/b"):
            (tmp_path / "hook").write_text(secret)
            marks.append(reach.mark(ops, tmp_path))
        assert len(set(marks)) == 2
        assert all(mark.startswith(elsewhere) for mark in marks)
        # Two bytes: of no use to somebody who guesses.
        assert {len(mark) - len(elsewhere) for mark in marks} == {5}

    def test_a_refusal_stands_beside_what_others_took(self, world):
        built = world().built
        told = [
            reach.ReceiverAnswer("ops", accepted=True, detail="there"),
            reach.ReceiverAnswer("chat", accepted=False, detail="404"),
            reach.ReceiverAnswer("chat", accepted=True, detail="later"),
        ]
        ran = DrilledRule("A", "0s", "")
        verdict = Verdict("A", "n", [], "told", "", 1.0, ran, ["ops", "chat"], told)
        results = of_drills(built, BatchOutcome([verdict], []))
        states = {r.name: (r.state, r.detail) for r in results if r.kind == "receiver"}
        assert states == {"ops": (GREEN, "there"), "chat": (RED, "404")}


class TestLogs:
    def change(self, peer, url="/logs?q={request_id}"):
        def change(document):
            site(peer)(document)
            document["logs_url"] = peer.url + url

        return change

    def test_the_line_of_a_marked_request_is_found(self, peer, world):
        lines = []

        def app(asked):
            lines.append(json.dumps({"request_id": asked.headers["X-Request-Id"]}))
            return "hello"

        def logs(asked):
            wanted = asked.query.removeprefix("q=")
            return "\n".join(line for line in lines if wanted in line)

        peer.paths |= {"/": app, "/logs": logs}
        finding = found("logs", world(change=self.change(peer), send=True))
        assert finding.state == GREEN
        again = found("logs", world(finding.proofs, change=self.change(peer)))
        assert again.state == GREEN
        other = self.change(peer, "/other?q={request_id}")
        assert found("logs", world(finding.proofs, change=other)).state == UNCLEAR

    def test_a_line_that_does_not_come(self, peer, world, monkeypatch):
        monkeypatch.setattr(  # not 30
            "watchroom.prove.checklist.backends._LOGS_SECONDS", 0.2
        )
        peer.paths |= {"/": "hello", "/logs": "[]"}
        finding = found("logs", world(change=self.change(peer), send=True))
        assert finding.state == RED
        again = found("logs", world(finding.proofs, change=self.change(peer)))
        assert again.state == RED
        assert again.evidence.endswith("just now")

    def test_a_page_that_repeats_the_question_proves_nothing(self, peer, world):
        peer.paths |= {"/": "hello", "/logs": lambda asked: asked.query}
        finding = found("logs", world(change=self.change(peer), send=True))
        assert finding.state == UNCLEAR

    def test_a_store_that_keeps_its_own_requests_proves_nothing(self, peer, world):
        asked_before = []

        def logs(asked):
            wanted = asked.query.removeprefix("q=")
            had = "\n".join(line for line in asked_before if wanted in line)
            asked_before.append(f"GET /logs?{asked.query}")
            return had

        peer.paths |= {"/": "hello", "/logs": logs}
        finding = found("logs", world(change=self.change(peer), send=True))
        assert finding.state == UNCLEAR
        assert "logs its own search requests" in finding.evidence

    def test_without_an_address_or_leave_to_send_it_is_not_known(self, peer, world):
        assert found("logs", world()).state == UNCLEAR
        assert found("logs", world(change=self.change(peer))).state == UNCLEAR
        assert found("logs", world(change=self.change(peer, "/"))).state == UNCLEAR


class TestHeartbeat:
    """The Watchdog's route; `test_check` has the monitor that sends it."""

    def beat(self, world, tmp_path, url, **more):
        made = world(**more)
        if not url:
            return made
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / "beat").write_text(url)
        hook = receivers.WebhookConfig(url_file="secrets/beat")
        beat = receivers.Receiver(name="beat", webhook_configs=[hook])
        config, replace = made.built.config, msgspec.structs.replace
        routes = [
            replace(route, receiver="beat") if "Watchdog" in str(route) else route
            for route in config.route.routes
        ]
        changed = replace(
            config,
            route=replace(config.route, routes=routes),
            receivers=[*config.receivers, beat],
        )
        return made._replace(built=made.built._replace(config=changed))

    def row(self, peer, accepted, error=""):
        peer.paths["/api/v1/watchroom/receivers"] = answer(
            [{"receiver": "beat", "accepted_at": accepted, "error": error}]
        )

    def test_nobody_outside_or_only_this_machine(self, world, tmp_path):
        finding = found("heartbeat", self.beat(world, tmp_path, ""))
        assert finding.state == RED
        assert "HEARTBEAT" in finding.next
        here = self.beat(world, tmp_path, "http://127.0.0.1:5/x")
        assert "this same machine" in found("heartbeat", here).evidence

    def test_taken_lately_or_not(self, peer, world, tmp_path):
        far = self.beat(world, tmp_path, "https://beats.example/s3cr3t")
        self.row(peer, time.time() - 50)
        finding = found("heartbeat", far)
        assert finding.state == GREEN
        assert "s3cr3t" not in str(finding)
        self.row(peer, time.time() - 3030, "500")
        assert "50 min ago: 500" in found("heartbeat", far).evidence
        self.row(peer, None, "404")
        assert found("heartbeat", far).state == RED
        chain = far.chain._replace(embedded=False)
        assert found("heartbeat", far._replace(chain=chain)).state == UNCLEAR


class TestLink:
    def leads(self, url):
        return lambda document: document.update(monitor_url=url)

    def test_a_link_to_the_readers_own_machine_is_none(self, world):
        finding = found("link", world(change=self.leads("http://127.0.0.1:9700")))
        assert finding.state == RED
        assert "MONITOR_URL" in finding.next

    @pytest.mark.parametrize(
        ("status", "body", "state"),
        [
            (303, "login", GREEN),
            (200, "<title>watchroom</title>", RED),
            (200, "isn't the monitor's", RED),
            (401, "who are you?", UNCLEAR),
            (404, "watchroom", RED),
        ],
    )
    def test_what_it_opens(self, peer, world, monkeypatch, status, body, state):
        # A name that is not loopback's leads to the peer.
        real = socket.getaddrinfo

        def resolve(host, *rest, **more):
            return real("127.0.0.1" if host == "watch.example" else host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)  # no DNS here
        port = peer.url.rpartition(":")[2]
        alert = world().built.manifest.vitals[0].alerts[0].name
        peer.paths[f"/w/runbooks/{alert}"] = (status, body)
        peer.paths["/w/runbooks/login"] = "<title>watchroom</title>"
        there = self.leads(f"http://watch.example:{port}/w")
        assert found("link", world(change=there)).state == state

    def test_a_name_that_does_not_exist(self, world):
        there = self.leads("http://watch.invalid/")
        assert found("link", world(change=there)).state == RED


class TestMetricsClosed:
    SHOWN = "# TYPE up gauge\nup 1\n"

    def test_closed(self, peer, world):
        peer.paths["/metrics"] = (401, "token")
        # The exporter is another than the site here, and listens on loopback.
        finding = found("metrics-closed", world(change=site(peer)))
        assert finding.state == GREEN

    def test_open_at_the_site(self, peer, world):
        peer.paths["/metrics"] = self.SHOWN
        finding = found("metrics-closed", world(change=site(peer)))
        assert finding.state == RED
        assert f"{peer.url}/metrics" in finding.evidence

    @pytest.mark.parametrize("answers", [502, None])
    def test_a_site_that_does_not_answer_has_shown_nothing(self, peer, world, answers):
        if answers:
            peer.paths["/metrics"] = (answers, "bad gateway")
        there = peer.url if answers else f"http://127.0.0.1:{free_port()}"
        change = lambda document: document.update(sites=[there])  # noqa: E731
        finding = found("metrics-closed", world(change=change))
        assert finding.state == UNCLEAR
        assert there in finding.evidence

    def test_an_exporter_that_is_silent_has_shown_nothing(
        self, peer, world, monkeypatch
    ):
        made = world(change=site(peer))
        gone = made.chain._replace(exporter=f"http://127.0.0.1:{free_port()}")
        finding = found("metrics-closed", made._replace(chain=gone))
        assert finding.state == UNCLEAR
        assert "can't tell whether" in finding.evidence
        # A firewall that drops: some stranger may be let through.
        monkeypatch.setattr(  # a firewall needs root
            "watchroom.prove.checklist.reach._addresses", lambda: ["watch.invalid"]
        )
        assert found("metrics-closed", made).state == UNCLEAR

    def test_without_sites_the_app_was_not_tried(self, world):
        finding = found("metrics-closed", world(change=lambda d: d.update(sites=[])))
        assert finding.state == UNCLEAR


class TestProcesses:
    def seen(self, peer, processes, elsewhere=()):
        peer.paths["/-/processes"] = {
            "directory": "/run/watchroom/shop",
            "processes": processes,
            "elsewhere": [
                {"directory": where, "processes": those} for where, those in elsewhere
            ],
        }

    def test_all_in_one_place_or_some_elsewhere_or_none(self, peer, world):
        web = [{"role": "web", "user": "shop", "count": 4}]
        self.seen(peer, web)
        finding = found("processes", world())
        assert finding.state == GREEN
        assert "4 web of user shop" in finding.evidence
        other = [{"role": "worker", "user": "celery", "count": 2}]
        self.seen(peer, web, [("/dev/shm/watchroom-7-shop", other)])
        finding = found("processes", world())
        assert finding.state == RED
        assert "2 worker of user celery" in finding.evidence
        self.seen(peer, other)
        assert found("processes", world()).state == RED

    def test_two_deployments_counted_as_one(self, peer, world):
        web = [{"role": "web", "user": "shop", "count": 4}]
        self.seen(peer, web)
        peer.paths["/-/processes"]["mixed"] = [
            {"directory": "/srv/blog", "processes": 4, "exporter": False},
            {"directory": "/srv/shop", "processes": 0, "exporter": True},
        ]
        finding = found("processes", world())
        assert finding.state == RED
        assert "/srv/blog (4 processes)" in finding.evidence
        assert "/srv/shop (0 processes, the exporter)" in finding.evidence

    def test_nobody_here_but_under_another_name(self, peer, world):
        self.seen(peer, [])
        web = [{"role": "web", "user": "shop", "count": 4}]
        named = {"name": "shop-staging", "directory": "/dev/shm/x", "processes": web}
        peer.paths["/-/processes"]["namesakes"] = [named]
        finding = found("processes", world())
        assert finding.state == RED
        said = "4 web of user shop as shop-staging in /dev/shm/x"
        assert said in finding.evidence
        assert "ENVIRONMENT" in finding.next

    def test_an_exporter_that_does_not_tell(self, peer, world):
        assert found("processes", world()).state == UNCLEAR
        peer.paths["/-/processes"] = (401, "")
        assert found("processes", world()).state == UNCLEAR


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second address of this machine")
def test_an_exporter_that_is_public_is_found(peer, world, monkeypatch):
    # Every address of 127/8 is this machine's: one of them stands for the network card.
    monkeypatch.setattr(  # the only address that is sure to be there
        "watchroom.prove.checklist.reach._addresses", lambda: ["127.0.0.1"]
    )
    peer.paths["/metrics"] = lambda asked: (
        (404, "") if "site" in asked.query else (200, TestMetricsClosed.SHOWN)
    )
    finding = found("metrics-closed", world(change=lambda d: d.update(sites=[])))
    assert finding.state == RED
    assert "without a token" in finding.evidence
