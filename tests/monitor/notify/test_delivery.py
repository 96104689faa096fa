"""The monitor about its own delivery: pages nobody accepts, and the heartbeat."""

from __future__ import annotations

import json
import time

from tests.support.listener import listening
from tests.support.plans import planned
from tests.support.receivers import Slack, serving
from tests.support.servers import post_json
from tests.support.waiting import until

ALERTMANAGER = "127.0.0.1:9"  # nobody is there, and nobody is asked


def built(name):
    """Return the rule of an alert, as built for a demo."""
    made = planned(window="30s", for_="0s")
    found = [a for v in made.vitals for a in v.alerts if a.name == name]
    return {"alert": name, "expr": found[0].expr, "labels": dict(found[0].labels)}


def routed(files, *, broken, outside):
    """Give the files a rule, two receivers and somebody who waits for the heartbeat."""
    rules = [built("NotificationFailing"), {"alert": "Watchdog", "expr": "vector(1)"}]
    files.rules = json.dumps({"groups": [{"name": "g", "rules": rules}]})
    files.job(ALERTMANAGER, job_name="alertmanager")
    files.write()
    main = files.path / "prometheus.yml"
    config = json.loads(main.read_text())
    targets = [{"static_configs": [{"targets": [ALERTMANAGER]}]}]
    config["alerting"] = {"alertmanagers": targets}
    main.write_text(json.dumps(config))
    (files.path / "secrets").mkdir()
    (files.path / "secrets" / "slack").write_text(broken)
    quick = {"group_wait": "0s", "group_interval": "500ms"}
    routes = {
        "route": {
            "receiver": "ops",
            "group_by": ["alertname"],
            **quick,
            "repeat_interval": "1h",
            "routes": [
                {
                    "receiver": "heartbeat",
                    "matchers": ['alertname="Watchdog"'],
                    "repeat_interval": "400ms",
                },
                {"receiver": "chat", "matchers": ['alertname="Broken"']},
            ],
        },
        "receivers": [
            {"name": "ops", "webhook_configs": [{"url": files.page_url}]},
            {"name": "chat", "slack_configs": [{"api_url_file": "secrets/slack"}]},
            {
                "name": "heartbeat",
                "webhook_configs": [{"url": outside, "send_resolved": False}],
            },
        ],
    }
    (files.path / "alertmanager.yml").write_text(json.dumps(routes))


def test_a_page_nobody_accepts_is_sent_to_others_and_the_heartbeat_goes_on(
    files, monitor, pages
):
    with serving(Slack()) as slack, listening() as outside:
        routed(files, broken=slack.url + "-renewed", outside=outside.url())
        monitor.start().ready()
        until(
            lambda: monitor.value('up{job="alertmanager"}') == 1, 30, "its own target"
        )
        failed = 'alertmanager_notifications_failed_total{receiver_name="chat"}'
        # From the start at 0, or the first failure would be no increase.
        assert monitor.value(failed) == 0
        until(lambda: len(outside.messages()) > 2, 30, "the heartbeat")

        alerts = [{"labels": {"alertname": "Broken"}}]
        post_json(f"{monitor.url}/api/v2/alerts", alerts, **monitor.bearer)

        def told():
            for message in pages.messages():
                for alert in message["alerts"]:
                    if alert["labels"]["alertname"] == "NotificationFailing":
                        return alert
            return None

        alert = until(told, 30, "NotificationFailing")
        assert alert["labels"]["receiver_name"] == "chat"
        assert alert["labels"]["integration"] == "slack"
        assert (404, "no_service") in slack.refused
        page = monitor.get("/").body
        assert "External heartbeat <b>delivered" in page
        metrics = monitor.get("/metrics").body
        (line,) = (
            line
            for line in metrics.splitlines()
            if line.startswith("watchroom_heartbeat_accepted_timestamp_seconds{")
        )
        assert time.time() - float(line.rpartition(" ")[2]) < 30
        assert "slack-secret" not in metrics + page + monitor.log.read_text()

        (files.path / "secrets" / "slack").write_text(slack.url)
        until(lambda: slack.taken, 30, "the page itself, with the right secret")
