"""The same alerts at the same moments into Alertmanager and into the dispatcher.

Alertmanager runs in real time, the dispatcher on a clock of the test's own that starts
at the same epoch; so even the bodies must be equal, byte for byte.
"""

from __future__ import annotations

import time

import pytest
from tests.support.listener import listening
from tests.support.ports import free_port
from tests.support.servers import get_json, post_json, running
from tests.support.waiting import until

from watchroom.formats import alertmanager
from watchroom.messages import webhook as message
from watchroom.monitor.alert import Alert
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.notify import webhook
from watchroom.monitor.routing.routing import Routing
from watchroom.promql.model import labels_of

CONFIG = """
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 4500ms
  routes:
    - matchers: ['severity="critical"']
      receiver: pager.a+b
      group_wait: 0s
      continue: true
    - matchers: ['severity=~"critical|warning"', 'job!="none"']
      receiver: quiet
      group_by: ['...']
    - matchers: ['alertname="Many"']
      receiver: few
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_matchers: ['severity="warning"']
    equal: [job]
receivers:
  - name: all
    webhook_configs: [{url: "%(url)s/all"}, {url: "%(url)s/also"}]
  - name: pager.a+b
    webhook_configs: [{url: "%(url)s/pager"}]
  - name: quiet
    webhook_configs: [{url: "%(url)s/quiet", send_resolved: false}]
  - name: few
    webhook_configs: [{url: "%(url)s/few", max_alerts: 2}]
"""

# (seconds, labels, fires); nothing is nearer than 0.3 s to a flush of its group.
EVENTS = [
    (0.0, {"alertname": "A", "n": "1", "job": "a"}, True),
    (0.5, {"alertname": "A", "n": "2", "instance": "i"}, True),
    (1.4, {"alertname": "A", "n": "3", "job": "a", "instance": "<&>"}, True),
    (3.5, {"alertname": "A", "n": "1", "job": "a"}, False),
    (4.0, {"alertname": "B", "severity": "critical", "job": "b"}, True),
    (4.6, {"alertname": "W", "severity": "warning", "job": "b"}, True),
    (4.7, {"alertname": "W", "severity": "warning", "job": "c"}, True),
    (5.0, {"alertname": "Many", "n": "1"}, True),
    (5.1, {"alertname": "Many", "n": "2", "extra": "é"}, True),
    (5.2, {"alertname": "Many", "n": "3"}, True),
    (8.5, {"alertname": "B", "severity": "critical", "job": "b"}, False),
    (9.5, {"alertname": "A", "n": "2", "instance": "i"}, False),
    (9.5, {"alertname": "A", "n": "3", "job": "a", "instance": "<&>"}, False),
    (9.6, {"alertname": "Brief"}, True),
    (10.2, {"alertname": "Brief"}, False),
    (10.6, {"alertname": "Flap"}, True),
    (12.0, {"alertname": "Flap"}, False),
    (12.8, {"alertname": "Flap"}, True),
    (14.0, {"alertname": "Flap"}, False),
    (14.2, {"alertname": "W", "severity": "warning", "job": "b"}, False),
]
END = 18.0


def script(epoch):
    """Return (epoch ms, alert) of every event; an end keeps its alert's start."""
    starts = {}
    found = []
    for second, labels, fires in EVENTS:
        at = epoch + round(second * 1000)
        pairs = labels_of(labels)
        if fires:
            starts[pairs] = at
        annotations = (("note", "common"), ("text", f"<{labels.get('n', '')}>"))
        ends = None if fires else at
        alert = Alert(pairs, annotations, starts[pairs], ends, at, "http://g.example/")
        found.append((at, alert))
    return found


def dispatched(config, events, epoch, external_url):
    """Return (second, path, body) of what our dispatcher sends on its own clock."""
    dispatcher = Dispatcher(Routing(config))
    hooks = {receiver.name: receiver.integrations() for receiver in config.receivers}
    left = list(events)
    sent = []
    for now in range(epoch, epoch + round(END * 1000), 20):
        while left and left[0][0] <= now:
            dispatcher.receive([left.pop(0)[1]], now)
        for notification in dispatcher.advance(now):
            if notification.kind != "send":
                continue
            hook = hooks[notification.key.receiver][notification.key.integration]
            body = webhook.body(notification, external_url, hook.max_alerts)
            sent.append(((now - epoch) / 1000, hook.url.rsplit("/", 1)[1], body))
            dispatcher.settle(notification, accepted=True, now_ms=now)
    return sent


def posted(alert):
    """Return an alert as /api/v2/alerts takes it."""
    value = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": message._time(alert.starts_at_ms),
        "generatorURL": alert.generator_url,
    }
    if alert.ends_at_ms is not None:
        value["endsAt"] = message._time(alert.ends_at_ms)
    return value


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.judge("prometheus-alertmanager")
def test_the_same_messages_go_out_at_the_same_moments(tmp_path):
    port = free_port()
    with listening() as listener:
        text = CONFIG % {"url": listener.url("")}
        (tmp_path / "am.yml").write_text(text)
        with running(
            "prometheus-alertmanager",
            "--config.file=am.yml",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.external-url=http://am.example/x",
            "--web.route-prefix=/",
            "--cluster.listen-address=",
            cwd=tmp_path,
        ):
            until(lambda: get_json(f"http://127.0.0.1:{port}/api/v2/status"))
            time.sleep(0.2)
            epoch = round(time.time() * 1000) + 50
            events = script(epoch)
            for at, alert in events:
                time.sleep(max(0.0, at / 1000 - time.time()))
                post_json(f"http://127.0.0.1:{port}/api/v2/alerts", [posted(alert)])
            time.sleep(max(0.0, epoch / 1000 + END - time.time()))
        theirs = [(h.at - epoch / 1000, h.path[1:], h.text) for h in listener.heard]
    config = alertmanager.load(text, "am.yml")
    ours = dispatched(config, events, epoch, "http://am.example/x")
    for path in ("all", "also", "pager", "quiet", "few"):
        we = [(second, body) for second, where, body in ours if where == path]
        they = [(second, body) for second, where, body in theirs if where == path]
        assert [body for _, body in we] == [body for _, body in they], path
        for (our_ms, _), (other, body) in zip(we, they, strict=True):
            assert our_ms == pytest.approx(other, abs=0.35), (path, body)
    assert len(ours) > 20
