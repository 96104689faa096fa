"""Which receivers an alert reaches, and what they say to a drill."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import product

import pytest
from tests.support.hook import Hook

from watchroom.errors import ConfigError
from watchroom.formats import alertmanager
from watchroom.prove import client, road

CONFIG = """
route:
  receiver: fallback
  routes:
    - receiver: drill
      matchers: ['job=~"drill-.+"']
    - receiver: pager
      matchers: ['severity="critical"']
      continue: true
    - matchers: ['severity=~"critical|warning"', 'team!="data"']
      receiver: chat
      routes:
        - receiver: night
          matchers: ['env!~"prod.*"']
receivers:
  - {name: fallback}
  - {name: drill}
  - {name: pager}
  - {name: chat}
  - {name: night}
"""
VALUES = {
    "severity": ["critical", "warning", "info"],
    "job": ["app", "drill-1"],
    "env": ["production", "test", ""],
    "team": ["data", ""],
}
EVERY = [
    {k: v for k, v in zip(VALUES, row, strict=True) if v}
    for row in product(*VALUES.values())
]


@pytest.mark.judge
def test_labels_reach_the_receivers_that_amtool_names(tmp_path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("needs Debian's amtool")
    path = tmp_path / "alertmanager.yml"
    path.write_text(CONFIG)
    config = alertmanager.load(CONFIG, str(path))
    for labels in EVERY:
        words = [f"{name}={value}" for name, value in labels.items()]
        said = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={path}", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        assert road.receivers(config, labels) == said.stdout.strip().split(",")


def receiver(**hook: object) -> alertmanager.Receiver:
    return alertmanager.Receiver(
        name="ops", webhook_configs=[alertmanager.WebhookConfig(**hook)]
    )


def test_a_drill_message_says_that_nothing_is_wrong_and_is_accepted(tmp_path) -> None:
    hook = Hook()
    try:
        body = road.message(
            "HighErrorRate", "ab12", "firing", "http://m/", "2026-01-01"
        )
        (answer,) = road.send(receiver(url=hook.url), tmp_path, body)
        assert answer.accepted
        (message,) = hook.messages
        assert message.name == "[DRILL] HighErrorRate"
        assert message.labels["severity"] == "info"
        assert "nothing is wrong" in message.annotations["summary"]
    finally:
        hook.close()


def test_a_secret_url_is_read_from_its_file_and_never_shown(tmp_path) -> None:
    hook = Hook(status=404)
    try:
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "ops").write_text(f"{hook.url}/s3cr3t\n")
        body = road.message("X", "ab12", "firing", "http://m/", "2026-01-01")
        (answer,) = road.send(receiver(url_file="secrets/ops"), tmp_path, body)
        assert not answer.accepted
        assert "404" in answer.detail
        assert "s3cr3t" not in answer.detail
        (message,) = hook.messages
        assert message.path == "/page/s3cr3t"
    finally:
        hook.close()


def test_a_secret_that_is_not_there_is_named_with_its_remedy(tmp_path) -> None:
    (answer,) = road.send(receiver(url_file="secrets/ops"), tmp_path, {})
    assert not answer.accepted
    assert "secrets/ops" in answer.detail
    assert "put the secret there" in answer.detail


def test_nobody_listening_is_said_without_the_path() -> None:
    with pytest.raises(client.PeerError) as caught:
        client.post("http://127.0.0.1:9/hook/s3cr3t", {}, token="t0k3n")
    assert caught.value.status is None
    assert "http://127.0.0.1:9 does not answer" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert "t0k3n" not in str(caught.value)


def test_an_error_status_is_kept_for_who_must_tell_them_apart() -> None:
    hook = Hook()
    try:
        hook.status = 200
        with pytest.raises(client.PeerError) as caught:
            client.get(hook.url)
        assert caught.value.status == 501
    finally:
        hook.close()


def test_a_message_is_a_version_4_webhook_body() -> None:
    body = road.message("X", "ab12", "resolved", "http://m/", "2026-01-01T00:00:00Z")
    assert json.loads(json.dumps(body))["version"] == "4"
    assert body["alerts"][0]["endsAt"] == "2026-01-01T00:00:00Z"


def test_a_matcher_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not a matcher"):
        alertmanager.parse_matcher("severity")
